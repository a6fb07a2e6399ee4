#include "config/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* In place; path is absolute. */
static void normalise(char *path)
{
	char *out = path, *in = path;

	while (*in) {
		size_t len;

		in += strspn(in, "/");
		len = strcspn(in, "/");
		if (len == 2 && memcmp(in, "..", 2) == 0) {
			while (out > path && *--out != '/')
				continue;
		} else if (len && !(len == 1 && *in == '.')) {
			*out++ = '/';
			memmove(out, in, len);
			out += len;
		}
		in += len;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

int path_descriptor(const char *path)
{
	static const char prefix[] = "fd:";
	const char *number = path + strlen(prefix);
	size_t digits;

	if (strncmp(path, prefix, strlen(prefix)) != 0)
		return -1;
	digits = strspn(number, "0123456789");
	return digits && digits <= 6 && !number[digits] ? atoi(number) : -1;
}

char *path_from(const char *dir, const char *path)
{
	char *joined;

	if (!dir || *path == '/' || strcmp(path, "-") == 0 || path_descriptor(path) >= 0)
		return strdup(path);
	if (asprintf(&joined, "%s/%s", dir, path) < 0)
		return NULL;
	normalise(joined);
	return joined;
}

char *path_read(const char *path, size_t max, size_t *len, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	size_t room = 0;
	ssize_t n;

	*len = 0;
	if (fd < 0) {
		error_set(err, errno, "open %s", path);
		return NULL;
	}
	do {
		if (*len + 1 >= room) {
			char *more = realloc(text, room = MAX(room * 2, (size_t)16384));

			if (!more) {
				error_set(err, ENOMEM, "read %s", path);
				return NULL;
			}
			text = more;
		}
		n = read(fd, text + *len, room - *len - 1);
		if (n < 0 && errno != EINTR) {
			error_set(err, errno, "read %s", path);
			return NULL;
		}
		*len += MAX(n, 0);
		if (*len > max) {
			error_set(err, EFBIG, "read %s", path);
			return NULL;
		}
	} while (n);
	text[*len] = '\0';
	return steal_ptr(&text);
}
