/*
 * Theory of operation
 *
 * A flow is made for each attempt that is not DNS. policy_decide() is asked once, here; then
 * the target is dialled while the child still waits, and the attempt is answered by what the
 * host's network said: accepted when it connected, refused with the same errno when not. So
 * the child sees what it would see without us, and one slow target delays nobody.
 *
 * flow_close() is the only way out and emits flow_end exactly once for a flow that opened.
 *
 * Drain: when the command has ended its kernel still sends what it had accepted. Each open
 * flow is waited for until the child's side has ended and the remote has acknowledged all
 * of it; what the remote still sends has no reader and does not count.
 */
#include "flow/flow.h"

#include <errno.h>
#include <stdlib.h>

#include "flow/dns.h"
#include "flow/pump.h"

/* Delivery has no event of its own: asked for with growing pauses. */
#define DRAIN_POLL_FIRST_MS 1
#define DRAIN_POLL_MAX_MS 50

/*
 * DIALING: attempt and, once dial() has returned, dial; no channels.
 * OPEN:    pump; attempt and dial are gone.
 * CLOSED:  off the table; only the memory is left.
 */
enum flow_state {
	FLOW_DIALING,
	FLOW_OPEN,
	FLOW_CLOSED
};

struct flow {
	struct list node;
	struct flow_table *table;
	uint64_t id;
	enum flow_state state;
	struct target target;
	struct endpoint child;
	struct attempt *attempt;
	struct dial *dial;
	struct pump pump;
};

struct flow_table {
	struct flow_deps deps;
	struct list flows;
	size_t count;
	uv_timer_t drain_timer;
	bool draining;
	uint64_t drain_deadline_ms;
	unsigned drain_poll_ms;
	void (*drained)(void *ctx, const struct flow_lost *lost);
	void *drained_ctx;
};

static void emit(const struct flow *f, struct event ev)
{
	ev.flow_id = f->id;
	ev.protocol = f->target.protocol;
	ev.child = f->child;
	ev.remote = f->target.to;
	event_emit(f->table->deps.events, &ev);
}

static void drain_check(struct flow_table *t);

static void flow_close(struct flow *f, int err)
{
	struct flow_table *t = f->table;

	if (f->state == FLOW_OPEN) {
		pump_close(&f->pump, err);
		emit(f, (struct event){ .kind = EVENT_FLOW_END,
					.flow_end = { .bytes_up = f->pump.near.bytes,
						      .bytes_down = f->pump.far.bytes,
						      .err = err } });
	} else if (f->dial) {
		t->deps.dialer->ops->cancel(f->dial);
	}
	f->state = FLOW_CLOSED;
	list_del(&f->node);
	t->count--;
	free(f);
	if (t->draining)
		drain_check(t);
}

static void on_pump_end(struct pump *p, int err)
{
	flow_close(container_of(p, struct flow, pump), err);
}

static void result(struct flow *f, int err)
{
	emit(f, (struct event){ .kind = EVENT_CONNECT_RESULT,
				.connect_result = { .err = err } });
}

static void refuse(struct flow *f, int err)
{
	struct attempt *a = f->attempt;

	f->attempt = NULL;
	result(f, err);
	a->ops->refuse(a, err);
	flow_close(f, err);
}

static void on_dialed(void *ctx, struct channel *far, int err)
{
	struct flow *f = ctx;
	struct channel *near;

	f->dial = NULL;
	if (!far)
		return refuse(f, err);
	near = f->attempt->ops->accept(f->attempt);
	f->attempt = NULL;
	if (!near) {
		far->ops->close(far, ECONNABORTED);
		result(f, ENOMEM);
		return flow_close(f, ENOMEM);
	}
	result(f, 0);
	f->state = FLOW_OPEN;
	pump_start(&f->pump, near, far, on_pump_end);
}

static void on_cancel(void *owner)
{
	struct flow *f = owner;

	f->attempt = NULL;
	result(f, ECONNABORTED);
	flow_close(f, ECONNABORTED);
}

static void start(struct flow_table *t, struct attempt *a, const struct target *target)
{
	struct flow *f = t->count < t->deps.capacity ? calloc(1, sizeof(*f)) : NULL;
	struct dial_result r;

	if (!f)
		return a->ops->refuse(a, ECONNREFUSED);
	f->table = t;
	f->id = event_flow_id(t->deps.events);
	f->target = *target;
	f->child = a->child;
	f->attempt = a;
	a->owner = f;
	a->on_cancel = on_cancel;
	list_add_tail(&t->flows, &f->node);
	t->count++;
	emit(f, (struct event){ .kind = EVENT_CONNECT_ATTEMPT });
	r = t->deps.dialer->ops->dial(t->deps.dialer, &f->target, on_dialed, f);
	if (r.pending)
		f->dial = r.pending;
	else
		on_dialed(f, r.far, r.err);
}

