/*
 * Theory of operation
 *
 * A flow is made for each attempt that is not DNS and that the guard admits; then the target
 * is dialled while the child still waits, and the attempt is answered by what the
 * host's network said: accepted when it connected, refused with the same errno when not. So
 * the child sees what it would see without us, and one slow target delays nobody.
 *
 * Where the verdict wants to know the name that the child will show, its first bytes are held
 * back until they show one, or can't; meanwhile the server's bytes pass. Then the guard is
 * asked again. A server that is denied by its name sees a connection without a byte.
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
#include <string.h>

#include "flow/dns.h"
#include "flow/marks.h"
#include "flow/pump.h"
#include "flow/sniff.h"

/* Delivery has no event of its own: asked for with growing pauses. */
#define DRAIN_POLL_FIRST_MS 1
#define DRAIN_POLL_MAX_MS 50

/* A client speaks first, in one go; who waits for the server shows no name. */
#define SNIFF_MAX_MS 3000

static_assert(PUMP_HELD_MAX == SNIFF_MAX, "all that is looked at is held");

/*
 * ASKING:   attempt; whose it is is being found out, nothing has been decided.
 * DIALING:  attempt and, once dial() has returned, dial; no channels.
 * SNIFFING: pump, which holds the child's bytes; on the table's list `sniffing`.
 * OPEN:     pump; attempt and dial are gone.
 * CLOSED:   off the table; only the memory is left.
 */
enum flow_state {
	FLOW_ASKING,
	FLOW_DIALING,
	FLOW_SNIFFING,
	FLOW_OPEN,
	FLOW_CLOSED
};

struct flow {
	struct list node, of_sniffing;
	struct flow_table *table;
	uint64_t id, start_ms, sniff_until_ms;
	enum flow_state state;
	enum route route;
	/* Without its known names: they come and go. The name it has shown is to be freed. */
	struct target target;
	struct names_hold *hold;
	struct pool_hold *name_hold; /* of a synthetic address; target.name is its */
	struct endpoint child;
	bool sniffs;
	union {
		struct { /* ASKING, DIALING */
			struct attempt *attempt;
			struct dialer *dialer;
			struct dial *dial;
		};
		struct pump pump; /* SNIFFING, OPEN */
	};
	struct who_ask who[]; /* one, if anybody wants to know */
};

struct flow_table {
	struct flow_deps deps;
	struct list flows;
	struct list sniffing; /* in the order in which their time is up */
	size_t sniffing_count;
	size_t count;
	uv_timer_t drain_timer, sniff_timer;
	bool draining;
	uint64_t drain_deadline_ms;
	unsigned drain_poll_ms;
	void (*drained)(void *ctx, const struct flow_lost *lost);
	void *drained_ctx;
};

static const struct process *process_of(const struct flow *f)
{
	return f->table->deps.who ? who_process(f->who) : NULL;
}

static void emit(const struct flow *f, struct event ev)
{
	ev.flow_id = f->id;
	ev.protocol = f->target.protocol;
	ev.child = f->child;
	ev.remote = f->target.to;
	ev.via_proxy = f->route != ROUTE_DIRECT;
	ev.process = process_of(f);
	guard_emit(f->table->deps.guard, &ev);
}

static void drain_check(struct flow_table *t);

static void stop_sniffing(struct flow *f)
{
	if (list_empty(&f->of_sniffing))
		return;
	list_del(&f->of_sniffing);
	list_init(&f->of_sniffing);
	f->table->sniffing_count--;
}

static void flow_close(struct flow *f, enum close_reason reason, int err)
{
	struct flow_table *t = f->table;

	if (f->state == FLOW_OPEN || f->state == FLOW_SNIFFING) {
		pump_close(&f->pump, err);
		emit(f,
		     (struct event){ .kind = EVENT_FLOW_END,
				     .flow_end = { .bytes_up = f->pump.near.bytes,
						   .bytes_down = f->pump.far.bytes,
						   .duration_ms = uv_now(t->deps.loop) -
								  f->start_ms,
						   .reason = reason,
						   .err = err,
						   .sniffed = f->sniffs,
						   .seen_name = f->target.seen_name } });
	} else if (f->dial) {
		f->dialer->ops->cancel(f->dial);
	}
	f->state = FLOW_CLOSED;
	guard_release(t->deps.guard, f->hold);
	guard_release_name(t->deps.guard, f->name_hold);
	if (t->deps.who)
		who_forget(f->who);
	stop_sniffing(f);
	list_del(&f->node);
	t->count--;
	free((char *)f->target.seen_name);
	free(f);
	if (t->draining)
		drain_check(t);
}

static void on_pump_end(struct pump *p, int err)
{
	enum close_reason reason = !err			 ? CLOSE_EOF :
				   p->failed == &p->near ? CLOSE_CHILD_RESET :
							   CLOSE_REMOTE_RESET;

	flow_close(container_of(p, struct flow, pump), reason, err);
}

