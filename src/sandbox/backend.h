/*
 * How the child gets its namespaces' other end: the one seam between backends.
 *
 * The supervisor, init and command are the same for all; a backend says which link stands
 * in the child's network namespace and what has to be done for it, outside and inside.
 */
#ifndef SANDBOX_BACKEND_H
#define SANDBOX_BACKEND_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/netplan.h"
#include "sandbox/idmap.h"
#include "sandbox/proto.h"

struct backend;

/* Steps return 0, or -1 with err filled in. */
struct backend_ops {
	/* Supervisor, before anything is forked: find out and reserve. */
	int (*prepare)(struct backend *be, struct error *err);
	/* Supervisor, when `init` waits in its new namespaces: what only outside can do. */
	int (*enter)(struct backend *be, pid_t init, struct error *err);
	/* Init: makes the link, fills in plan->ipv6, gives the engine's descriptors. */
	int (*attach)(struct backend *be, struct netplan *plan,
		      int fds[static PROTO_FD_COUNT], struct error *err);
	/* Init, when the engine is gone: nothing may pass any more, at once. */
	void (*detach)(struct backend *be);
	/* Where a step of process `pid` has failed: adds cause and cure to err if known. */
	void (*check)(struct error *err, pid_t pid);
};

struct backend {
	const struct backend_ops *ops;
	bool as_root;	     /* the command is uid 0 inside */
	struct idmap idmap; /* prepare(); for both user namespaces */
	int route_sock;	    /* attach() */
	int tap_index;	    /* attach() */
};

extern const struct backend_ops rootless_backend;

#endif
