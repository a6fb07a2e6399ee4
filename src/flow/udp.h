/* Datagrams of the child: one session per child endpoint. */
#ifndef FLOW_UDP_H
#define FLOW_UDP_H

#include <uv.h>

#include "base/dgram.h"
#include "base/poller.h"
#include "base/sockwatch.h"
#include "flow/dialers.h"
#include "flow/dns.h"
#include "flow/guard.h"

struct sessions;

struct sessions_deps {
	uv_loop_t *loop;
	const struct guard *guard;
	struct nameserver *dns;
	struct who *who; /* or NULL */
	struct poller *poller;
	struct sock_watch *watch;      /* or NULL */
	const struct dialers *dialers; /* or NULL: nothing leaves but directly */
	/* A proxy turns out to carry no datagrams; or NULL. */
	void (*no_datagrams)(void *ctx, enum route route, const char *why);
	void *ctx;
	size_t capacity; /* sockets at a time */
};

/* NULL without memory. */
struct sessions *sessions_new(const struct sessions_deps *deps);

/* A dgram_fn: the ctx is the table. */
void sessions_dgram(void *table, struct dgram_port *port, const struct dgram *d);

/* Sends what waits for more of its kind. To be called before the loop sleeps. */
void sessions_flush(struct sessions *t);

/* Ends every session, and with them their ports. sessions_free() when the loop has run. */
void sessions_close(struct sessions *t);
void sessions_free(struct sessions *t);

#endif
