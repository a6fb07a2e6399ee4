/* The policy as the DNS service asks for it, where there is a proxy. */
#include "flow/guard_dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static struct {
	struct policy policy;
	struct events events;
	struct event_sink sink;
	struct guard guard;
	struct nameserver_rules rules;
	enum reason reason;
	bool audit;
} t;

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static void on_event(struct event_sink *sink, const struct event *ev)
{
	(void)sink;
	t.reason = ev->policy_violation.verdict->reason;
	t.audit = ev->policy_violation.audit;
}

static int setup(void **state)
{
	struct pool_range v4 = { addr_of("203.0.113.0"), 96 + 24 };
	struct pool_range v6 = { addr_of("fdcf::"), 64 };

	(void)state;
	memset(&t, 0, sizeof(t));
	events_init(&t.events);
	t.sink.on_event = on_event;
	event_sink_add(&t.events, &t.sink);
	t.policy.proxy = true;
	t.policy.name_routes = 1 << ROUTE_PROXY;
	t.guard = (struct guard){ .policy = &t.policy,
				  .events = &t.events,
				  .pool = pool_new(&v4, &v6, 1),
				  .audit = true };
	t.rules = guard_dns_rules(&t.guard);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pool_free(t.guard.pool);
	return 0;
}

static enum nameserver_class class_of(const char *text)
{
	struct addr a = addr_of(text);

	return t.rules.classify(t.rules.ctx, &a);
}

static void the_route_of_a_name(void **state)
{
	(void)state;
	assert_int_equal(t.rules.route(t.rules.ctx, "a.example"), ROUTE_PROXY);
	t.policy.name_routes = 0;
	assert_int_equal(t.rules.route(t.rules.ctx, "a.example"), ROUTE_DIRECT);
	/* Not even an audit may ask past the proxy. */
	t.policy.proxy_only = true;
	assert_int_equal(t.rules.route(t.rules.ctx, "a.example"), ROUTE_BLOCK);
}

/* A server could answer with what stands for another name. */
static void synthetic_addresses_are_no_answers(void **state)
{
	struct nameserver_client who = { .protocol = IPPROTO_UDP };
	struct msg_question q = { .name = { .len = 1 } };
	struct addr addr = addr_of("203.0.113.5");
	const struct nameserver_refused refused = {
		.why = NAMESERVER_STRIPPED_ADDRESS, .who = &who, .q = &q, .addr = &addr
	};

	(void)state;
	assert_int_equal(class_of("203.0.113.5"), NAMESERVER_NEVER);
	assert_int_equal(class_of("fdcf::5"), NAMESERVER_NEVER);
	assert_int_equal(class_of("8.8.8.8"), NAMESERVER_PUBLIC);
	assert_int_equal(class_of("10.0.0.1"), NAMESERVER_PRIVATE);
	t.rules.refused(t.rules.ctx, &refused);
	assert_int_equal(t.reason, REASON_UNKNOWN_NAME);
	assert_false(t.audit);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_route_of_a_name),
		CASE(synthetic_addresses_are_no_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
