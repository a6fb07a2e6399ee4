/*
 * Tries what the sandbox must refuse; a line for each: its name and "ok" or errno's name.
 * Arguments are process ids to try the same on: those of childflow outside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

static long read_memory(long pid)
{
	char byte;
	struct iovec mine = { &byte, 1 }, theirs = { (void *)&open_of, 1 };

	return process_vm_readv(pid, &mine, 1, &theirs, 1, 0);
}

static void try_process(long pid)
{
	struct rlimit limit;
	struct sched_param param = { 0 };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	tell("prlimit", pid, syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, 0, &limit));
	tell("sched_setaffinity", pid, sched_setaffinity(pid, sizeof(cpus), &cpus));
	tell("sched_setscheduler", pid, sched_setscheduler(pid, SCHED_BATCH, &param));
	tell("setpriority", pid, setpriority(PRIO_PROCESS, pid, 19));
	tell("ioprio_set", pid, syscall(SYS_ioprio_set, 1, pid, 3 << 13));
	tell("ptrace", pid, ptrace(PTRACE_SEIZE, pid, 0, 0));
	tell("process_vm_readv", pid, read_memory(pid));
	tell("pidfd_getfd", pid, take_descriptor(pid));
	tell("mem", pid, open_of(pid, "mem", O_RDWR));
	tell("environ", pid, open_of(pid, "environ", O_RDONLY));
	tell("fd", pid, open_of(pid, "fd/0", O_RDONLY));
	tell("root", pid, open_of(pid, "root", O_RDONLY));
	tell("setns-net", pid, enter(pid, "net"));
	tell("setns-user", pid, enter(pid, "user"));
	tell("setns-mnt", pid, enter(pid, "mnt"));
}

int main(int argc, char **argv)
{
	/* A type that doesn't exist is EINVAL for a family that may be used. */
	for (long family = 0; family < 64; family++)
		tell("socket", family, socket(family, 15, 0));
	tell("io_uring_setup", 0, syscall(SYS_io_uring_setup, 1, 0));
	tell("clone3", 0, syscall(SYS_clone3, 0, 0));
	tell("TIOCSTI", 0, ioctl(-1, TIOCSTI, "x"));
	tell("TIOCLINUX", 0, ioctl(-1, TIOCLINUX, "x"));
	tell("TIOCSTI-high", 0, syscall(SYS_ioctl, -1, TIOCSTI | 1UL << 32, "x"));
	try_process(1);
	for (int i = 1; i < argc; i++) {
		tell("kill", atol(argv[i]), kill(atol(argv[i]), 0));
		try_process(atol(argv[i]));
	}
	return 0;
}
