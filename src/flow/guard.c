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

void guard_tell(const struct guard *g, const struct endpoint *child, uint64_t flow_id,
		const struct inquiry *q)
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
				      .audit = q->passes },
	};

	if (guard_objects(q))
		guard_emit(g, &ev);
}

static bool pass(const struct guard *g, const struct verdict *v)
{
	bool passes = v->allow || (g->audit && v->reason >= REASON_OFFLINE);

	if (v->no_way)
		passes = false;
	return passes;
}

static void fill_in_names(const struct guard *g, struct inquiry *q)
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
}

void guard_judge(const struct guard *g, struct inquiry *q)
{
	if (q->of_server) {
		q->verdict = policy_decide_server(g->policy, &q->target);
	} else {
		fill_in_names(g, q);
		q->verdict = policy_decide(g->policy, &q->target);
	}
	q->passes = pass(g, &q->verdict);
}

bool guard_admits(const struct guard *g, const struct endpoint *child, uint64_t flow_id,
		  struct inquiry *q)
{
	guard_judge(g, q);
	guard_tell(g, child, flow_id, q);
	return q->passes;
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
