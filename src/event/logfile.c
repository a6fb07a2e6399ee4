/*
 * One open file description, made before anything is forked, that all our processes write to,
 * each line by one call: so lines of two processes never mix, and O_APPEND lets none of them
 * overwrite another's.
 *
 * Whatever becomes of the log, the traffic goes on. A line that can't be written is lost and
 * counted; the first one is told, and their number at the end (cmd/record.c). When a line was
 * written in part (a full disk, a limit, a pipe with little room) the next one begins behind a
 * line end, so that only one is spoilt; counters and that mark are in shared memory.
 *
 * What is kept in memory is read while it grows, and bounded: too slow a reader misses lines.
 *
 * Nobody waits for a reader. A pipe or terminal that was handed to us is opened anew through
 * /proc, for O_NONBLOCK on the caller's own description would be the caller's, too. Where that
 * fails, poll(2) is asked before each line, which is nearly as good.
 *
 * Rejected: to collect the lines of some milliseconds in shared memory, which whoever is left
 * writes. Three calls are 2 us of a short connection's 70, and in 40 pairs nothing was gained.
 */
#include "event/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/log.h"
#include "base/util.h"

#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define PIPE_BYTES (1 << 20) /* what an ordinary user may ask for */

static int open_file(const char *path, struct error *err)
{
	int fd = open(path, OPEN_FLAGS | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		return fd;
	error_set(err, errno, "open %s", path);
	if (err->code == ELOOP)
		error_cure(err, "It is a symbolic link: name the file itself.");
	if (err->code == ENXIO)
		error_cure(err, "Nobody reads it: start the reader first.");
	return -1;
}

/* Ours are closed at exec; one of the caller's that has come to us is not. */
static int check_given(int fd, struct error *err)
{
	int fd_flags = fcntl(fd, F_GETFD), flags = fcntl(fd, F_GETFL);

	if (fd_flags < 0 || flags < 0 || fd_flags & FD_CLOEXEC || flags & O_PATH)
		return error_set(err, 0, "descriptor %d is not open", fd);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return error_set(err, 0, "descriptor %d can't be written to", fd);
	return 0;
}

static int duplicate(struct logfile *log, int given, struct error *err)
{
	char path[32];
	struct stat st;
	int fd;

	if (fstat(given, &st) < 0)
		return error_set(err, errno, "look at descriptor %d", given);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", given);
		fd = open(path, OPEN_FLAGS);
		if (fd >= 0)
			return fd;
		log->kind = LOGFILE_OTHER;
	}
	if (S_ISSOCK(st.st_mode))
		log->kind = LOGFILE_SOCKET;
	fd = fcntl(given, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return fd < 0 ? error_set(err, errno, "keep descriptor %d", given) : fd;
}

int logfile_open(struct logfile *log, const char *path, struct counters *counters,
		 struct error *err)
{
	*log = (struct logfile){ .kind = LOGFILE_PLAIN, .counters = counters };
	log->fd = open_file(path, err);
	return log->fd < 0 ? -1 : 0;
}

int logfile_take(struct logfile *log, int given, struct counters *counters,
		 struct error *err)
{
	*log = (struct logfile){ .kind = LOGFILE_PLAIN, .fd = -1, .counters = counters };
	if (check_given(given, err))
		return -1;
	log->fd = duplicate(log, given, err);
	if (log->fd < 0)
		return -1;
	/* A burst is longer than 64 KiB. It stays where it is no pipe, or too many are large. */
	fcntl(log->fd, F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

int logfile_memory(struct logfile *log, struct counters *counters, struct error *err)
{
	*log = (struct logfile){ .kind = LOGFILE_MEMORY, .counters = counters };
	log->fd = memfd_create("flow log", MFD_CLOEXEC);
	if (log->fd < 0 || fcntl(log->fd, F_SETFL, O_APPEND) < 0)
		return error_set(err, errno, "keep a flow log in memory");
	return 0;
}

/* A hole, for the writers' places must stay. */
void logfile_taken(struct logfile *log, uint64_t end)
{
	uint64_t taken = log->counters->log_taken;

	if (log->kind != LOGFILE_MEMORY || end == taken)
		return;
	if (fallocate(log->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, taken,
		      end - taken) == 0)
		__atomic_store_n(&log->counters->log_taken, end, __ATOMIC_RELAXED);
}

void logfile_close(struct logfile *log)
{
	cleanup_fd_fn(&log->fd);
	log->fd = -1;
}

void logfile_lost(struct logfile *log, int code)
{
	struct counters *c = log->counters;

	c->lost_records++;
	if (c->log_warned)
		return;
	c->log_warned = true;
	log_warn("the flow log can't be written: %s; the run goes on",
		 code ? strerror(code) : "there was room for a part of a line only");
}

static bool is_full(const struct logfile *log)
{
	const struct counters *c = log->counters;

	return log->kind == LOGFILE_MEMORY &&
	       c->log_written - __atomic_load_n(&c->log_taken, __ATOMIC_RELAXED) >=
		       LOGFILE_MEMORY_MAX;
}

static ssize_t put(const struct logfile *log, struct iovec *iov, int n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	struct pollfd poll_fd = { .fd = log->fd, .events = POLLOUT };

	if (log->kind == LOGFILE_SOCKET)
		return sendmsg(log->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (log->kind == LOGFILE_OTHER && poll(&poll_fd, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return writev(log->fd, iov, n);
}

void logfile_line(struct logfile *log, const char *text, size_t len)
{
	bool mend = log->counters->log_torn;
	struct iovec iov[3] = { { (char *)"\n", mend },
				{ (char *)text, len },
				{ (char *)"\n", 1 } };
	ssize_t n;

	if (is_full(log))
		return logfile_lost(log, ENOSPC);
	n = put(log, iov, ARRAY_SIZE(iov));
	log->counters->log_written += MAX(n, 0);
	if (n == (ssize_t)(mend + len + 1)) {
		log->counters->log_torn = false;
		return;
	}
	if (n > 0)
		log->counters->log_torn = n > mend;
	logfile_lost(log, n < 0 ? errno : 0);
}
