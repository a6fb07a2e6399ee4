/* Datagrams by way of a proxy. */
#ifndef BASE_RELAY_H
#define BASE_RELAY_H

#include <stddef.h>

#include "base/addr.h"

struct relayer;
struct relay;

/* Whom a datagram goes to or comes from. */
struct relay_peer {
	const char *name; /* of a host, or NULL: the address counts */
	struct endpoint at;
};

struct relay_up {
	/* Data and name are valid in the call. */
	void (*on_datagram)(void *ctx, const struct relay_peer *from, const void *data,
			    size_t len);
	/* Once: the relay is of no more use; the owner still calls close(). `refused`: the
	 * proxy says that it carries no datagrams. */
	void (*on_gone)(void *ctx, bool refused, const char *why);
};

struct relayer_ops {
	/* Asks the proxy for a relay. NULL without memory or descriptors. Nothing is called
	 * from within open() and send(). */
	struct relay *(*open)(struct relayer *r, const struct relay_up *up, void *ctx);
	/* Sends one datagram, as soon as the relay is there. 0 also when it is lost, as on any
	 * network; -EMSGSIZE, or -EHOSTUNREACH for a name that no proxy may be told. */
	int (*send)(struct relay *relay, const struct relay_peer *to, const void *data,
		    size_t len);
	/* The host's socket and the proxy's relay; false while there is none. */
	bool (*endpoints)(struct relay *relay, struct endpoint *local,
			  struct endpoint *peer);
	void (*close)(struct relay *relay);
};

struct relayer {
	const struct relayer_ops *ops;
};

#endif
