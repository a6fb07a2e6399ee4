/* The DNS service: takes the child's questions to port 53 of any address and answers them. */
#ifndef FLOW_DNS_H
#define FLOW_DNS_H

#include <uv.h>

#include "base/channel.h"
#include "dns/hosts.h"
#include "dns/resolver.h"
#include "event/event.h"

#define DNS_PORT 53

struct nameserver;
struct nameserver_ask;

struct nameserver_deps {
	uv_loop_t *loop;
	struct events *events;
	struct resolver *resolver;
	const struct hosts *hosts; /* or NULL */
	struct addr own[2];	   /* the gateway's addresses */
	bool ask_only_ours;	   /* our servers, whichever address the child asks */
};

/* NULL without memory. */
struct nameserver *nameserver_new(const struct nameserver_deps *deps);
/* Ends all connections; questions under way must have been cancelled by their askers.
 * nameserver_free() when the loop has run. */
void nameserver_close(struct nameserver *svc);
void nameserver_free(struct nameserver *svc);

/* Who asks, and of whom. */
struct nameserver_client {
	uint8_t protocol; /* IPPROTO_UDP or IPPROTO_TCP */
	struct endpoint child, to;
};

/* The answer, valid in the call only; len 0 when none may be given. */
typedef void (*nameserver_fn)(void *ctx, const uint8_t *answer, size_t len);

/* Answers one message. `done` is called once: before this returns NULL, or later. */
struct nameserver_ask *nameserver_ask(struct nameserver *svc,
				      const struct nameserver_client *who,
				      const uint8_t *query, size_t len,
				      nameserver_fn done, void *ctx);
/* `done` won't be called any more. */
void nameserver_cancel(struct nameserver_ask *ask);

/* Serves DNS over TCP (RFC 7766) on a near channel and takes it over. */
void nameserver_accept(struct nameserver *svc, struct channel *near,
		       const struct endpoint *child, const struct endpoint *to);

#endif
