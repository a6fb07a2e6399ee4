/* Flows whose permission wants the name that they show. */
#include "world.h"

#include <time.h>

#include "flow/pump.h"

#define GET "GET / HTTP/1.1\r\nHost: www.allow.test\r\n\r\n"
#define OTHER "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n"
#define DENIED "GET / HTTP/1.1\r\nHost: www.deny.test\r\n\r\n"

static struct rule rules[] = {
	{ .kind = RULE_DOMAIN, .domain = "allow.test", .text = "allow.test" },
	{ .kind = RULE_DOMAIN, .domain = "deny.test", .text = "deny.test" },
};

static const struct rule_list allowed = { &rules[0], 1, 1 };
static const struct rule_list denied = { &rules[1], 1, 1 };

/* The time that libuv sees. */
static uint64_t now_ms;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){ .tv_sec = now_ms / 1000,
				 .tv_nsec = now_ms % 1000 * 1000000 };
	return 0;
}

static void pass_time(uint64_t ms)
{
	now_ms += ms;
	uv_run(&t.loop, UV_RUN_NOWAIT);
}

static void learn(const char *name)
{
	assert_true(names_learn(t.guard.names, &t.attempt.remote.addr, name, 60,
				uv_now(&t.loop)));
}

static void compile(bool allows)
{
	const struct policy_rules lists = {
		.lists = { [POLICY_ALLOW_DOMAIN] = allows ? &allowed : NULL,
			   [POLICY_DENY_DOMAIN] = &denied },
	};
	struct error err;

	t.policy.default_deny = allows;
	assert_int_equal(policy_compile(&t.policy, &lists, &err), 0);
}

/* Only what is allowed by name. */
static int setup_allow(void **state)
{
	setup(state);
	t.guard.names = names_new(16, 1);
	assert_non_null(t.guard.names);
	compile(true);
	learn("www.allow.test");
	return 0;
}

/* All but what is denied by name. */
static int setup_deny(void **state)
{
	setup(state);
	t.guard.names = names_new(16, 1);
	assert_non_null(t.guard.names);
	compile(false);
	return 0;
}

static int end(void **state)
{
	teardown(state);
	names_free(t.guard.names);
	policy_free(&t.policy);
	return 0;
}

/* Everything passes, and what it would have rested on is to be known. */
static int setup_learn(void **state)
{
	setup(state);
	t.guard.names = names_new(16, 1);
	assert_non_null(t.guard.names);
	t.policy.learns = true;
	learn("www.allow.test");
	return 0;
}

static void say(const char *text)
{
	assert_int_equal(data_from(&t.near, text), strlen(text));
}

static void assert_arrived(const char *text)
{
	assert_int_equal(t.far.len, strlen(text));
	assert_memory_equal(t.far.got, text, strlen(text));
}

static void assert_refused(enum reason reason)
{
	assert_int_equal(t.reason, reason);
	assert_int_equal(t.far.len, 0);
	assert_true(t.near.closed && t.far.closed);
	assert_int_equal(t.near.close_err, ECONNREFUSED);
	assert_events(EVENT_CONNECT_ATTEMPT, EVENT_CONNECT_RESULT, EVENT_POLICY_VIOLATION,
		      EVENT_FLOW_END);
	assert_int_equal(t.last.flow_end.reason, CLOSE_POLICY);
	assert_int_equal(flow_count(t.table), 0);
}

static void without_a_name_nothing_is_dialled(void **state)
{
	(void)state;
	assert_true(addr_parse("203.0.113.6", &t.attempt.remote.addr));
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.dials, 0);
	assert_int_equal(t.reason, REASON_DEFAULT_DENY);
}

static void its_own_name_lets_all_pass(void **state)
{
	(void)state;
	open_flow();
	say(GET);
	assert_arrived(GET);
	say("more");
	assert_arrived(GET "more");
	assert_false(t.near.closed);
}

