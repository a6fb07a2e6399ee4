/* A host TCP socket as a channel, from connect() on. */
#ifndef DIAL_SOCK_H
#define DIAL_SOCK_H

#include <uv.h>

#include "base/addr.h"
#include "base/dialer.h"
#include "base/list.h"
#include "base/neterror.h"
#include "base/poller.h"
#include "base/sockwatch.h"

/* The sockets of one loop; the caller owns it. */
struct sock_set {
	uv_loop_t *loop;
	struct poller *poller;
	struct list parting; /* reset by the child, what it had sent is still under way */
	uv_timer_t timer;    /* looks after them */
	/* While a probe's dial_fn is told of a failure: the router's message about it. */
	const struct neterror *why;
	struct sock_watch *watch; /* or NULL */
};

void sock_set_init(struct sock_set *set, uv_loop_t *loop, struct poller *poller);
/* True when no socket is parting any more. */
bool sock_set_idle(const struct sock_set *set);
/* Resets the parting ones; returns the bytes that their peers have not acknowledged. */
size_t sock_set_abandon(struct sock_set *set);
/* After sock_set_abandon(). The timer is closed when the loop has run. */
void sock_set_close(struct sock_set *set);

struct dial_result sock_connect(struct sock_set *set, const struct endpoint *to,
				dial_fn done, void *ctx);
/* For a child's SYN that counts hops, of which it had `ttl` left: ours has one less, and what
 * a router says about it is kept. Once connected, the socket is as any other. */
struct dial_result sock_probe(struct sock_set *set, const struct endpoint *to,
			      uint8_t ttl, dial_fn done, void *ctx);
void sock_connect_cancel(struct dial *dial);

#endif
