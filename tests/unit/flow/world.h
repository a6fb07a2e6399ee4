/* A table of flows with fakes for the child, the dialer and both channels. */
#ifndef TESTS_UNIT_FLOW_WORLD_H
#define TESTS_UNIT_FLOW_WORLD_H

#include "flow/flow.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

struct fake_channel {
	struct channel ch;
	char got[40000];
	size_t len, room, unacked;
	bool shut, closed, receiving;
	int close_err, send_err;
};

static struct {
	uv_loop_t loop;
	struct policy policy;
	struct guard guard;
	struct events events;
	struct event_sink sink;
	struct dialer dialer, proxy;
	struct dialers dialers;
	struct poller poller;
	struct sock_set socks;
	struct flow_table *table;
	struct attempt attempt;
	struct fake_channel near, far, second_near;
	/* what the fakes saw */
	struct addr refuse_router;
	int accepts, refuses, refuse_err, refuse_type, dials, cancels, drains;
	struct target dialled;
	struct dialer *by;
	dial_fn done;
	void *done_ctx;
	struct dial_result result;
	struct flow_lost lost;
	enum event_kind kinds[16];
	int kind_count;
	struct event last;
	char seen_name[64]; /* of the last flow_end */
	const char *why;    /* of the last connect_result */
	enum reason reason;
} t;

/* --- channels --- */

static struct fake_channel *of(struct channel *ch)
{
	return container_of(ch, struct fake_channel, ch);
}

static ssize_t ch_send(struct channel *ch, const struct iovec *iov, int n,
		       struct buf *owner)
{
	struct fake_channel *f = of(ch);
	size_t take = MIN(iov[0].iov_len, f->room);

	(void)owner;
	assert_int_equal(n, 1);
	assert_false(f->closed);
	if (f->send_err)
		return -f->send_err;
	memcpy(f->got + f->len, iov[0].iov_base, take);
	f->len += take;
	f->room -= take;
	return take;
}

static void ch_recv(struct channel *ch)
{
	of(ch)->receiving = true;
}

static void ch_shut(struct channel *ch)
{
	of(ch)->shut = true;
}

static void ch_close(struct channel *ch, int err)
{
	assert_false(of(ch)->closed);
	of(ch)->closed = true;
	of(ch)->close_err = err;
}

static size_t ch_unacked(struct channel *ch)
{
	return of(ch)->unacked;
}

static size_t ch_room(struct channel *ch)
{
	(void)ch;
	return SIZE_MAX;
}

static const struct channel_ops ch_ops = { ch_send,  ch_recv,	 ch_shut,
					   ch_close, ch_unacked, ch_room };

static size_t data_from(struct fake_channel *f, const char *text)
{
	struct iovec iov = { (char *)text, strlen(text) };

	return f->ch.up->on_data(f->ch.ctx, &iov, 1, NULL);
}

/* --- attempt and dialer --- */

static struct channel *at_accept(struct attempt *a)
{
	(void)a;
	return t.accepts++ ? &t.second_near.ch : &t.near.ch;
}

static void at_refuse(struct attempt *a, int err)
{
	(void)a;
	t.refuses++;
	t.refuse_err = err;
}

static void at_refuse_as(struct attempt *a, const struct neterror *e)
{
	(void)a;
	t.refuses++;
	t.refuse_type = e->type;
	t.refuse_router = e->router;
}

static const struct attempt_ops at_ops = { at_accept, at_refuse, at_refuse_as };

static struct dial_result di_dial(struct dialer *d, const struct target *target,
				  dial_fn done, void *ctx)
{
	t.dials++;
	t.by = d;
	t.dialled = *target;
	t.done = done;
	t.done_ctx = ctx;
	return t.result;
}

static void di_cancel(struct dial *dial)
{
	assert_ptr_equal(dial, &t.dialer);
	t.cancels++;
}

static const struct dialer_ops di_ops = { di_dial, di_cancel };

static void on_event(struct event_sink *sink, const struct event *ev)
{
	(void)sink;
	assert_true(t.kind_count < (int)ARRAY_SIZE(t.kinds));
	t.kinds[t.kind_count++] = ev->kind;
	t.last = *ev;
	if (ev->kind == EVENT_CONNECT_RESULT)
		t.why = ev->connect_result.error;
	if (ev->kind == EVENT_POLICY_VIOLATION)
		t.reason = ev->policy_violation.verdict->reason;
	if (ev->kind == EVENT_FLOW_END)
		snprintf(t.seen_name, sizeof(t.seen_name), "%s",
			 ev->flow_end.seen_name ? ev->flow_end.seen_name : "(null)");
}

/* A state that isn't NULL: there is a proxy. */
static int setup(void **state)
{
	struct flow_deps deps = { .loop = &t.loop,
				  .guard = &t.guard,
				  .dialers = &t.dialers,
				  .socks = &t.socks,
				  .capacity = 2,
				  .sniffing_max = 1 };

	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	events_init(&t.events);
	t.guard = (struct guard){ .policy = &t.policy,
				  .events = &t.events,
				  .loop = &t.loop };
	t.sink.on_event = on_event;
	event_sink_add(&t.events, &t.sink);
	t.dialer.ops = t.proxy.ops = &di_ops;
	t.dialers.by_route[ROUTE_DIRECT] = &t.dialer;
	t.dialers.by_route[ROUTE_PROXY] = &t.proxy;
	t.policy.proxy = *state;
	assert_int_equal(poller_init(&t.poller, &t.loop), 0);
	sock_set_init(&t.socks, &t.loop, &t.poller);
	t.near.ch.ops = t.far.ch.ops = t.second_near.ch.ops = &ch_ops;
	t.near.room = t.far.room = sizeof(t.near.got);
	t.attempt.ops = &at_ops;
	assert_true(addr_parse("203.0.113.5", &t.attempt.remote.addr));
	t.attempt.remote.port = 80;
	t.result.pending = (struct dial *)&t.dialer;
	t.table = flow_table_new(&deps);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	flow_table_close(t.table);
	sock_set_close(&t.socks);
	poller_close(&t.poller);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	flow_table_free(t.table);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	return 0;
}

static void open_flow(void)
{
	flow_attempt(t.table, &t.attempt);
	t.done(t.done_ctx, &t.far.ch, 0, NULL);
	assert_int_equal(t.accepts, 1);
	assert_true(t.far.receiving);
}

#define assert_events(...)                                        \
	do {                                                      \
		enum event_kind want[] = { __VA_ARGS__ };         \
		assert_int_equal(t.kind_count, ARRAY_SIZE(want)); \
		assert_memory_equal(t.kinds, want, sizeof(want)); \
	} while (0)

#endif
