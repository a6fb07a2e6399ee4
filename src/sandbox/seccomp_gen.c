/*
 * Prints the seccomp filters as C arrays. Runs once, when childflow is built: libseccomp
 * would need a quarter of a millisecond of each run to compile them.
 *
 * "command" lists what is refused. It is to stop what a namespace doesn't: socket families
 * that know no network namespace (vsock) or are no business of a command's, and the ways to
 * make sockets past a filter of socket(2); input pushed into the caller's terminal; and the
 * system calls by which the command could starve process 1. Everything else is for the
 * namespaces and the missing capabilities to refuse.
 *
 * "engine" lists what is allowed, namely what strace shows of a busy one, and what libc and
 * the libraries may fall back to. Files can't be opened, yet a library that tries is told so
 * rather than killed; all else ends the process: an engine that does what it never did is
 * a broken one.
 *
 * The kernel compares 64 bits where it later uses 32. Rules that refuse must ignore the
 * upper half, or it could be used to evade them (CVE-2019-10063); socket families are
 * refused for any upper half but zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/ioprio.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOW32 UINT64_C(0xffffffff)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* Whether a value of 32 bits is v. */
#define ARG_IS(n, v) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, LOW32, (v))

static scmp_filter_ctx ctx;

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "seccomp_gen: %s: %s\n", what, strerror(-r));
	exit(EXIT_FAILURE);
}

#define RULE(action, call, n, ...) \
	check(seccomp_rule_add(ctx, action, SCMP_SYS(call), n, ##__VA_ARGS__), #call)
#define REFUSE(code, call, n, ...) RULE(SCMP_ACT_ERRNO(code), call, n, ##__VA_ARGS__)
#define ALLOW(call) RULE(SCMP_ACT_ALLOW, call, 0)
#define ALLOW_IF(call, n, ...) RULE(SCMP_ACT_ALLOW, call, n, __VA_ARGS__)

static void start(uint32_t otherwise, uint32_t foreign)
{
	ctx = seccomp_init(otherwise);
	check(ctx ? 0 : -ENOMEM, "seccomp_init");
	check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, foreign),
	      "bad architecture");
	/* A binary tree: the kernel walks the filter once per system call there is when it is
	 * installed, which is part of every start. */
	check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
}

/* --- the command --- */

static void refuse_family(const struct scmp_arg_cmp family)
{
	REFUSE(EAFNOSUPPORT, socket, 1, family);
	REFUSE(EAFNOSUPPORT, socketpair, 1, family);
}

/* AF_PACKET needs CAP_NET_RAW, which only --as-root gives. */
static void refuse_families(void)
{
	static const int allowed[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK,
				       AF_PACKET };
	int family = 0;

	for (size_t i = 0; i < COUNT(allowed); i++, family++) {
		for (; family < allowed[i]; family++)
			refuse_family(SCMP_A0_64(SCMP_CMP_EQ, family));
	}
	refuse_family(SCMP_A0_64(SCMP_CMP_GE, family));
}

/*
 * 32-bit programs run, too. Their socketcall(2) passes its arguments in memory, where no
 * filter can see them: it makes no sockets. A foreign ABI of the same registers (x32) would
 * be a second set of numbers to keep in mind; it is said not to exist.
 */
static void add_foreign_abi(void)
{
#if defined __x86_64__
	check(seccomp_arch_add(ctx, SCMP_ARCH_X86), "add x86");
	REFUSE(EAFNOSUPPORT, socketcall, 1, ARG_IS(0, 1));
	REFUSE(EAFNOSUPPORT, socketcall, 1, ARG_IS(0, 8));
#elif defined __aarch64__
	check(seccomp_arch_add(ctx, SCMP_ARCH_ARM), "add arm");
#endif
}

static void protect_init(void)
{
	const struct scmp_arg_cmp pid = ARG_IS(0, 1);

	REFUSE(EPERM, prlimit64, 1, pid);
	REFUSE(EPERM, sched_setaffinity, 1, pid);
	REFUSE(EPERM, sched_setattr, 1, pid);
	REFUSE(EPERM, sched_setparam, 1, pid);
	REFUSE(EPERM, sched_setscheduler, 1, pid);
	REFUSE(EPERM, setpriority, 2, ARG_IS(0, PRIO_PROCESS), ARG_IS(1, 1));
	REFUSE(EPERM, ioprio_set, 2, ARG_IS(0, IOPRIO_WHO_PROCESS), ARG_IS(1, 1));
	/* Of the same user, and of the process group that init and the supervisor share with
	 * the command: its number is 0 inside, as is that of the caller's own. */
	REFUSE(EPERM, setpriority, 1, ARG_IS(0, PRIO_USER));
	REFUSE(EPERM, setpriority, 2, ARG_IS(0, PRIO_PGRP), ARG_IS(1, 0));
	REFUSE(EPERM, ioprio_set, 1, ARG_IS(0, IOPRIO_WHO_USER));
	REFUSE(EPERM, ioprio_set, 2, ARG_IS(0, IOPRIO_WHO_PGRP), ARG_IS(1, 0));
}

static void build_command(void)
{
	start(SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(ENOSYS));
	add_foreign_abi();
	refuse_families();
	REFUSE(ENOSYS, io_uring_setup, 0);
	REFUSE(ENOSYS, io_uring_enter, 0);
	REFUSE(ENOSYS, io_uring_register, 0);
	/* Its flags stand in memory, too; libc falls back to clone(2). */
	REFUSE(ENOSYS, clone3, 0);
	REFUSE(EPERM, ioctl, 1, ARG_IS(1, TIOCSTI));
	REFUSE(EPERM, ioctl, 1, ARG_IS(1, TIOCLINUX));
	protect_init();
}