static void nothing_leaves_before_the_name(void **state)
{
	char one[2] = "";

	(void)state;
	open_flow();
	for (const char *c = GET; c[1]; c++) {
		one[0] = *c;
		say(one);
		assert_int_equal(t.far.len, 0);
	}
	say("\n");
	assert_arrived(GET);
}

static void the_servers_bytes_pass_meanwhile(void **state)
{
	(void)state;
	open_flow();
	say("G");
	assert_int_equal(data_from(&t.far, "hello"), 5);
	assert_memory_equal(t.near.got, "hello", 5);
	say(GET + 1);
	assert_arrived(GET);
}

static void another_name_is_a_mismatch(void **state)
{
	(void)state;
	open_flow();
	say(OTHER);
	assert_refused(REASON_NAME_MISMATCH);
}

/* An allowed name, but one that has not led here. */
static void a_name_of_another_address_is_a_mismatch(void **state)
{
	(void)state;
	open_flow();
	say("GET / HTTP/1.1\r\nHost: far.allow.test\r\n\r\n");
	assert_refused(REASON_NAME_MISMATCH);
}

static void two_names_are_a_mismatch(void **state)
{
	(void)state;
	open_flow();
	say("GET / HTTP/1.1\r\nHost: www.allow.test\r\nHost: other.test\r\n\r\n");
	assert_refused(REASON_NAME_MISMATCH);
}

static void no_name_is_missed_on_the_webs_ports(void **state)
{
	(void)state;
	t.attempt.remote.port = 443;
	open_flow();
	say("SSH-2.0-x\r\n");
	assert_refused(REASON_NAME_MISSING);
}

static void no_name_is_missed_at_the_end_of_the_stream(void **state)
{
	(void)state;
	open_flow();
	say("GET /");
	t.near.ch.up->on_eof(t.near.ch.ctx);
	assert_refused(REASON_NAME_MISSING);
}

static void elsewhere_the_rules_ports_decide(void **state)
{
	(void)state;
	t.attempt.remote.port = 22;
	open_flow();
	say("SSH-2.0-x\r\n");
	assert_arrived("SSH-2.0-x\r\n");
}

static void silence_is_no_name(void **state)
{
	(void)state;
	open_flow();
	say("G");
	pass_time(2900);
	assert_false(t.near.closed);
	pass_time(200);
	assert_refused(REASON_NAME_MISSING);
}

static void silence_elsewhere_lets_pass(void **state)
{
	(void)state;
	t.attempt.remote.port = 22;
	open_flow();
	say("G");
	pass_time(2900);
	assert_int_equal(t.far.len, 0);
	pass_time(200);
	assert_arrived("G");
	say("o");
	assert_arrived("Go");
}

static void a_foreign_name_counts_elsewhere_too(void **state)
{
	(void)state;
	t.attempt.remote.port = 8080;
	open_flow();
	say(OTHER);
	assert_refused(REASON_NAME_MISMATCH);
}

static void a_full_server_gets_the_rest_later(void **state)
{
	(void)state;
	open_flow();
	t.far.room = 5;
	say(GET);
	assert_int_equal(t.far.len, 5);
	assert_int_equal(data_from(&t.near, "more"), 0);
	t.near.receiving = false;
	t.far.room = sizeof(t.far.got) - 5;
	t.far.ch.up->on_drain(t.far.ch.ctx);
	assert_arrived(GET);
	assert_true(t.near.receiving);
	say("more");
	assert_arrived(GET "more");
}

static void the_end_waits_for_what_is_held(void **state)
{
	(void)state;
	open_flow();
	t.far.room = 5;
	say(GET);
	t.near.ch.up->on_eof(t.near.ch.ctx);
	assert_false(t.far.shut);
	t.far.room = sizeof(t.far.got) - 5;
	t.far.ch.up->on_drain(t.far.ch.ctx);
	assert_arrived(GET);
	assert_true(t.far.shut);
}

