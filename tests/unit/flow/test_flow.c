/* The life of a flow. */
#include "world.h"

static void answers_only_when_connected(void **state)
{
	(void)state;
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.dials, 1);
	assert_int_equal(t.dialled.to.port, 80);
	assert_int_equal(t.accepts + t.refuses, 0);
	assert_events(EVENT_CONNECT_ATTEMPT);
	t.done(t.done_ctx, &t.far.ch, 0, NULL);
	assert_int_equal(t.accepts, 1);
	assert_events(EVENT_CONNECT_ATTEMPT, EVENT_CONNECT_RESULT);
	assert_int_equal(t.last.connect_result.err, 0);
}

static void connects_at_once(void **state)
{
	(void)state;
	t.result = (struct dial_result){ .far = &t.far.ch };
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.accepts, 1);
	assert_true(t.far.receiving);
}

static void the_child_sees_the_hosts_errno(void **state)
{
	(void)state;
	flow_attempt(t.table, &t.attempt);
	t.done(t.done_ctx, NULL, EHOSTUNREACH, NULL);
	assert_int_equal(t.refuses, 1);
	assert_int_equal(t.refuse_err, EHOSTUNREACH);
	assert_events(EVENT_CONNECT_ATTEMPT, EVENT_CONNECT_RESULT);
	assert_int_equal(t.last.connect_result.err, EHOSTUNREACH);
	assert_int_equal(flow_count(t.table), 0);
}

static void fail_as(const char *router)
{
	struct neterror e = { .type = 11 };

	assert_true(addr_parse(router, &e.router));
	t.refuses = t.refuse_err = t.refuse_type = 0;
	flow_attempt(t.table, &t.attempt);
	t.socks.why = &e;
	t.done(t.done_ctx, NULL, EHOSTUNREACH, NULL);
	t.socks.why = NULL;
	assert_int_equal(t.refuses, 1);
	assert_int_equal(t.refuse_err, 0);
	assert_int_equal(t.refuse_type, 11);
	assert_int_equal(t.last.connect_result.err, EHOSTUNREACH);
	assert_int_equal(flow_count(t.table), 0);
}

static void the_child_sees_the_routers_message(void **state)
{
	struct addr router, none = { 0 };

	(void)state;
	assert_true(addr_parse("198.51.100.7", &router));
	t.attempt.probe_ttl = 5;
	fail_as("198.51.100.7");
	assert_int_equal(t.dialled.probe_ttl, 5);
	assert_true(addr_eq(&t.refuse_router, &router));
	/* The host speaks by the gateway. */
	fail_as("127.0.0.1");
	assert_true(addr_eq(&t.refuse_router, &none));
}

static void everything_goes_by_the_proxy(void **state)
{
	(void)state;
	flow_attempt(t.table, &t.attempt);
	assert_ptr_equal(t.by, &t.proxy);
	assert_false(t.dialled.name_only);
	assert_true(t.last.via_proxy);
	t.done(t.done_ctx, &t.far.ch, 0, NULL);
	assert_int_equal(t.accepts, 1);
	assert_true(t.last.via_proxy);
}

/* There is no second try by another way. */
static void what_the_proxy_refuses_is_refused(void **state)
{
	(void)state;
	flow_attempt(t.table, &t.attempt);
	t.done(t.done_ctx, NULL, ECONNREFUSED, "it is ill");
	assert_int_equal(t.dials, 1);
	assert_int_equal(t.refuses, 1);
	assert_string_equal(t.why, "it is ill");
	assert_int_equal(flow_count(t.table), 0);
}

static void fails_at_once(void **state)
{
	(void)state;
	t.result = (struct dial_result){ .err = ENETUNREACH };
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.refuse_err, ENETUNREACH);
	assert_int_equal(flow_count(t.table), 0);
}

static void a_forbidden_target_is_never_dialled(void **state)
{
	(void)state;
	assert_true(addr_parse("127.0.0.1", &t.attempt.remote.addr));
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.dials, 0);
	assert_int_equal(t.refuse_err, ECONNREFUSED);
	assert_events(EVENT_POLICY_VIOLATION);
	assert_int_equal(t.reason, REASON_MARTIAN);
}

static void a_full_table_refuses(void **state)
{
	static struct attempt second, third; /* the second lives until the table ends */
	uint64_t full = 0;

	(void)state;
	second = third = t.attempt;
	t.events.refused_full = &full;
	flow_attempt(t.table, &t.attempt);
	flow_attempt(t.table, &second);
	flow_attempt(t.table, &third);
	assert_int_equal(t.dials, 2);
	assert_int_equal(t.refuses, 1);
	assert_int_equal(t.refuse_err, ECONNREFUSED);
	assert_int_equal(full, 1);
}

