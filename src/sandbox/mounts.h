/* What the command sees of the file system that is not the caller's. */
#ifndef SANDBOX_MOUNTS_H
#define SANDBOX_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A file that stands in for the host's /etc/NAME. */
struct etc_file {
	const char *name;
	const char *text;
	size_t len;
};

/* Where the command's programs write TLS keys to, if they are to. */
#define MOUNTS_KEYS_NAME "childflow-keys"
#define MOUNTS_KEYS "/etc/" MOUNTS_KEYS_NAME

struct hide;

struct mounts_setup {
	const struct etc_file *etc;
	size_t etc_count;
	struct hide *hide;
	bool keys;	   /* a pipe at MOUNTS_KEYS */
	bool guard_kernel; /* see mounts_guard_kernel() */
};

/*
 * Makes the mounts in the calling process's own mount namespace, with its capabilities,
 * inside the new PID and network namespaces. The working directory stays what its path
 * says; "/" when that path is gone.
 */
int mounts_set_up(const struct mounts_setup *setup, struct error *err);

/*
 * Makes the settings of the machine's kernel read-only; after our own last sysctl. Root
 * without capabilities still owns those files.
 */
int mounts_guard_kernel(struct error *err);

#endif
