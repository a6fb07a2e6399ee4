/* The DNS service: takes the child's questions to port 53 of any address and answers them. */
#ifndef FLOW_DNS_H
#define FLOW_DNS_H

#include <uv.h>

#include "base/channel.h"
#include "dns/hosts.h"
#include "dns/names.h"
#include "dns/resolver.h"
#include "event/event.h"
#include "flow/dns_remote.h"
#include "flow/who.h"

#define DNS_PORT 53

struct nameserver;
struct nameserver_ask;

/* Who asks, and of whom. */
struct nameserver_client {
	uint8_t protocol; /* IPPROTO_UDP or IPPROTO_TCP */
	struct endpoint child, to;
	const struct who_ask *who; /* which process; or NULL */
};

/* What the rules say of a name. */
enum nameserver_standing {
	NAMESERVER_UNNAMED, /* nothing */
	NAMESERVER_DENIED,
	NAMESERVER_ALLOWED,
};

enum nameserver_class {
	NAMESERVER_PUBLIC,
	NAMESERVER_PRIVATE, /* RFC 1918, unique local, the host's own */
	NAMESERVER_NEVER,   /* loopback, link-local, metadata, unspecified, multicast */
};

enum nameserver_refusal {
	NAMESERVER_REFUSED_OFFLINE,
	NAMESERVER_REFUSED_DENIED,
	NAMESERVER_REFUSED_UNNAMED,
	NAMESERVER_STRIPPED_ADDRESS,
	NAMESERVER_STRIPPED_ALIAS,
};

/* What was kept from the child. */
struct nameserver_refused {
	enum nameserver_refusal why;
	const struct nameserver_client *who;
	const struct msg_question *q;
	const struct addr *addr; /* NAMESERVER_STRIPPED_ADDRESS, else NULL */
	const char *alias;	 /* NAMESERVER_STRIPPED_ALIAS, else NULL */
};

/* The rules as far as DNS goes. All zero: everything is asked, and every answer given. Names
 * are in lower case and presentation format; the functions are pure, and may be NULL. */
struct nameserver_rules {
	void *ctx;
	enum nameserver_standing (*standing)(void *ctx, const char *name);
	enum nameserver_class (*classify)(void *ctx, const struct addr *addr);
	void (*refused)(void *ctx, const struct nameserver_refused *refused);
	/* ROUTE_DIRECT: the name is asked of servers. Else it is resolved at the other end of
	 * that route, and ROUTE_BLOCK: nowhere. NULL: all are asked. */
	enum route (*route)(void *ctx, const char *name);
	bool offline;		   /* nothing is asked */
	bool only_allowed_asked;   /* a name that no rule allows is not asked */
	bool only_allowed_private; /* nor learned, when its address is private */
	bool strips_private;
	bool names_rule; /* there are domain rules: no key that hides a name, no extras */
	bool audit;	 /* what is refused is told, and asked all the same */
};

struct nameserver_deps {
	uv_loop_t *loop;
	struct events *events;
	struct resolver *resolver;
	const struct hosts *hosts; /* or NULL */
	struct addr own[2];	   /* the gateway's addresses */
	bool ask_only_ours;	   /* our servers, whichever address the child asks */
	struct who *attribution;   /* or NULL */
	struct names *names;	   /* is told what our servers answered; or NULL */
	struct pool *pool;	   /* or NULL: no address is synthetic */
	struct remote_dns *remote; /* goes with it */
	struct nameserver_rules rules;
};

/* NULL without memory. */
struct nameserver *nameserver_new(const struct nameserver_deps *deps);
/* Ends all connections; questions under way must have been cancelled by their askers.
 * nameserver_free() when the loop has run. */
void nameserver_close(struct nameserver *svc);
void nameserver_free(struct nameserver *svc);

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