static void the_gateway_has_no_ports_and_no_violations(void **state)
{
	(void)state;
	t.policy.gateway4 = t.attempt.remote.addr;
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.dials, 0);
	assert_int_equal(t.refuse_err, ECONNREFUSED);
	assert_int_equal(t.kind_count, 0);
}

static void a_child_that_gives_up_cancels_the_dial(void **state)
{
	(void)state;
	flow_attempt(t.table, &t.attempt);
	t.attempt.on_cancel(t.attempt.owner);
	assert_int_equal(t.cancels, 1);
	assert_int_equal(t.accepts + t.refuses, 0);
	assert_int_equal(flow_count(t.table), 0);
}

static void bytes_pass_and_are_counted(void **state)
{
	(void)state;
	open_flow();
	assert_int_equal(data_from(&t.near, "up"), 2);
	assert_int_equal(data_from(&t.far, "down!"), 5);
	assert_memory_equal(t.far.got, "up", 2);
	assert_memory_equal(t.near.got, "down!", 5);
	t.near.ch.up->on_eof(t.near.ch.ctx);
	assert_true(t.far.shut);
	assert_false(t.far.closed);
	assert_int_equal(data_from(&t.far, "more"), 4); /* half-closed, not closed */
	t.far.ch.up->on_eof(t.far.ch.ctx);
	assert_true(t.near.closed && t.far.closed);
	assert_int_equal(t.near.close_err, 0);
	assert_int_equal(t.last.kind, EVENT_FLOW_END);
	assert_int_equal(t.last.flow_end.bytes_up, 2);
	assert_int_equal(t.last.flow_end.bytes_down, 9);
	assert_int_equal(flow_count(t.table), 0);
}

static void a_full_side_stops_the_other(void **state)
{
	(void)state;
	open_flow();
	t.near.room = 3;
	assert_int_equal(data_from(&t.far, "12345"), 3);
	t.far.receiving = false;
	t.near.ch.up->on_drain(t.near.ch.ctx);
	assert_true(t.far.receiving);
}

static void a_reset_passes_to_the_other_side(void **state)
{
	(void)state;
	open_flow();
	t.near.ch.up->on_closed(t.near.ch.ctx, ECONNRESET);
	assert_int_equal(t.far.close_err, ECONNRESET);
	assert_true(t.near.closed);
	assert_int_equal(t.last.flow_end.err, ECONNRESET);
}

static void a_failed_send_ends_the_flow(void **state)
{
	(void)state;
	open_flow();
	t.far.send_err = EPIPE;
	assert_int_equal(data_from(&t.near, "x"), 0);
	assert_int_equal(t.near.close_err, EPIPE);
	assert_int_equal(flow_count(t.table), 0);
}

/* --- drain --- */

static void on_drained(void *ctx, const struct flow_lost *lost)
{
	(void)ctx;
	t.drains++;
	t.lost = *lost;
}

static void an_idle_table_drains_at_once(void **state)
{
	(void)state;
	flow_drain(t.table, 30000, on_drained, NULL);
	assert_int_equal(t.drains, 0); /* from the loop, not from the call */
	uv_run(&t.loop, UV_RUN_NOWAIT);
	assert_int_equal(t.drains, 1);
	assert_int_equal(t.lost.flows, 0);
}

static void a_drain_refuses_who_waits(void **state)
{
	(void)state;
	flow_attempt(t.table, &t.attempt);
	flow_drain(t.table, 30000, on_drained, NULL);
	assert_int_equal(t.cancels, 1);
	assert_int_equal(t.refuses, 1);
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.refuses, 2);
	assert_int_equal(t.dials, 1);
	uv_run(&t.loop, UV_RUN_NOWAIT);
	assert_int_equal(t.drains, 1);
}

static void a_drain_waits_for_the_acknowledgement(void **state)
{
	(void)state;
	open_flow();
	t.far.unacked = 10;
	flow_drain(t.table, 30000, on_drained, NULL);
	uv_run(&t.loop, UV_RUN_NOWAIT);
	assert_int_equal(t.drains, 0);
	t.near.ch.up->on_eof(t.near.ch.ctx);
	uv_run(&t.loop, UV_RUN_ONCE);
	assert_int_equal(t.drains, 0);
	t.far.unacked = 0;
	uv_run(&t.loop, UV_RUN_ONCE);
	assert_int_equal(t.drains, 1);
	assert_int_equal(t.lost.flows, 0);
	assert_true(t.far.closed);
	assert_int_equal(t.far.close_err, 0);
}

static void a_drain_tells_what_it_lost(void **state)
{
	(void)state;
	open_flow();
	t.far.unacked = 10;
	flow_drain(t.table, 1, on_drained, NULL);
	while (!t.drains)
		uv_run(&t.loop, UV_RUN_ONCE);
	assert_int_equal(t.lost.flows, 1);
	assert_int_equal(t.lost.bytes, 10);
}

