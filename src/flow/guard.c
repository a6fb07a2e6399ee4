#include "flow/guard.h"

void guard_emit(const struct guard *g, struct event *ev)
{
	const char *names[NAMES_PER_ADDRESS];

	if (!events_wanted(g->events))
		return;
	if (g->pool)
		ev->name = pool_name(g->pool, &ev->remote.addr);
	if (g->names) {
		ev->name_count = names_of(g->names, &ev->remote.addr, uv_now(g->loop),
					  names);
		ev->names = names;
	}
	event_emit(g->events, ev);
}

static void tell(const struct guard *g, const struct endpoint *child, uint64_t flow_id,
		 const struct inquiry *q, bool passes)
{
	struct event ev = {
		.kind = EVENT_POLICY_VIOLATION,
		.flow_id = flow_id,
		.protocol = q->target.protocol,
		.child = *child,
		.remote = q->target.to,
		.via_proxy = q->verdict.route != ROUTE_DIRECT,
		.process = q->process,
		.policy_violation = { .target = &q->target,
				      .verdict = &q->verdict,
				      .audit = passes },
	};

	guard_emit(g, &ev);
}

/* Asking the gateway for a port nobody serves breaks no rule. */
static bool pass(const struct guard *g, const struct endpoint *child, uint64_t flow_id,
		 const struct inquiry *q)
{
	const struct verdict *v = &q->verdict;
	bool passes = v->allow || (g->audit && v->reason >= REASON_OFFLINE);

	if (v->no_way)
		passes = false;
	if (!v->allow && v->reason != REASON_GATEWAY)
		tell(g, child, flow_id, q, passes);
	return passes;
}

bool guard_admits(const struct guard *g, const struct endpoint *child, uint64_t flow_id,
		  struct inquiry *q)
{
	struct target *t = &q->target;
	const char *names[NAMES_PER_ADDRESS];

	t->known = q->known;
	t->known_count = 0;
	if (g->pool && pool_contains(g->pool, &t->to.addr)) {
		t->name_only = true;
		t->name = pool_name(g->pool, &t->to.addr);
	}
	if (g->names && !t->name_only)
		t->known_count = names_of(g->names, &t->to.addr, uv_now(g->loop), names);
	for (size_t i = 0; i < t->known_count; i++)
		q->known[i] = (struct known_name){ .name = names[i], .ours = true };
	q->verdict = policy_decide(g->policy, t);
	return pass(g, child, flow_id, q);
}

bool guard_admits_server(const struct guard *g, const struct endpoint *child,
			 struct inquiry *q)
{
	q->verdict = policy_decide_server(g->policy, &q->target);
	return pass(g, child, 0, q);
}

struct names_hold *guard_hold(const struct guard *g, const struct addr *addr)
{
	return g->names ? names_hold(g->names, addr, uv_now(g->loop)) : NULL;
}

void guard_release(const struct guard *g, struct names_hold *hold)
{
	if (hold)
		names_release(g->names, hold, uv_now(g->loop));
}

struct pool_hold *guard_hold_name(const struct guard *g, const struct addr *addr)
{
	return g->pool ? pool_hold(g->pool, addr) : NULL;
}

void guard_release_name(const struct guard *g, struct pool_hold *hold)
{
	if (hold)
		pool_release(g->pool, hold);
}
