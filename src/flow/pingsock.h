/* Host sockets for ICMP queries: "ping sockets" (icmp(7), net.ipv4.ping_group_range), which
 * the kernel gives an identifier of their own, and raw ones, which share one per family. */
#ifndef FLOW_PINGSOCK_H
#define FLOW_PINGSOCK_H

#include "base/echo.h"
#include "base/errqueue.h"
#include "flow/marks.h"

/* The largest message, with an IPv4 header in front. */
#define PINGSOCK_MAX 65536

struct pingsock {
	int fd;
	bool v4, raw;
	struct marks marks;
};

/* Opens a ping socket, with the identifier `wish` when it is free. 0 or -errno. */
int pingsock_open(struct pingsock *s, bool v4, uint16_t wish);
/* The identifier its queries bear. */
uint16_t pingsock_id(const struct pingsock *s);

/* Opens a raw socket that hears nothing yet. 0 or -errno. */
int pingsock_open_raw(struct pingsock *s, bool v4);
/* Has it hear replies and errors. 0 or -errno. */
int pingsock_hear(struct pingsock *s);

/* Sends the query under another identifier. 0 or -errno. */
int pingsock_send(struct pingsock *s, const struct echo *query, uint16_t id);

/* Reads a message into buf: r gets its sender as `peer`, and points into buf. False when
 * there is none. */
bool pingsock_recv(struct pingsock *s, struct echo *r, uint8_t buf[static PINGSOCK_MAX]);

/* The next error of a query: `query` gets the peer, what a quoted header tells (type, code,
 * id, seq), and data that points into e. */
bool pingsock_error(struct pingsock *s, struct errqueue_entry *e, struct echo *query);

/* Says why queries like this one can't leave: it is refused with EACCES. */
void pingsock_warn(const struct echo *query);

#endif
