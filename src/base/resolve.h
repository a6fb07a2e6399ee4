/* Finds a name's addresses, for rooms that don't know how. */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define RESOLVE_ADDRS_MAX 16

struct resolve;
struct resolve_ask;

/* The addresses, the better ones first, and for how long they may be kept; none when the name
 * has none or nobody knows. */
typedef void (*resolve_fn)(void *ctx, const struct addr *addrs, size_t n, uint32_t ttl_s);

struct resolve_ops {
	/* `done` is called once, never from within this call. NULL when nobody can be asked:
	 * it isn't called then. */
	struct resolve_ask *(*ask)(struct resolve *r, const char *name, resolve_fn done,
				   void *ctx);
	/* `done` won't be called any more, and the ask is gone. */
	void (*cancel)(struct resolve_ask *ask);
};

struct resolve {
	const struct resolve_ops *ops;
};

#endif