/* --- the engine --- */

static void allow_socket(int family, int type, int protocol)
{
	const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

	ALLOW_IF(socket, 3, SCMP_A0_64(SCMP_CMP_EQ, family),
		 SCMP_A1_64(SCMP_CMP_MASKED_EQ, ~(uint64_t)flags, type),
		 SCMP_A2_64(SCMP_CMP_EQ, protocol));
}

static void allow_sockets(void)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < COUNT(families); i++) {
		allow_socket(families[i], SOCK_STREAM, 0);
		allow_socket(families[i], SOCK_STREAM, IPPROTO_TCP);
		allow_socket(families[i], SOCK_DGRAM, 0);
		allow_socket(families[i], SOCK_DGRAM, IPPROTO_UDP);
	}
	/* "Ping sockets": echo requests only. */
	allow_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	allow_socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
	ALLOW(bind);
	ALLOW(connect);
	ALLOW(getpeername);
	ALLOW(getsockname);
	ALLOW(getsockopt);
	ALLOW(recvfrom);
	ALLOW(recvmmsg);
	ALLOW(recvmsg);
	ALLOW(sendmmsg);
	ALLOW(sendmsg);
	ALLOW(sendto);
	ALLOW(setsockopt);
	ALLOW(shutdown);
}

static void allow_descriptors(void)
{
	/* SIOCGIFFLAGS: libpcap asks whether an interface that is gone is only down. */
	static const unsigned long ioctls[] = { FIONBIO,  FIOCLEX,	 FIONREAD,
						TIOCOUTQ, TUNSETOFFLOAD, SIOCGIFFLAGS };
	static const int fcntls[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL,
				      F_DUPFD_CLOEXEC };

	for (size_t i = 0; i < COUNT(ioctls); i++)
		ALLOW_IF(ioctl, 1, SCMP_A1_64(SCMP_CMP_EQ, ioctls[i]));
	for (size_t i = 0; i < COUNT(fcntls); i++)
		ALLOW_IF(fcntl, 1, SCMP_A1_64(SCMP_CMP_EQ, fcntls[i]));
	ALLOW(close);
	ALLOW(epoll_create1);
	ALLOW(epoll_ctl);
	ALLOW(epoll_pwait);
	ALLOW(epoll_pwait2);
	ALLOW(epoll_wait);
	ALLOW(ftruncate);
	ALLOW(lseek);
	ALLOW(poll);
	ALLOW(ppoll);
	ALLOW(read);
	ALLOW(readv);
	ALLOW(write);
	ALLOW(writev);
}

/* Memory that is not executable. */
static void allow_memory(void)
{
	const struct scmp_arg_cmp no_exec = SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);

	ALLOW_IF(mmap, 1, no_exec);
	ALLOW_IF(mprotect, 1, no_exec);
	ALLOW(brk);
	ALLOW(madvise);
	ALLOW(mremap);
	ALLOW(munmap);
}

static void allow_process(void)
{
	ALLOW(clock_getres);
	ALLOW(clock_gettime);
	ALLOW(exit);
	ALLOW(exit_group);
	ALLOW(futex);
	ALLOW(getpid);
	ALLOW(getrandom);
	ALLOW(gettid);
	ALLOW(gettimeofday);
	ALLOW(restart_syscall);
	ALLOW(rt_sigaction);
	ALLOW(rt_sigprocmask);
	ALLOW(rt_sigreturn);
	ALLOW(sched_yield);
	ALLOW(sysinfo); /* qsort(3) asks how much memory there is */
	ALLOW(time);
	ALLOW(uname);
	/* abort(3) ends by a fault instead: signals could hit any process of the user's. */
	REFUSE(EPERM, kill, 0);
	REFUSE(EPERM, tgkill, 0);
}

/* What takes a path. A descriptor goes with AT_EMPTY_PATH through newfstatat(2), too. */
static void refuse_files(void)
{
	REFUSE(EACCES, access, 0);
	REFUSE(EACCES, faccessat, 0);
	REFUSE(EACCES, faccessat2, 0);
	REFUSE(EACCES, lstat, 0);
	REFUSE(EACCES, newfstatat, 0);
	REFUSE(EACCES, open, 0);
	REFUSE(EACCES, openat, 0);
	REFUSE(EACCES, openat2, 0);
	REFUSE(EACCES, readlink, 0);
	REFUSE(EACCES, readlinkat, 0);
	REFUSE(EACCES, stat, 0);
	REFUSE(EACCES, statx, 0);
}

static void build_engine(void)
{
	start(SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_PROCESS);
	allow_sockets();
	allow_descriptors();
	allow_memory();
	allow_process();
	refuse_files();
}

/* --- output --- */

static void print(const char *name)
{
	FILE *program = tmpfile();
	struct sock_filter f;

	check(program ? 0 : -errno, "tmpfile");
	check(seccomp_export_bpf(ctx, fileno(program)), "seccomp_export_bpf");
	seccomp_release(ctx);
	rewind(program);
	printf("static const struct sock_filter %s_filter[] = {\n", name);
	while (fread(&f, sizeof(f), 1, program) == 1)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", f.code, f.jt, f.jf, f.k);
	puts("};");
	fclose(program);
}

int main(void)
{
	puts("/* Made by seccomp_gen.c. */");
	build_command();
	print("command");
	build_engine();
	print("engine");
	return fflush(stdout) == EOF ? EXIT_FAILURE : EXIT_SUCCESS;
}
