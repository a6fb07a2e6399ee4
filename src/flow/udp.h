/* Datagrams of the child: one session per child endpoint. */
#ifndef FLOW_UDP_H
#define FLOW_UDP_H

#include <uv.h>

#include "base/dgram.h"
#include "base/poller.h"
#include "event/event.h"
#include "flow/dns.h"

struct udp_sessions;

struct udp_deps {
	uv_loop_t *loop;
	const struct policy *policy;
	struct events *events;
	struct dns_service *dns;
	struct poller *poller;
	size_t capacity; /* sockets at a time */
};

/* NULL without memory. */
struct udp_sessions *udp_sessions_new(const struct udp_deps *deps);

/* A dgram_fn: the ctx is the table. */
void udp_sessions_dgram(void *table, struct dgram_port *port, const struct dgram *d);

/* Ends every session, and with them their ports. udp_sessions_free() when the loop has run. */
void udp_sessions_close(struct udp_sessions *t);
void udp_sessions_free(struct udp_sessions *t);

#endif
