/* Which user and group ids exist inside: the caller's own, or for real root its whole range. */
#ifndef SANDBOX_IDMAP_H
#define SANDBOX_IDMAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

#define IDMAP_TEXT_MAX 4096 /* the kernel takes less than a page at once */

struct idmap {
	bool whole; /* every id the caller has; needs CAP_SETUID and CAP_SETGID outside */
	bool root;  /* the caller is uid 0, who owns the kernel's files even without capabilities */
	char uid[IDMAP_TEXT_MAX], gid[IDMAP_TEXT_MAX];
};

/*
 * Chooses by the caller's capabilities. The same map serves both user namespaces. With
 * as_root the caller's own ids become 0; where all ids are mapped, 0 is among them.
 */
int idmap_choose(struct idmap *map, bool as_root, struct error *err);

/*
 * Writes the map of the user namespace that `pid` has entered; 0 is the calling process.
 * A whole map must be written from the parent namespace.
 */
int idmap_write(const struct idmap *map, pid_t pid, struct error *err);

/*
 * Turns the text of a uid_map or gid_map into the identity map of the same ids.
 * Returns -1 when it is malformed or does not fit.
 */
int idmap_identity(const char *text, char out[static IDMAP_TEXT_MAX]);

#endif
