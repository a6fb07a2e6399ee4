/*
 * Tries what the sandbox must refuse; a line for each: its name and "ok" or errno's name.
 *
 * Arguments are the process ids to try things on, and "all" for what is aimed at process 1 or
 * at groups of processes. Some of it succeeds outside of childflow, where these are the
 * machine's: there only a process of the test's own may be named.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *name, long pid, long ret)
{
	printf("%s %ld %s\n", name, pid, ret < 0 ? strerrorname_np(errno) : "ok");
}

static long open_of(long pid, const char *file, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/%s", pid, file);
	return open(path, flags);
}

static long enter(long pid, const char *kind)
{
	char file[32];
	long fd;

	snprintf(file, sizeof(file), "ns/%s", kind);
	fd = open_of(pid, file, O_RDONLY);
	return fd < 0 ? fd : setns(fd, 0);
}

static long take_descriptor(long pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? fd : syscall(SYS_pidfd_getfd, fd, 0, 0);
}

static long signal_by_descriptor(long pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? fd : syscall(SYS_pidfd_send_signal, fd, 0, 0, 0);
}

/* process_vm_readv or process_vm_writev */
static long use_memory(long nr, long pid)
{
	char byte;
	struct iovec mine = { &byte, 1 }, theirs = { (void *)&open_of, 1 };

	return syscall(nr, pid, &mine, 1, &theirs, 1, 0);
}

static long move_page(long pid)
{
	void *page = (void *)((uintptr_t)&open_of & -4096L);
	int node = 0, status;

	return syscall(SYS_move_pages, pid, 1, &page, &node, &status, 0);
}

static void try_process(long pid)
{
	struct rlimit limit;
	struct sched_param param = { 0 };
	uint32_t attr[12] = { sizeof(attr), SCHED_BATCH };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	tell("prlimit", pid, syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, 0, &limit));
	tell("sched_setaffinity", pid, sched_setaffinity(pid, sizeof(cpus), &cpus));
	tell("sched_setparam", pid, sched_setparam(pid, &param));
	tell("sched_setattr", pid, syscall(SYS_sched_setattr, pid, &attr, 0));
	tell("sched_setscheduler", pid, sched_setscheduler(pid, SCHED_BATCH, &param));
	tell("setpriority", pid, setpriority(PRIO_PROCESS, pid, 19));
	tell("ioprio_set", pid, syscall(SYS_ioprio_set, 1, pid, 3 << 13));
	tell("ptrace", pid, ptrace(PTRACE_SEIZE, pid, 0, 0));
	tell("ptrace-attach", pid, ptrace(PTRACE_ATTACH, pid, 0, 0));
	tell("process_vm_readv", pid, use_memory(SYS_process_vm_readv, pid));
	tell("process_vm_writev", pid, use_memory(SYS_process_vm_writev, pid));
	tell("move_pages", pid, move_page(pid));
	tell("kcmp", pid, syscall(SYS_kcmp, getpid(), pid, KCMP_FILES, 0, 0));
	tell("pidfd_getfd", pid, take_descriptor(pid));
	tell("mem", pid, open_of(pid, "mem", O_RDWR));
	tell("environ", pid, open_of(pid, "environ", O_RDONLY));
	tell("fd", pid, open_of(pid, "fd/0", O_RDONLY));
	tell("root", pid, open_of(pid, "root", O_RDONLY));
	tell("setns-net", pid, enter(pid, "net"));
	tell("setns-user", pid, enter(pid, "user"));
	tell("setns-mnt", pid, enter(pid, "mnt"));
}

/*
 * Groups of processes: the one that we share with the caller, and all of our user's. What is
 * set is what is set already: to succeed must do no harm.
 */
static void try_groups(void)
{
	tell("setpriority-group", 0,
	     setpriority(PRIO_PGRP, 0, getpriority(PRIO_PROCESS, 0)));
	tell("setpriority-user", 0,
	     setpriority(PRIO_USER, getuid(), getpriority(PRIO_PROCESS, 0)));
	tell("ioprio_set-group", 0, syscall(SYS_ioprio_set, 2, 0, 0));
	tell("ioprio_set-user", 0, syscall(SYS_ioprio_set, 3, getuid(), 0));
}

