/*
 * Flows: what became of each attempt. attempt -> verdict -> dial -> two channels -> end.
 */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <uv.h>

#include "base/attempt.h"
#include "dial/sock.h"
#include "flow/dialers.h"
#include "flow/guard.h"
#include "flow/who.h"

struct nameserver;
struct flow_table;

struct flow_deps {
	uv_loop_t *loop;
	const struct guard *guard;
	const struct dialers *dialers;
	struct sock_set *socks;
	struct who *who;	/* or NULL */
	struct nameserver *dns; /* serves TCP connections to port 53 */
	size_t capacity;	/* flows at a time; each has a descriptor */
	size_t sniffing_max;	/* of them at a time; each holds up to SNIFF_MAX bytes */
};

/* What a drain could not deliver. */
struct flow_lost {
	size_t flows, bytes;
};

/* NULL without memory. */
struct flow_table *flow_table_new(const struct flow_deps *deps);

/* An attempt_fn: the ctx is the table. */
void flow_attempt(void *table, struct attempt *a);

size_t flow_count(const struct flow_table *t);

/* The child is gone: refuses what is parked, delivers what was accepted, for at most
 * timeout_ms, then calls done once (from the loop). */
void flow_drain(struct flow_table *t, unsigned timeout_ms,
		void (*done)(void *ctx, const struct flow_lost *lost), void *ctx);

/* Ends every flow at once. flow_table_free() when the loop has run. */
void flow_table_close(struct flow_table *t);
void flow_table_free(struct flow_table *t);

#endif
