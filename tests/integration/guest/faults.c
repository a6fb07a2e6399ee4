/*
 * Preloaded into childflow: makes one call of its set-up fail. FAULT="init:mount:3:1" is the
 * third mount() of init, which fails with errno 1. FAULT_CALLS names a file that is mapped by
 * all processes of the run and says afterwards how often who has called what.
 *
 * With the command's exec the set-up is over: nothing is counted and nothing fails any more.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef WITH_MEMORY
#define MEMORY_CALLS(X) X(malloc) X(calloc) X(realloc)
#else
#define MEMORY_CALLS(X)
#endif
/* Those that take up to six machine words and return one: all are called alike. */
#define CALLS(X)                                                                        \
	X(open) X(openat) X(read) X(write) X(close_range) X(dup2) X(mkdir) X(chmod)     \
	X(fchmod) X(chdir) X(chroot) X(getcwd) X(mount) X(move_mount) X(open_tree)      \
	X(unshare) X(setpgid) X(prctl) X(getrlimit) X(setrlimit) X(sigprocmask)         \
	X(sigaction) X(signalfd) X(socket) X(socketpair) X(send) X(sendmsg) X(recv)     \
	X(recvmsg) X(ioctl) X(if_nametoindex) X(epoll_create1) X(epoll_ctl) X(eventfd)  \
	X(timerfd_create) X(timerfd_settime) X(pipe2) X(poll) X(waitpid) X(stat)        \
	X(inotify_init1) X(inotify_add_watch) X(getrandom) X(clone)
#define ALL(X) CALLS(X) MEMORY_CALLS(X) X(fork) X(syscall)

enum call {
#define X(name) CALL_##name,
	ALL(X)
#undef X
	CALL_COUNT
};
enum role { SUPERVISOR, ENGINE, INIT, COMMAND, ROLE_COUNT };

static const char *const call_names[] = {
#define X(name) #name,
	ALL(X)
#undef X
};
static const char *const role_names[] = { "supervisor", "engine", "init", "command" };

typedef long call_fn(long, long, long, long, long, long);

static call_fn *real[CALL_COUNT];
static struct shared {
	struct {
		char name[28];
		uint32_t made;
	} rows[ROLE_COUNT][CALL_COUNT];
	uint32_t over;
} *shared;
static enum role role = SUPERVISOR;
static int bad_role = -1, bad_call;
static uint32_t bad_number;
static int bad_errno;

static int look_up(const char *name, const char *const *names, int count)
{
	while (count-- > 0 && strcmp(name, names[count]))
		;
	return count;
}

static void understand(const char *fault)
{
	char who[32], what[32];

	if (sscanf(fault, "%31[^:]:%31[^:]:%u:%d", who, what, &bad_number, &bad_errno) != 4)
		abort();
	bad_role = look_up(who, role_names, ROLE_COUNT);
	bad_call = look_up(what, call_names, CALL_COUNT);
	if (bad_role < 0 || bad_call < 0)
		abort();
}

static void __attribute__((constructor)) begin(void)
{
	const char *path = getenv("FAULT_CALLS"), *fault = getenv("FAULT");
	struct shared *map;
	int fd;

	for (int i = 0; i < CALL_COUNT; i++)
		real[i] = (call_fn *)dlsym(RTLD_NEXT, call_names[i]);
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fault)
		understand(fault);
	unsetenv("LD_PRELOAD");
	unsetenv("FAULT");
	unsetenv("FAULT_CALLS");
	map = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || map == MAP_FAILED)
		abort();
	close(fd);
	for (int r = 0; r < ROLE_COUNT; r++) {
		for (int c = 0; c < CALL_COUNT; c++)
			snprintf(map->rows[r][c].name, sizeof(map->rows[r][c].name),
				 "%s:%s", role_names[r], call_names[c]);
	}
	shared = map;
}

/* The command has init's memory until its exec. */
static enum role role_now(void)
{
	return role == INIT && getpid() != 1 ? COMMAND : role;
}

/* Whether this call is to fail. */
static int fails(enum call call)
{
	enum role who = role_now();
	uint32_t number;

	if (!shared || shared->over)
		return 0;
	number = __atomic_add_fetch(&shared->rows[who][call].made, 1, __ATOMIC_RELAXED);
	if ((int)who != bad_role || (int)call != bad_call || number != bad_number)
		return 0;
	errno = bad_errno;
	return 1;
}

static call_fn *find(enum call call)
{
	if (!real[call])
		real[call] = (call_fn *)dlsym(RTLD_NEXT, call_names[call]);
	return real[call];
}

/* A definition under another's name: its own declaration would not agree. */
#define WRAPPER(name) long faulty_##name(long a, long b, long c, long d, long e, long f)
#define DECLARE(name) WRAPPER(name) __asm__(#name);
ALL(DECLARE)

static long failure(enum call call)
{
	switch (call) {
	case CALL_getcwd:
	case CALL_if_nametoindex:
#ifdef WITH_MEMORY
	case CALL_malloc:
	case CALL_calloc:
	case CALL_realloc:
#endif
		return 0;
	default:
		return -1;
	}
}

#define DEFINE(name)                                                                    \
	WRAPPER(name)                                                                   \
	{                                                                               \
		return fails(CALL_##name) ? failure(CALL_##name) :                      \
					    find(CALL_##name)(a, b, c, d, e, f);        \
	}
CALLS(DEFINE)
MEMORY_CALLS(DEFINE)

WRAPPER(fork)
{
	long pid;

	if (fails(CALL_fork))
		return -1;
	pid = find(CALL_fork)(a, b, c, d, e, f);
	if (pid == 0)
		role = ENGINE;
	return pid;
}

WRAPPER(syscall)
{
	long ret;

	if (fails(CALL_syscall))
		return -1;
	ret = find(CALL_syscall)(a, b, c, d, e, f);
	if (ret == 0 && a == SYS_clone)
		role = INIT;
	return ret;
}

int execve(const char *path, char *const argv[], char *const env[])
{
	int ret;

	shared->over = 1;
	ret = syscall(SYS_execve, path, argv, env);
	shared->over = 0;
	return ret;
}