static void deny(struct flow_table *t, struct attempt *a, const struct target *target,
		 const struct verdict *v)
{
	struct event ev = {
		.kind = EVENT_POLICY_VIOLATION,
		.protocol = target->protocol,
		.child = a->child,
		.remote = target->to,
		.policy_violation = { .target = target, .verdict = v },
	};

	/* Asking the gateway for a port nobody serves breaks no rule. */
	if (v->reason != REASON_GATEWAY)
		event_emit(t->deps.events, &ev);
	a->ops->refuse(a, ECONNREFUSED);
}

static void serve_dns(struct flow_table *t, struct attempt *a)
{
	struct endpoint child = a->child, to = a->remote;
	struct channel *near = a->ops->accept(a);

	if (near)
		nameserver_accept(t->deps.dns, near, &child, &to);
}

void flow_attempt(void *table, struct attempt *a)
{
	struct flow_table *t = table;
	struct target target = { .protocol = IPPROTO_TCP, .to = a->remote };
	struct verdict v;

	if (t->draining)
		return a->ops->refuse(a, ECONNREFUSED);
	v = policy_decide(t->deps.policy, &target);
	if (a->remote.port == DNS_PORT && (v.allow || v.reason == REASON_GATEWAY))
		serve_dns(t, a);
	else if (v.allow)
		start(t, a, &target);
	else
		deny(t, a, &target, &v);
}

size_t flow_count(const struct flow_table *t)
{
	return t->count;
}

/* --- drain --- */

static bool delivered(const struct flow *f)
{
	struct channel *far = f->pump.far.ch;

	return f->pump.near.eof && !far->ops->unacked(far);
}

static void drain_done(struct flow_table *t, const struct flow_lost *lost)
{
	t->draining = false;
	uv_timer_stop(&t->drain_timer);
	t->drained(t->drained_ctx, lost);
}

static void drain_give_up(struct flow_table *t)
{
	struct flow_lost lost = { .bytes = sock_set_abandon(t->deps.socks) };
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &t->flows) {
		struct channel *far = list_entry(pos, struct flow, node)->pump.far.ch;

		lost.flows++;
		lost.bytes += far->ops->unacked(far);
	}
	drain_done(t, &lost);
}

static void drain_check(struct flow_table *t)
{
	static const struct flow_lost none;

	if (list_empty(&t->flows) && sock_set_idle(t->deps.socks))
		drain_done(t, &none);
}

static void on_drain_timer(uv_timer_t *timer)
{
	struct flow_table *t = container_of(timer, struct flow_table, drain_timer);
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &t->flows) {
		struct flow *f = list_entry(pos, struct flow, node);

		if (f->state == FLOW_OPEN && delivered(f))
			flow_close(f, 0);
		if (!t->draining)
			return;
	}
	drain_check(t);
	if (!t->draining)
		return;
	if (uv_now(t->deps.loop) >= t->drain_deadline_ms)
		return drain_give_up(t);
	t->drain_poll_ms = MIN(t->drain_poll_ms * 2, (unsigned)DRAIN_POLL_MAX_MS);
	uv_timer_start(timer, on_drain_timer, t->drain_poll_ms, 0);
}

/* Those that are still being dialled: nobody waits for their answer. */
static void cancel_dialing(struct flow_table *t)
{
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &t->flows) {
		struct flow *f = list_entry(pos, struct flow, node);

		if (f->state == FLOW_DIALING)
			refuse(f, ECONNREFUSED);
	}
}

void flow_drain(struct flow_table *t, unsigned timeout_ms,
		void (*done)(void *ctx, const struct flow_lost *lost), void *ctx)
{
	cancel_dialing(t);
	uv_update_time(t->deps.loop);
	t->draining = true;
	t->drained = done;
	t->drained_ctx = ctx;
	t->drain_deadline_ms = uv_now(t->deps.loop) + timeout_ms;
	t->drain_poll_ms = DRAIN_POLL_FIRST_MS;
	uv_timer_start(&t->drain_timer, on_drain_timer, 0, 0);
}

/* --- life --- */

struct flow_table *flow_table_new(const struct flow_deps *deps)
{
	struct flow_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->deps = *deps;
	list_init(&t->flows);
	uv_timer_init(deps->loop, &t->drain_timer);
	return t;
}

void flow_table_close(struct flow_table *t)
{
	t->draining = false;
	cancel_dialing(t);
	while (!list_empty(&t->flows))
		flow_close(list_entry(t->flows.next, struct flow, node), ECONNABORTED);
	sock_set_abandon(t->deps.socks);
	uv_close((uv_handle_t *)&t->drain_timer, NULL);
}

void flow_table_free(struct flow_table *t)
{
	free(t);
}
