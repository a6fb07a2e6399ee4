/*
 * Asks the policy what the child may reach, with what is known of the target, and tells what
 * is refused. Every attempt, datagram, echo and question comes here before it goes on.
 */
#ifndef FLOW_GUARD_H
#define FLOW_GUARD_H

#include <uv.h>

#include "dns/names.h"
#include "dns/pool.h"
#include "event/event.h"

struct guard {
	const struct policy *policy;
	struct events *events;
	struct names *names; /* or NULL: none are learned */
	struct pool *pool;   /* or NULL: no address is synthetic */
	uv_loop_t *loop;
	bool audit; /* what the rules refuse is told, and goes on */
};

/* One question to the policy. The known names last until the table of names changes, that of a
 * synthetic address until the pool does. */
struct inquiry {
	struct target target;
	struct known_name known[NAMES_PER_ADDRESS];
	const struct process *process; /* that asks, or NULL */
	bool of_server;		       /* the target is one that answers DNS questions */
	struct verdict verdict;
	bool passes;
};

/*
 * Fills in what a synthetic address stands for, the names that are known for any other, the
 * verdict, and whether it passes. What is refused whatever the options are (loopback,
 * multicast), or has no way out, is so under audit, too.
 */
void guard_judge(const struct guard *g, struct inquiry *q);

/* Whether there is something to tell. Asking the gateway for a port nobody serves breaks no
 * rule. */
static inline bool guard_objects(const struct inquiry *q)
{
	return !q->verdict.allow && q->verdict.reason != REASON_GATEWAY;
}

/* Whether the child hears that it may not: no ICMP error about a datagram to many, RFC 1122
 * 3.2.2. */
static inline bool guard_answers(const struct inquiry *q)
{
	return !q->passes && q->verdict.reason != REASON_MULTICAST;
}

/* Tells what was judged to be against the rules, as one of flow_id (0: there is no flow yet). */
void guard_tell(const struct guard *g, const struct endpoint *child, uint64_t flow_id,
		const struct inquiry *q);

/* Judges, and tells what there is to tell. True when it may go on. */
bool guard_admits(const struct guard *g, const struct endpoint *child, uint64_t flow_id,
		  struct inquiry *q);

/* Emits ev with the names that its remote address has. */
void guard_emit(const struct guard *g, struct event *ev);

/* names_hold() and names_release() of an address; a hold is NULL when nothing is known. */
struct names_hold *guard_hold(const struct guard *g, const struct addr *addr);
void guard_release(const struct guard *g, struct names_hold *hold);

/* The same of what a synthetic address stands for: an inquiry's name lives as long. */
struct pool_hold *guard_hold_name(const struct guard *g, const struct addr *addr);
void guard_release_name(const struct guard *g, struct pool_hold *hold);

#endif