/* The server has ended; the child ends while its last bytes are still held. */
static void what_is_held_is_sent_before_both_ends(void **state)
{
	(void)state;
	open_flow();
	t.far.ch.up->on_eof(t.far.ch.ctx);
	assert_true(t.near.shut);
	t.far.room = 5;
	say(GET);
	t.near.ch.up->on_eof(t.near.ch.ctx);
	assert_false(t.far.closed);
	t.far.room = sizeof(t.far.got) - 5;
	t.far.ch.up->on_drain(t.far.ch.ctx);
	assert_arrived(GET);
	assert_true(t.far.closed);
	assert_int_equal(t.far.close_err, 0);
	assert_int_equal(t.last.flow_end.reason, CLOSE_EOF);
	assert_int_equal(t.last.flow_end.bytes_up, strlen(GET));
}

/* Headers without an end: decided when no more may be held, and nothing is lost or doubled. */
static void more_than_can_be_held(void **state)
{
	static char text[PUMP_HELD_MAX + 4096];
	struct iovec iov[3] = { { text, 100 },
				{ text + 100, PUMP_HELD_MAX },
				{ text + 100 + PUMP_HELD_MAX, 3996 } };

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "abcdefghijklmnopqrstuvwxyz:"[i % 27];
	memcpy(text, "GET / HTTP/1.1\r\nA: ", 19);
	t.attempt.remote.port = 8080;
	open_flow();
	assert_int_equal(t.near.ch.up->on_data(t.near.ch.ctx, iov, 3, NULL),
			 sizeof(text));
	assert_int_equal(t.far.len, sizeof(text));
	assert_memory_equal(t.far.got, text, sizeof(text));
}

static void a_failure_while_held_ends_the_flow(void **state)
{
	(void)state;
	open_flow();
	say("GET");
	t.far.ch.up->on_closed(t.far.ch.ctx, ECONNRESET);
	assert_int_equal(t.last.flow_end.reason, CLOSE_REMOTE_RESET);
	assert_int_equal(flow_count(t.table), 0);
}

static void a_server_that_fails_when_it_is_let_go(void **state)
{
	(void)state;
	open_flow();
	t.far.send_err = EPIPE;
	say(GET);
	assert_int_equal(t.last.flow_end.reason, CLOSE_REMOTE_RESET);
	assert_int_equal(flow_count(t.table), 0);
}

/* Else many that show nothing could hold much memory. */
static void one_too_many_is_not_waited_for(void **state)
{
	static struct fake_channel other_far;

	(void)state;
	other_far = (struct fake_channel){ .ch.ops = &ch_ops };
	open_flow();
	say("GET");
	flow_attempt(t.table, &t.attempt);
	t.done(t.done_ctx, &other_far.ch, 0, NULL);
	assert_int_equal(t.reason, REASON_NAME_MISSING);
	assert_true(t.near.closed && t.far.closed);
	assert_false(t.second_near.closed);
	assert_int_equal(flow_count(t.table), 1);
}

static void audit_tells_and_lets_pass(void **state)
{
	(void)state;
	t.guard.audit = true;
	open_flow();
	say(OTHER);
	assert_int_equal(t.reason, REASON_NAME_MISMATCH);
	assert_arrived(OTHER);
}

static void audit_keeps_what_is_never_let_out(void **state)
{
	(void)state;
	t.guard.audit = true;
	assert_true(addr_parse("127.0.0.1", &t.attempt.remote.addr));
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.dials, 0);
	assert_int_equal(t.refuses, 1);
}

static void a_denied_name_is_refused_when_shown(void **state)
{
	(void)state;
	open_flow();
	say(DENIED);
	assert_refused(REASON_DENY_DOMAIN);
}

static void a_known_denied_name_is_refused_at_once(void **state)
{
	(void)state;
	learn("www.deny.test");
	flow_attempt(t.table, &t.attempt);
	assert_int_equal(t.dials, 0);
	assert_int_equal(t.reason, REASON_DENY_DOMAIN);
}

/* Which of the two the server would take, nobody knows. */
static void an_ambiguous_name_could_be_denied(void **state)
{
	(void)state;
	open_flow();
	say("GET / HTTP/1.1\r\nHost: other.test\r\nHost: www.deny.test\r\n\r\n");
	assert_refused(REASON_NAME_MISMATCH);
}