/* --- through a proxy --- */

static struct pool *proxied(void)
{
	struct pool_range v4 = { .prefix = 96 + 30 }, v6 = { .prefix = 64 };

	assert_true(addr_parse("198.18.0.0", &v4.network));
	assert_true(addr_parse("fdcf::", &v6.network));
	t.policy.proxy = true;
	return t.guard.pool = pool_new(&v4, &v6, 1);
}

static void attempt_to(const char *addr)
{
	assert_true(addr_parse(addr, &t.attempt.remote.addr));
	flow_attempt(t.table, &t.attempt);
}

static void synthetic_addresses_are_dialled_by_name(void **state)
{
	struct pool *pool = proxied();
	struct pool_addrs got;

	(void)state;
	assert_true(pool_give(pool, "a.example", &got));
	assert_true(pool_give(pool, "b.example", &got));
	attempt_to("198.18.0.1");
	assert_int_equal(t.dials, 1);
	assert_ptr_equal(t.by, &t.proxy);
	assert_true(t.dialled.name_only);
	assert_string_equal(t.dialled.name, "a.example");
	assert_int_equal(t.dialled.to.port, 80);
	assert_string_equal(t.last.name, "a.example");
	assert_true(t.last.via_proxy);
	/* The name that a flow uses keeps its address. */
	assert_true(pool_give(pool, "c.example", &got));
	assert_true(pool_give(pool, "d.example", &got));
	assert_string_equal(pool_name(pool, &t.attempt.remote.addr), "a.example");
	t.done(t.done_ctx, &t.far.ch, 0, NULL);
	t.near.ch.up->on_closed(t.near.ch.ctx, ECONNRESET);
	assert_int_equal(flow_count(t.table), 0);
	assert_true(pool_give(pool, "e.example", &got));
	assert_true(pool_give(pool, "f.example", &got));
	assert_string_not_equal(pool_name(pool, &t.attempt.remote.addr), "a.example");
	pool_free(pool);
	t.guard.pool = NULL;
}

static void addresses_go_as_they_are(void **state)
{
	struct pool *pool = proxied();

	(void)state;
	attempt_to("203.0.113.5");
	assert_ptr_equal(t.by, &t.proxy);
	assert_false(t.dialled.name_only);
	t.done(t.done_ctx, NULL, ECONNREFUSED, "no");
	pool_free(pool);
	t.guard.pool = NULL;
}

static void a_synthetic_address_without_a_name(void **state)
{
	struct pool *pool = proxied();

	(void)state;
	t.guard.audit = true; /* whatever is let pass */
	attempt_to("198.18.0.1");
	assert_int_equal(t.dials, 0);
	assert_int_equal(t.refuses, 1);
	assert_int_equal(t.reason, REASON_UNKNOWN_NAME);
	pool_free(pool);
	t.guard.pool = NULL;
}

static void an_audit_goes_by_the_proxy_too(void **state)
{
	struct inquiry ping = { .target.protocol = IPPROTO_ICMP };
	struct pool *pool = proxied();

	(void)state;
	t.guard.audit = t.policy.block_private = true;
	attempt_to("10.0.0.1");
	assert_int_equal(t.reason, REASON_PRIVATE);
	assert_ptr_equal(t.by, &t.proxy);
	t.done(t.done_ctx, NULL, ECONNREFUSED, "no");
	ping.target.to = t.attempt.remote;
	assert_false(guard_admits(&t.guard, &t.attempt.child, 0, &ping));
	pool_free(pool);
	t.guard.pool = NULL;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f) cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, "proxy")
	const struct CMUnitTest tests[] = {
		T(answers_only_when_connected),
		T(connects_at_once),
		T(the_child_sees_the_hosts_errno),
		T(the_child_sees_the_routers_message),
		P(everything_goes_by_the_proxy),
		P(what_the_proxy_refuses_is_refused),
		T(fails_at_once),
		T(a_forbidden_target_is_never_dialled),
		T(a_full_table_refuses),
		T(the_gateway_has_no_ports_and_no_violations),
		T(a_child_that_gives_up_cancels_the_dial),
		T(bytes_pass_and_are_counted),
		T(a_full_side_stops_the_other),
		T(a_reset_passes_to_the_other_side),
		T(a_failed_send_ends_the_flow),
		T(an_idle_table_drains_at_once),
		T(a_drain_refuses_who_waits),
		T(a_drain_waits_for_the_acknowledgement),
		T(a_drain_tells_what_it_lost),
		T(synthetic_addresses_are_dialled_by_name),
		T(addresses_go_as_they_are),
		T(a_synthetic_address_without_a_name),
		T(an_audit_goes_by_the_proxy_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
