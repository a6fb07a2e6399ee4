/* ICMP queries of the child: ping, and what traceroute and its like make of it. */
#ifndef FLOW_ICMP_H
#define FLOW_ICMP_H

#include <uv.h>

#include "base/echo.h"
#include "base/poller.h"
#include "base/sockwatch.h"
#include "flow/guard.h"
#include "flow/who.h"

struct echoes;

struct echoes_deps {
	uv_loop_t *loop;
	const struct guard *guard;
	struct poller *poller;
	struct who *who;	  /* or NULL */
	struct sock_watch *watch; /* or NULL */
	size_t capacity;	  /* sockets at a time */
};

/* Opens what needs a privilege, if we have it: to be called before we give it up. NULL
 * without memory. */
struct echoes *echoes_new(const struct echoes_deps *deps);

/* An echo_fn: the ctx is the table. */
void echoes_query(void *table, struct echo_near *near, const struct echo *query);

/* Ends every flow. echoes_free() when the loop has run. */
void echoes_close(struct echoes *t);
void echoes_free(struct echoes *t);

#endif