/* --- sniffing --- */

/* Decides again, with the name that the child has shown, or with none. False when the flow
 * is over. */
static bool sniffed(struct flow *f, const char *name)
{
	struct inquiry q = { .target = f->target, .process = process_of(f) };

	stop_sniffing(f);
	q.target.sniffed = true;
	q.target.seen_name = name;
	f->target.seen_name = name ? strdup(name) : NULL;
	if (!guard_admits(f->table->deps.guard, &f->child, f->id, &q)) {
		flow_close(f, CLOSE_POLICY, ECONNREFUSED);
		return false;
	}
	f->state = FLOW_OPEN;
	return pump_release(&f->pump);
}

static bool on_held(struct pump *p)
{
	struct flow *f = container_of(p, struct flow, pump);
	char name[SNIFF_NAME_MAX];

	switch (sniff_first_bytes(p->held->bytes, p->held->len, name)) {
	case SNIFF_NEED_MORE:
		return p->held->eof ? sniffed(f, NULL) : true;
	case SNIFF_NAME:
		return sniffed(f, name);
	case SNIFF_MISMATCH:
		return sniffed(f, "");
	default:
		return sniffed(f, NULL);
	}
}

static void on_sniff_timer(uv_timer_t *timer)
{
	struct flow_table *t = container_of(timer, struct flow_table, sniff_timer);

	while (!list_empty(&t->sniffing)) {
		struct flow *f = list_entry(t->sniffing.next, struct flow, of_sniffing);
		uint64_t now = uv_now(t->deps.loop);

		if (f->sniff_until_ms > now) {
			uv_timer_start(timer, on_sniff_timer, f->sniff_until_ms - now, 0);
			return;
		}
		sniffed(f, NULL);
	}
}

static void start_sniffing(struct flow *f, struct channel *near, struct channel *far)
{
	struct flow_table *t = f->table;

	/* Who has shown none for longest is not waited for any more. */
	if (t->sniffing_count == t->deps.sniffing_max)
		sniffed(list_entry(t->sniffing.next, struct flow, of_sniffing), NULL);
	f->sniff_until_ms = uv_now(t->deps.loop) + SNIFF_MAX_MS;
	if (list_empty(&t->sniffing))
		uv_timer_start(&t->sniff_timer, on_sniff_timer, SNIFF_MAX_MS, 0);
	list_add_tail(&t->sniffing, &f->of_sniffing);
	t->sniffing_count++;
	f->state = FLOW_SNIFFING;
	if (pump_start_held(&f->pump, near, far, on_pump_end, on_held) == 0)
		return;
	f->state = FLOW_DIALING;
	near->ops->close(near, ECONNABORTED);
	far->ops->close(far, ECONNABORTED);
	flow_close(f, CLOSE_CHILD_RESET, ENOMEM);
}

/* --- dialling --- */

static void result(struct flow *f, struct channel *far, int err, const char *why)
{
	struct event ev = { .kind = EVENT_CONNECT_RESULT,
			    .connect_result = { .err = err, .error = why } };

	if (far && f->table->deps.guard->events->wants_local)
		far->ops->endpoints(far, &ev.connect_result.local,
				    &ev.connect_result.peer);
	emit(f, ev);
}

static void refuse(struct flow *f, int err, const char *sentence)
{
	struct attempt *a = f->attempt;
	const struct neterror *why = f->table->deps.socks->why;

	f->attempt = NULL;
	if (f->state != FLOW_ASKING)
		result(f, NULL, err, sentence);
	if (why) {
		struct neterror e = *why;

		marks_hide_host(&f->target.to.addr, &e);
		a->ops->refuse_as(a, &e);
	} else {
		a->ops->refuse(a, err);
	}
	flow_close(f, CLOSE_REMOTE_RESET, err);
}

static void on_dialed(void *ctx, struct channel *far, int err, const char *why)
{
	struct flow *f = ctx;
	struct channel *near;

	f->dial = NULL;
	if (!far)
		return refuse(f, err, why);
	near = f->attempt->ops->accept(f->attempt);
	f->attempt = NULL;
	if (!near) {
		far->ops->close(far, ECONNABORTED);
		result(f, NULL, ENOMEM, NULL);
		return flow_close(f, CLOSE_CHILD_RESET, ENOMEM);
	}
	result(f, far, 0, NULL);
	if (f->sniffs)
		return start_sniffing(f, near, far);
	f->state = FLOW_OPEN;
	pump_start(&f->pump, near, far, on_pump_end);
}

static void on_cancel(void *owner)
{
	struct flow *f = owner;

	f->attempt = NULL;
	if (f->state != FLOW_ASKING)
		result(f, NULL, ECONNABORTED, NULL);
	flow_close(f, CLOSE_CHILD_RESET, ECONNABORTED);
}

