/*
 * A capture holds secrets, and the command may have made what stands at its path: files are
 * opened before it runs, or by the supervisor, never through a symbolic link, and belong to
 * the caller alone.
 */
#include "capture/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define SUFFIX ".pcapng"
#define FILE_MODE 0600

char *files_name(const char *path, const char *view, unsigned number)
{
	size_t len = strlen(path), tail = strlen(SUFFIX);
	bool has_suffix = len > tail && strcmp(path + len - tail, SUFFIX) == 0;
	char digits[16] = "", *name;

	if (!view && !number)
		return strdup(path);
	if (number)
		snprintf(digits, sizeof(digits), ".%05u", number);
	if (asprintf(&name, "%.*s%s%s%s%s", (int)(has_suffix ? len - tail : len), path,
		     view ? "." : "", view ? view : "", digits,
		     view || has_suffix ? SUFFIX : "") < 0)
		return NULL;
	return name;
}

/* The descriptor that a path stands for, or -1. */
static int descriptor_of(const char *path)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	char *end;
	long fd;

	if (strcmp(path, "-") == 0)
		return STDOUT_FILENO;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		size_t len = strlen(folders[i]);

		if (strncmp(path, folders[i], len) != 0)
			continue;
		fd = strtol(path + len, &end, 10);
		if (path[len] >= '0' && path[len] <= '9' && !*end && fd <= INT16_MAX)
			return fd;
	}
	return -1;
}

/*
 * Another descriptor for what the caller has opened. Of a pipe a description of our own, as
 * it must not block us, and must block others as before.
 */
static int reopen(int fd, const char *path, struct error *err)
{
	char link[40];
	struct stat st;
	int copy = -1;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "%s", path);
	if (isatty(fd)) {
		error_set(err, 0, "%s is a terminal: packets are no text", path);
		return error_cure(err, "Send them on: ... | tshark -r -");
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (S_ISFIFO(st.st_mode))
		copy = open(link, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (copy < 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return copy < 0 ? error_set(err, errno, "%s", path) : copy;
}

static int refused(const char *path, struct error *err)
{
	error_set(err, errno, "create %s", path);
	if (err->code == ELOOP)
		return error_cure(err, "Name the file itself: a symbolic link is not "
				       "followed, as the command could make one.");
	if (err->code == ENXIO)
		return error_cure(err, "Start the pipe's reader first.");
	return -1;
}

int files_open(const char *path, bool only_file, bool *made, struct error *err)
{
	const int flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	cleanup_fd int fd = -1;
	int given = descriptor_of(path);
	struct stat st;

	*made = false;
	if (given >= 0 && !only_file)
		return reopen(given, path, err);
	fd = open(path, flags);
	if (fd < 0 && errno == ENOENT) {
		fd = open(path, flags | O_CREAT | O_EXCL, FILE_MODE);
		*made = fd >= 0;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return refused(path, err);
	if (only_file && !S_ISREG(st.st_mode))
		return error_set(err, 0, "create %s: something else is there", path);
	return steal_fd(&fd);
}

int files_begin(const char *path, int fd, struct error *err)
{
	struct stat st;

	/* What the caller has opened has what it has, and nothing but a file can be emptied. */
	if (descriptor_of(path) >= 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (fchmod(fd, FILE_MODE) < 0 || ftruncate(fd, 0) < 0)
		return error_set(err, errno, "empty %s", path);
	return 0;
}
