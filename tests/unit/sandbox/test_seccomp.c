#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/util.h"
#include "sandbox/seccomp.h"

/* What a system call says that has got through, as all of them get nonsense: not EPERM. */
#define THROUGH -1
#define KILLED -2

typedef int (*filter_fn)(struct error *err);

struct call {
	long nr;
	unsigned long arg[3];
	int expected; /* errno, or one of the above */
};

static int make_call(const struct call *c)
{
	return syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], 0L, 0L, 0L) < 0 ? errno : 0;
}

/* Makes the call in a process of its own; filter may be NULL. Returns errno or KILLED. */
static int outcome(filter_fn filter, const struct call *c)
{
	const struct rlimit no_core = { 0, 0 };
	struct error err;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		if (filter && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter(&err) < 0))
			syscall(SYS_exit_group, 255);
		syscall(SYS_exit_group, make_call(c));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_int_not_equal(WEXITSTATUS(status), 255);
	return WEXITSTATUS(status);
}

static void check_calls(filter_fn filter, const struct call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int seen = outcome(filter, &calls[i]);

		if (calls[i].expected == THROUGH) {
			if (seen == KILLED || seen != outcome(NULL, &calls[i]))
				fail_msg("row %zu is refused (%d)", i, seen);
		} else if (seen != calls[i].expected) {
			fail_msg("row %zu: expected %d, got %d", i, calls[i].expected, seen);
		}
	}
}

/* A type that doesn't exist: the kernel says EINVAL after it has looked at the family. */
static void test_command_families(void **state)
{
	for (long family = 0; family < 64; family++) {
		bool allowed = family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
			       family == AF_NETLINK || family == AF_PACKET;
		struct call calls[] = {
			{ SYS_socket, { family, 15, 0 }, allowed ? EINVAL : EAFNOSUPPORT },
			{ SYS_socketpair, { family, 15, 0 }, allowed ? EFAULT : EAFNOSUPPORT },
			{ SYS_socket, { family | 1UL << 32, 15, 0 }, EAFNOSUPPORT },
		};

		check_calls(seccomp_confine_command, calls, ARRAY_SIZE(calls));
	}
	check_calls(seccomp_confine_command,
		    &(struct call){ SYS_socket, { -1UL, 15, 0 }, EAFNOSUPPORT }, 1);
}

static void test_command_calls(void **state)
{
	const unsigned long high = 1UL << 32;
	const struct call calls[] = {
		{ SYS_io_uring_setup, { 0 }, ENOSYS },
		{ SYS_io_uring_enter, { 0 }, ENOSYS },
		{ SYS_io_uring_register, { 0 }, ENOSYS },
		{ SYS_clone3, { 0 }, ENOSYS },
		{ SYS_ioctl, { -1UL, TIOCSTI }, EPERM },
		{ SYS_ioctl, { -1UL, TIOCSTI | high }, EPERM },
		{ SYS_ioctl, { -1UL, TIOCLINUX }, EPERM },
		{ SYS_ioctl, { -1UL, TIOCLINUX | high }, EPERM },
		{ SYS_ioctl, { -1UL, TIOCGWINSZ }, THROUGH },
		/* Aimed at process 1, and at ourselves. */
		{ SYS_prlimit64, { 1, 99 }, EPERM },
		{ SYS_prlimit64, { 1 | high, 99 }, EPERM },
		{ SYS_prlimit64, { 0, 99 }, THROUGH },
		{ SYS_sched_setaffinity, { 1 }, EPERM },
		{ SYS_sched_setaffinity, { 0 }, THROUGH },
		{ SYS_sched_setattr, { 1 }, EPERM },
		{ SYS_sched_setparam, { 1 }, EPERM },
		{ SYS_sched_setscheduler, { 1, 99 }, EPERM },
		{ SYS_sched_setscheduler, { 0, 99 }, THROUGH },
		{ SYS_setpriority, { PRIO_PROCESS, 1, 0 }, EPERM },
		{ SYS_setpriority, { PRIO_PROCESS, 0, 0 }, THROUGH },
		{ SYS_ioprio_set, { 1, 1, 99 }, EPERM },
		{ SYS_ioprio_set, { 1, 0, 99 << 13 }, THROUGH },
		/* All of the user's processes, and the group shared with the caller. */
		{ SYS_setpriority, { PRIO_USER, 12345, 0 }, EPERM },
		{ SYS_setpriority, { PRIO_PGRP, 0, 0 }, EPERM },
		{ SYS_setpriority, { PRIO_PGRP | high, high, 0 }, EPERM },
		{ SYS_setpriority, { PRIO_PGRP, INT32_MAX, 0 }, THROUGH },
		{ SYS_ioprio_set, { 3, 12345, 99 << 13 }, EPERM },
		{ SYS_ioprio_set, { 2, 0, 99 << 13 }, EPERM },
		{ SYS_ioprio_set, { 2, INT32_MAX, 99 << 13 }, THROUGH },
#ifdef __x86_64__
		/* x32's getpid() */
		{ 0x40000000 | SYS_getpid, { 0 }, ENOSYS },
#endif
	};

	check_calls(seccomp_confine_command, calls, ARRAY_SIZE(calls));
}

#ifdef __x86_64__
static int call_i386(int nr, int a, int b)
{
	int ret = nr;

	__asm__ volatile("int $0x80" : "+a"(ret) : "b"(a), "c"(b), "d"(0) : "memory");
	return ret;
}

