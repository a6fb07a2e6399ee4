/*
 * Datagrams of one child address and port, as a backend sees them.
 *
 * The backend makes a dgram_port at the first datagram of a child endpoint, hands it to
 * on_dgram with every datagram, and forgets it when the flow side calls close.
 */
#ifndef BASE_DGRAM_H
#define BASE_DGRAM_H

#include <stddef.h>

#include "base/addr.h"

struct dgram_port;

struct dgram_port_ops {
	/* To the child, as if `from` had sent it. 0 or -errno. */
	int (*send)(struct dgram_port *p, const struct endpoint *from, const void *data,
		    size_t len);
	/* Answers the datagram that on_dgram is just being called with by an ICMP error
	 * that tells errno `err`. */
	void (*refuse)(struct dgram_port *p, int err);
	void (*close)(struct dgram_port *p);
};

struct dgram_port {
	const struct dgram_port_ops *ops;
	struct endpoint child;
	void *owner; /* the flow side's session; NULL at the first datagram */
};

typedef void (*dgram_fn)(void *ctx, struct dgram_port *p, const struct endpoint *to,
			 const void *data, size_t len);

#endif