static struct flow *flow_new(struct flow_table *t, struct attempt *a)
{
	size_t size = sizeof(struct flow) + (t->deps.who ? sizeof(struct who_ask) : 0);
	struct flow *f = t->count < t->deps.capacity ? calloc(1, size) : NULL;

	if (!f)
		return NULL;
	f->table = t;
	f->start_ms = uv_now(t->deps.loop);
	list_init(&f->of_sniffing);
	f->child = a->child;
	f->attempt = a;
	a->owner = f;
	a->on_cancel = on_cancel;
	list_add_tail(&t->flows, &f->node);
	t->count++;
	return f;
}

static void dial(struct flow *f)
{
	struct flow_table *t = f->table;
	struct dial_result r;

	emit(f, (struct event){ .kind = EVENT_CONNECT_ATTEMPT });
	f->dialer = t->deps.dialers->by_route[f->route];
	r = f->dialer->ops->dial(f->dialer, &f->target, on_dialed, f);
	if (r.pending)
		f->dial = r.pending;
	else
		on_dialed(f, r.far, r.err, NULL);
}

static bool admits(const struct flow_table *t, const struct attempt *a, struct inquiry *q)
{
	q->target.protocol = IPPROTO_TCP;
	q->target.to = a->remote;
	q->target.probe_ttl = a->probe_ttl;
	q->of_server = a->remote.port == DNS_PORT;
	return guard_admits(t->deps.guard, &a->child, 0, q);
}

static void serve_dns(struct flow_table *t, struct attempt *a)
{
	struct endpoint child = a->child, to = a->remote;
	struct channel *near = a->ops->accept(a);

	if (near)
		nameserver_accept(t->deps.dns, near, &child, &to);
}

/* What breaks no rule needs no flow, and waits for nothing. */
static bool is_served(const struct flow_table *t, const struct attempt *a)
{
	struct inquiry q = { .target = { .protocol = IPPROTO_TCP, .to = a->remote },
			     .of_server = true };

	if (a->remote.port == DNS_PORT)
		guard_judge(t->deps.guard, &q);
	return q.passes && !guard_objects(&q);
}

/* By audit. */
static void hand_over_dns(struct flow *f)
{
	struct attempt *a = f->attempt;

	f->attempt = NULL;
	serve_dns(f->table, a);
	flow_close(f, CLOSE_EOF, 0);
}

static void start(struct flow *f)
{
	const struct guard *guard = f->table->deps.guard;
	struct inquiry q = { .process = process_of(f) };

	if (!admits(f->table, f->attempt, &q))
		return refuse(f, ECONNREFUSED, NULL);
	if (q.of_server)
		return hand_over_dns(f);
	f->state = FLOW_DIALING;
	f->id = event_flow_id(guard->events);
	f->target = q.target;
	f->target.known = NULL;
	f->target.known_count = 0;
	f->hold = guard_hold(guard, &f->target.to.addr);
	f->name_hold = guard_hold_name(guard, &f->target.to.addr);
	f->sniffs = q.verdict.sniff;
	f->route = q.verdict.route;
	dial(f);
}

static void on_known(struct who_ask *who)
{
	start(container_of(who, struct flow, who));
}

void flow_attempt(void *table, struct attempt *a)
{
	struct flow_table *t = table;
	struct who_key key = { IPPROTO_TCP, a->child, a->remote };
	struct flow *f;

	if (t->draining)
		return a->ops->refuse(a, ECONNREFUSED);
	if (is_served(t, a))
		return serve_dns(t, a);
	f = flow_new(t, a);
	if (!f) {
		/* Without room, too, it is told what was against the rules. */
		admits(t, a, &(struct inquiry){ 0 });
		event_refused_full(t->deps.guard->events);
		return a->ops->refuse(a, ECONNREFUSED);
	}
	if (!who_ask(t->deps.who, f->who, &key, on_known))
		start(f);
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
			flow_close(f, CLOSE_EOF, 0);
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

		if (f->state == FLOW_ASKING || f->state == FLOW_DIALING)
			refuse(f, ECONNREFUSED, NULL);
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
	list_init(&t->sniffing);
	uv_timer_init(deps->loop, &t->drain_timer);
	uv_timer_init(deps->loop, &t->sniff_timer);
	return t;
}

void flow_table_close(struct flow_table *t)
{
	t->draining = false;
	cancel_dialing(t);
	while (!list_empty(&t->flows))
		flow_close(list_entry(t->flows.next, struct flow, node), CLOSE_RUN_END,
			   ECONNABORTED);
	sock_set_abandon(t->deps.socks);
	uv_close((uv_handle_t *)&t->drain_timer, NULL);
	uv_close((uv_handle_t *)&t->sniff_timer, NULL);
}

void flow_table_free(struct flow_table *t)
{
	free(t);
}