/* The signal SIGSEGV says that this kernel runs no 32-bit programs. */
static int outcome_i386(int nr, int a, int b)
{
	struct error err;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_confine_command(&err) < 0)
			_exit(255);
		status = call_i386(nr, a, b);
		_exit(status < 0 ? -status : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

/* Numbers of arch/x86/entry/syscalls/syscall_32.tbl; socketcall's of linux/net.h. */
static void test_command_32_bit(void **state)
{
	enum { GETPID = 20, IOCTL = 54, SOCKETCALL = 102, SOCKET = 359, SOCKETPAIR = 360 };
	enum { URING_SETUP = 425, PRLIMIT64 = 340 };

	if (outcome_i386(GETPID, 0, 0) == KILLED)
		skip();
	assert_int_equal(outcome_i386(SOCKETCALL, 1, 0), EAFNOSUPPORT);
	assert_int_equal(outcome_i386(SOCKETCALL, 8, 0), EAFNOSUPPORT);
	assert_int_equal(outcome_i386(SOCKETCALL, 3, 0), EFAULT); /* connect */
	assert_int_equal(outcome_i386(SOCKET, 40, 15), EAFNOSUPPORT);
	assert_int_equal(outcome_i386(SOCKET, AF_INET, 15), EINVAL);
	assert_int_equal(outcome_i386(SOCKETPAIR, 40, 15), EAFNOSUPPORT);
	assert_int_equal(outcome_i386(IOCTL, -1, TIOCSTI), EPERM);
	assert_int_equal(outcome_i386(URING_SETUP, 0, 0), ENOSYS);
	assert_int_equal(outcome_i386(PRLIMIT64, 1, 99), EPERM);
}
#endif

static void test_engine_allows(void **state)
{
	const struct call calls[] = {
		{ SYS_socket, { AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 }, THROUGH },
		{ SYS_socket, { AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0 }, THROUGH },
		{ SYS_socket, { AF_INET, SOCK_DGRAM, IPPROTO_ICMP }, THROUGH },
		{ SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE }, THROUGH },
		{ SYS_ioctl, { -1UL, FIONBIO }, THROUGH },
		{ SYS_fcntl, { -1UL, F_GETFL }, THROUGH },
		{ SYS_getrandom, { 0, 0 }, THROUGH },
		{ SYS_write, { -1UL, 0 }, THROUGH },
	};

	check_calls(seccomp_confine_engine, calls, ARRAY_SIZE(calls));
}

static void test_engine_refuses_files(void **state)
{
	const struct call calls[] = {
		{ SYS_openat, { AT_FDCWD, (unsigned long)"/etc/passwd", O_RDONLY }, EACCES },
		{ SYS_newfstatat, { AT_FDCWD, (unsigned long)"/", 0 }, EACCES },
#ifdef SYS_open
		{ SYS_open, { (unsigned long)"/etc/passwd", O_RDONLY }, EACCES },
#endif
		{ SYS_kill, { 0, 0 }, EPERM },
		{ SYS_tgkill, { 1, 1, 0 }, EPERM },
	};

	check_calls(seccomp_confine_engine, calls, ARRAY_SIZE(calls));
}

static void test_engine_is_killed(void **state)
{
	const struct call calls[] = {
		{ SYS_execve, { (unsigned long)"/bin/true" }, KILLED },
		{ SYS_execveat, { -1UL }, KILLED },
		{ SYS_clone, { SIGCHLD }, KILLED },
		{ SYS_clone3, { 0 }, KILLED },
		{ SYS_ptrace, { 0 }, KILLED },
		{ SYS_mount, { 0 }, KILLED },
		{ SYS_setns, { -1UL }, KILLED },
		{ SYS_unshare, { 0 }, KILLED },
		{ SYS_chroot, { 0 }, KILLED },
		{ SYS_process_vm_readv, { 0 }, KILLED },
		{ SYS_pidfd_open, { 1 }, KILLED },
		{ SYS_io_uring_setup, { 0 }, KILLED },
		{ SYS_bpf, { 0 }, KILLED },
		{ SYS_unlinkat, { -1UL }, KILLED },
		{ SYS_prctl, { PR_SET_DUMPABLE, 1 }, KILLED },
		{ SYS_listen, { -1UL }, KILLED },
		{ SYS_socket, { AF_UNIX, SOCK_STREAM, 0 }, KILLED },
		{ SYS_socket, { AF_NETLINK, SOCK_DGRAM, 0 }, KILLED },
		{ SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_ICMP }, KILLED },
		{ SYS_socket, { AF_INET, SOCK_STREAM, 132 /* SCTP */ }, KILLED },
		{ SYS_socket, { AF_INET | 1UL << 32, SOCK_STREAM, 0 }, KILLED },
		{ SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC }, KILLED },
		{ SYS_mprotect, { 0, 0, PROT_EXEC }, KILLED },
		{ SYS_ioctl, { 0, TIOCSTI }, KILLED },
		{ SYS_fcntl, { 0, F_SETOWN }, KILLED },
	};

	check_calls(seccomp_confine_engine, calls, ARRAY_SIZE(calls));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_families),
		cmocka_unit_test(test_command_calls),
#ifdef __x86_64__
		cmocka_unit_test(test_command_32_bit),
#endif
		cmocka_unit_test(test_engine_allows),
		cmocka_unit_test(test_engine_refuses_files),
		cmocka_unit_test(test_engine_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
