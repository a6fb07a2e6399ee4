/*
 * Datagrams of one child address and port, as a backend sees them.
 *
 * The backend makes a dgram_port at the first datagram of a child endpoint, hands it to
 * on_dgram with every datagram, and forgets it when the flow side calls close.
 */
#ifndef BASE_DGRAM_H
#define BASE_DGRAM_H

#include <stddef.h>
#include <sys/uio.h>

#include "base/neterror.h"

struct dgram_port;

#define DGRAM_BURST 48

/* A datagram of the child, valid in the call only. */
struct dgram {
	struct endpoint to;
	const void *data;
	size_t len;
	uint8_t ttl, tos;
	bool dont_fragment; /* IPv4's DF; always for IPv6 that came in one piece */
	/* As they stand in its headers, in network order: for who quotes them. */
	uint16_t ip_id, sum;
};

struct dgram_port_ops {
	/* To the child, as if `from` had sent them: one datagram per iovec, at most
	 * DGRAM_BURST, all of one length but for the last, which may be shorter. 0 or
	 * -errno; what an error concerns is lost. */
	int (*send)(struct dgram_port *p, const struct endpoint *from,
		    const struct iovec *iov, int n);
	/* Tells errno `err` about the datagram that on_dgram is just being called with, by
	 * an ICMP error; `mtu` goes with EMSGSIZE. */
	void (*refuse)(struct dgram_port *p, int err, uint32_t mtu);
	/* Tells of a datagram sent earlier: d is what is remembered of it but its data, of
	 * which the first n bytes are known. */
	void (*error)(struct dgram_port *p, const struct dgram *d, const void *data,
		      size_t n, const struct neterror *e);
	void (*close)(struct dgram_port *p);
};

struct dgram_port {
	const struct dgram_port_ops *ops;
	struct endpoint child;
	void *owner; /* the flow side's session; NULL at the first datagram */
};

typedef void (*dgram_fn)(void *ctx, struct dgram_port *p, const struct dgram *d);

#endif