static void other_names_pass(void **state)
{
	(void)state;
	open_flow();
	say(OTHER);
	assert_arrived(OTHER);
}

static void assert_seen(const char *name)
{
	t.near.ch.up->on_closed(t.near.ch.ctx, ECONNRESET);
	assert_int_equal(t.last.kind, EVENT_FLOW_END);
	assert_true(t.last.flow_end.sniffed);
	assert_string_equal(t.seen_name, name);
}

static void what_was_shown_is_told(void **state)
{
	(void)state;
	open_flow();
	say(GET);
	assert_arrived(GET);
	assert_seen("www.allow.test");
}

static void learning_lets_any_name_pass(void **state)
{
	(void)state;
	open_flow();
	say(OTHER);
	assert_arrived(OTHER);
	assert_seen("other.test");
}

static void learning_tells_names_that_are_unclear(void **state)
{
	(void)state;
	open_flow();
	say("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n");
	assert_seen("");
}

static void learning_tells_that_none_was_shown(void **state)
{
	(void)state;
	open_flow();
	say("SSH-2.0-x\r\n");
	assert_arrived("SSH-2.0-x\r\n");
	assert_seen("(null)");
}

static void learning_tells_an_end_before_the_name(void **state)
{
	(void)state;
	open_flow();
	assert_seen("(null)");
}

/* Nothing but its address could allow it. */
static void learning_lets_be_what_has_no_name(void **state)
{
	(void)state;
	assert_true(addr_parse("203.0.113.6", &t.attempt.remote.addr));
	open_flow();
	say("SSH");
	assert_arrived("SSH");
	t.near.ch.up->on_closed(t.near.ch.ctx, ECONNRESET);
	assert_false(t.last.flow_end.sniffed);
}

#define ALLOW(f) cmocka_unit_test_setup_teardown(f, setup_allow, end)
#define LEARN(f) cmocka_unit_test_setup_teardown(f, setup_learn, end)
#define DENY(f) cmocka_unit_test_setup_teardown(f, setup_deny, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALLOW(without_a_name_nothing_is_dialled),
		ALLOW(its_own_name_lets_all_pass),
		ALLOW(nothing_leaves_before_the_name),
		ALLOW(the_servers_bytes_pass_meanwhile),
		ALLOW(another_name_is_a_mismatch),
		ALLOW(a_name_of_another_address_is_a_mismatch),
		ALLOW(two_names_are_a_mismatch),
		ALLOW(no_name_is_missed_on_the_webs_ports),
		ALLOW(no_name_is_missed_at_the_end_of_the_stream),
		ALLOW(elsewhere_the_rules_ports_decide),
		ALLOW(silence_is_no_name),
		ALLOW(silence_elsewhere_lets_pass),
		ALLOW(a_foreign_name_counts_elsewhere_too),
		ALLOW(a_full_server_gets_the_rest_later),
		ALLOW(the_end_waits_for_what_is_held),
		ALLOW(what_is_held_is_sent_before_both_ends),
		ALLOW(more_than_can_be_held),
		ALLOW(a_failure_while_held_ends_the_flow),
		ALLOW(a_server_that_fails_when_it_is_let_go),
		ALLOW(one_too_many_is_not_waited_for),
		ALLOW(audit_tells_and_lets_pass),
		ALLOW(audit_keeps_what_is_never_let_out),
		ALLOW(what_was_shown_is_told),
		LEARN(learning_lets_any_name_pass),
		LEARN(learning_tells_names_that_are_unclear),
		LEARN(learning_tells_that_none_was_shown),
		LEARN(learning_tells_an_end_before_the_name),
		LEARN(learning_lets_be_what_has_no_name),
		DENY(a_denied_name_is_refused_when_shown),
		DENY(a_known_denied_name_is_refused_at_once),
		DENY(an_ambiguous_name_could_be_denied),
		DENY(other_names_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
