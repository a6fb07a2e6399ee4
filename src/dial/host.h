/* Where a proxy is: its addresses, looked up when first needed and kept as long as they say. */
#ifndef DIAL_HOST_H
#define DIAL_HOST_H

#include <uv.h>

#include "base/list.h"
#include "base/resolve.h"

/* Plain memory of the caller; its fields are host.c's but for the first two. */
struct host {
	struct addr addrs[RESOLVE_ADDRS_MAX];
	size_t count;
	size_t best; /* the address that was reached last */
	const char *name;
	bool is_addr;
	uv_loop_t *loop;
	struct resolve *resolve;
	struct resolve_ask *ask;
	struct list waiting;
	uint64_t expires_ms;
};

struct host_wait {
	struct list node;
	void (*ready)(struct host_wait *w, bool found);
};

/* `addr` is NULL for a name; name and resolve must live on. */
void host_init(struct host *h, uv_loop_t *loop, struct resolve *resolve, const char *name,
	       const struct addr *addr);
/* Nobody is waiting any more. */
void host_close(struct host *h);

enum host_found {
	HOST_HERE,    /* addrs are good */
	HOST_PENDING, /* `ready` will be called, never from within host_find() */
	HOST_NOWHERE, /* nobody can be asked */
};

enum host_found host_find(struct host *h, struct host_wait *w,
			  void (*ready)(struct host_wait *w, bool found));
/* `ready` will not be called any more; harmless when it has been. */
void host_unwait(struct host *h, struct host_wait *w);

#endif
