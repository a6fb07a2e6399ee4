#include "sandbox/procs_read.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define PATH_ROOM 64
#define DIR_BYTES 16384

static size_t read_file(const char *path, char *out, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	out[MAX(n, 0)] = '\0';
	return MAX(n, 0);
}

/* Not opendir(3): it takes 32 KiB from the heap each time. */
void procs_each_number(int dir, off_t *distance, bool (*on_number)(void *ctx, int number),
		       void *ctx)
{
	char buf[DIR_BYTES] __attribute__((aligned(__alignof__(struct dirent64))));
	off_t place = 0;
	ssize_t n;

	while ((n = getdents64(dir, buf, sizeof(buf))) > 0) {
		const struct dirent64 *e;

		for (ssize_t at = 0; at < n; at += e->d_reclen) {
			off_t mine = place;

			e = (const void *)(buf + at);
			place = e->d_off;
			if (!isdigit((unsigned char)e->d_name[0]))
				continue;
			if (distance)
				*distance = mine - atoi(e->d_name);
			if (!on_number(ctx, atoi(e->d_name)))
				return;
		}
	}
}

/* --- processes --- */

pid_t procs_last_pid(void)
{
	char text[128];
	const char *last;

	read_file("/proc/loadavg", text, sizeof(text));
	last = strrchr(text, ' ');
	return last ? atoi(last) : 0;
}

/* As proc(5) has it; '\0' and 0 when there is no such process. */
static void read_stat(pid_t pid, char *state, int *parent)
{
	char path[PATH_ROOM], text[512];
	const char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	read_file(path, text, sizeof(text));
	/* The name before may hold anything. */
	end = strrchr(text, ')');
	if (end && sscanf(end, ") %c %d", state, parent) == 2)
		return;
	*state = '\0';
	*parent = 0;
}

pid_t procs_parent(pid_t pid)
{
	char state;
	int parent;

	read_stat(pid, &state, &parent);
	return parent;
}

bool procs_is_stopped(pid_t pid)
{
	char state;
	int parent;

	read_stat(pid, &state, &parent);
	return state == 'T';
}

void procs_describe(struct owner_answer *answer)
{
	char path[PATH_ROOM], comm[OWNER_COMM_MAX + 2];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", answer->pid);
	read_file(path, comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	memcpy(answer->comm, comm, OWNER_COMM_MAX);
	snprintf(path, sizeof(path), "/proc/%d/exe", answer->pid);
	n = readlink(path, answer->exe, sizeof(answer->exe));
	answer->exe[n < 0 || n == sizeof(answer->exe) ? 0 : n] = '\0';
}

/* --- descriptors --- */

int procs_open_fds(pid_t pid)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

long procs_fd_count(pid_t pid)
{
	char path[PATH_ROOM];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return stat(path, &st) < 0 ? -1 : st.st_size;
}

uint32_t procs_socket(int dir, int fd)
{
	static const char prefix[] = "socket:[";
	char name[16], link[PATH_ROOM];
	ssize_t n;

	snprintf(name, sizeof(name), "%d", fd);
	n = readlinkat(dir, name, link, sizeof(link) - 1);
	if (n <= (ssize_t)strlen(prefix) || memcmp(link, prefix, strlen(prefix)) != 0)
		return 0;
	link[n] = '\0';
	return strtoul(link + strlen(prefix), NULL, 10);
}

struct fds {
	int dir;
	bool (*on_fd)(void *ctx, int fd, uint32_t inode);
	void *ctx;
};

static bool look_at_fd(void *ctx, int fd)
{
	const struct fds *fds = ctx;
	uint32_t inode = procs_socket(fds->dir, fd);

	return !inode || fds->on_fd(fds->ctx, fd, inode);
}

void procs_each_socket(pid_t pid, bool (*on_fd)(void *ctx, int fd, uint32_t inode),
		       void *ctx)
{
	cleanup_fd int dir = procs_open_fds(pid);

	if (dir >= 0)
		procs_each_number(dir, NULL, look_at_fd,
				  &(struct fds){ dir, on_fd, ctx });
}

/* --- ping sockets --- */

/* A line of /proc/net/icmp or raw: the number behind its local address, and its inode. */
static bool parse_line(const char *line, unsigned *number, uint32_t *inode)
{
	unsigned long found;

	if (sscanf(line, " %*[^:]: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %lu",
		   number, &found) != 2)
		return false;
	*inode = found;
	return true;
}

/* The inode of the one socket of that number; 0 when there are none or several. */
static uint32_t only_socket(pid_t pid, const char *table, unsigned wanted)
{
	char path[PATH_ROOM], line[512];
	uint32_t inode, found = 0;
	unsigned number;
	size_t matches = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, table);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (!parse_line(line, &number, &inode) || number != wanted)
			continue;
		found = inode;
		matches++;
	}
	fclose(f);
	return matches == 1 ? found : 0;
}

uint32_t procs_ping_socket(pid_t pid, uint8_t protocol, uint16_t identifier)
{
	bool v4 = protocol == IPPROTO_ICMP;
	uint32_t inode = only_socket(pid, v4 ? "icmp" : "icmp6", identifier);

	/* Root inside may use a raw socket, whose identifier the kernel doesn't know. */
	return inode ? inode : only_socket(pid, v4 ? "raw" : "raw6", protocol);
}

/* --- what a thread does --- */

static bool is_send(long call)
{
	return call == SYS_connect || call == SYS_sendto || call == SYS_sendmsg ||
	       call == SYS_sendmmsg;
}

struct threads {
	pid_t pid;
	int fd;
	bool found;
};

static bool look_at_thread(void *ctx, int tid)
{
	struct threads *t = ctx;
	char path[PATH_ROOM], text[256];
	long call;
	unsigned long fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", t->pid, tid);
	read_file(path, text, sizeof(text));
	t->found = sscanf(text, "%ld %lx", &call, &fd) == 2 && is_send(call) &&
		   (int)fd == t->fd;
	return !t->found;
}

bool procs_is_sending(pid_t pid, int fd)
{
	char path[PATH_ROOM];
	struct threads threads = { .pid = pid, .fd = fd };
	cleanup_fd int dir = -1;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		procs_each_number(dir, NULL, look_at_thread, &threads);
	return threads.found;
}

uint64_t procs_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}
