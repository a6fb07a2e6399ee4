/* Names of files in settings, and their content. */
#ifndef CONFIG_PATH_H
#define CONFIG_PATH_H

#include <stddef.h>

#include "base/error.h"

/* N of "fd:N", a descriptor that we are started with; -1 for the names of files. */
int path_descriptor(const char *path);

/* A relative path counted from dir, without "." and ".." (by the letter: links are not
 * looked at). As it is when dir is NULL, for "-" and for "fd:N". Text to free(), NULL without memory. */
char *path_from(const char *dir, const char *path);

/* The whole of a file or pipe of at most max bytes, a NUL behind it; to free(). */
char *path_read(const char *path, size_t max, size_t *len, struct error *err);

#endif