/* --- system calls by other numbers --- */

#if defined __x86_64__

static long int80(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(0L), "D"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	if (ret >= 0 || ret < -4095)
		return ret;
	errno = -ret;
	return -1;
}

static int has_int80(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(int80(20 /* getpid */, 0, 0, 0) != getpid());
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* Static and below 4 GiB, as this program is linked: a pointer that 32 bits can hold. */
static uint32_t call_args[4];

static long socketcall(long which, uint32_t family)
{
	call_args[0] = family;
	call_args[1] = 15;
	return int80(102, which, (long)call_args, 0);
}

static void try_other_numbers(void)
{
	const long x32 = 0x40000000;

	for (long family = 0; family < 64; family++) {
		tell("x32-socket", family, syscall(x32 | SYS_socket, family, 15, 0));
		if (!has_int80())
			continue;
		tell("i386-socket", family, int80(359, family, 15, 0));
		tell("i386-socketpair", family, int80(360, family, 15, 0));
		tell("socketcall-socket", family, socketcall(1, family));
		tell("socketcall-socketpair", family, socketcall(8, family));
	}
	tell("x32-io_uring_setup", 0, syscall(x32 | SYS_io_uring_setup, 1, 0));
	tell("x32-TIOCSTI", 0, syscall(x32 | 514, -1, TIOCSTI, "x"));
	if (!has_int80())
		return;
	tell("i386-io_uring_setup", 0, int80(425, 1, 0, 0));
	tell("i386-io_uring_enter", 0, int80(426, -1, 0, 0));
	tell("i386-io_uring_register", 0, int80(427, -1, 0, 0));
	tell("i386-clone3", 0, int80(435, 0, 0, 0));
	tell("i386-TIOCSTI", 0, int80(54, -1, TIOCSTI, 0));
	tell("i386-TIOCLINUX", 0, int80(54, -1, TIOCLINUX, 0));
}

static void try_init_by_other_numbers(void)
{
	if (!has_int80())
		return;
	tell("i386-prlimit", 1, int80(340, 1, RLIMIT_NOFILE, 0));
	tell("i386-sched_setaffinity", 1, int80(241, 1, 4, (long)call_args));
	tell("i386-setpriority", 1, int80(97, PRIO_PROCESS, 1, 19));
}

#else

static void try_other_numbers(void)
{
}

static void try_init_by_other_numbers(void)
{
}

#endif

int main(int argc, char **argv)
{
	/* A type that doesn't exist is EINVAL for a family that may be used. */
	for (long family = 0; family < 64; family++) {
		tell("socket", family, socket(family, 15, 0));
		tell("socketpair", family, socketpair(family, 15, 0, NULL));
	}
	tell("io_uring_setup", 0, syscall(SYS_io_uring_setup, 1, 0));
	tell("io_uring_enter", 0, syscall(SYS_io_uring_enter, -1, 1, 0, 0, 0, 0));
	tell("io_uring_register", 0, syscall(SYS_io_uring_register, -1, 0, 0, 0));
	tell("clone3", 0, syscall(SYS_clone3, 0, 0));
	tell("TIOCSTI", 0, ioctl(-1, TIOCSTI, "x"));
	tell("TIOCLINUX", 0, ioctl(-1, TIOCLINUX, "x"));
	tell("TIOCSTI-high", 0, syscall(SYS_ioctl, -1, TIOCSTI | 1UL << 32, "x"));
	tell("TIOCLINUX-high", 0, syscall(SYS_ioctl, -1, TIOCLINUX | 1UL << 32, "x"));
	try_other_numbers();
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "all") == 0) {
			try_groups();
			try_init_by_other_numbers();
			try_process(1);
			continue;
		}
		tell("kill", atol(argv[i]), kill(atol(argv[i]), 0));
		tell("pidfd_send_signal", atol(argv[i]),
		     signal_by_descriptor(atol(argv[i])));
		try_process(atol(argv[i]));
	}
	return 0;
}
