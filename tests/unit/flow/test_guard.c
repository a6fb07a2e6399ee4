#include "../policy/world.h"

#include "flow/guard_dns.h"

static struct {
	struct world w;
	uv_loop_t loop;
	struct events events;
	struct event_sink sink;
	struct guard guard;
	/* what the sink saw */
	int told;
	bool audit;
	enum reason reason;
	uint64_t flow_id;
	char name[64], stripped[ADDR_TEXT_MAX], alias[64], known[64];
} t;

static void copy(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

static void on_event(struct event_sink *sink, const struct event *ev)
{
	(void)sink;
	assert_int_equal(ev->kind, EVENT_POLICY_VIOLATION);
	t.told++;
	t.audit = ev->policy_violation.audit;
	t.reason = ev->policy_violation.verdict->reason;
	t.flow_id = ev->flow_id;
	copy(t.name, sizeof(t.name), ev->policy_violation.target->name);
	copy(t.alias, sizeof(t.alias), ev->policy_violation.alias);
	copy(t.known, sizeof(t.known), ev->name_count ? ev->names[0] : NULL);
	t.stripped[0] = '\0';
	if (ev->policy_violation.stripped)
		addr_format(ev->policy_violation.stripped, t.stripped);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	world_init(&t.w);
	uv_loop_init(&t.loop);
	events_init(&t.events);
	t.sink.on_event = on_event;
	event_sink_add(&t.events, &t.sink);
	t.guard = (struct guard){ .policy = &t.w.policy,
				  .events = &t.events,
				  .names = names_new(100, 1),
				  .loop = &t.loop };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	names_free(t.guard.names);
	world_free(&t.w);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	return 0;
}

static bool admits(const char *target)
{
	struct inquiry q = { .target = world_target(target) };

	t.told = 0;
	return guard_admits(&t.guard, &(struct endpoint){ .port = 1 }, 77, &q);
}

static void learn(const char *addr, const char *name)
{
	struct addr a = world_addr(addr);

	assert_true(names_learn(t.guard.names, &a, name, 60, uv_now(&t.loop)));
}

static void a_refusal_is_told_once(void **state)
{
	(void)state;
	assert_true(admits("tcp 4.4.4.4 80"));
	assert_int_equal(t.told, 0);
	t.w.policy.offline = true;
	assert_false(admits("tcp 4.4.4.4 80"));
	assert_int_equal(t.told, 1);
	assert_int_equal(t.reason, REASON_OFFLINE);
	assert_int_equal(t.flow_id, 77);
	assert_false(t.audit);
}

static void names_that_are_known_count(void **state)
{
	(void)state;
	t.w.policy.default_deny = true;
	world_rule(&t.w, POLICY_ALLOW_DOMAIN, "a.test");
	world_rule(&t.w, POLICY_DENY_DOMAIN, "b.test");
	world_compile(&t.w);
	assert_false(admits("tcp 4.4.4.4 22"));
	learn("4.4.4.5", "a.test");
	assert_false(admits("tcp 4.4.4.4 22"));
	learn("4.4.4.4", "x.test");
	assert_false(admits("tcp 4.4.4.4 22"));
	assert_string_equal(t.known, "x.test");
	learn("4.4.4.4", "a.test");
	assert_true(admits("tcp 4.4.4.4 22"));
	learn("4.4.4.4", "b.test");
	assert_false(admits("tcp 4.4.4.4 22"));
	assert_int_equal(t.reason, REASON_DENY_DOMAIN);
}

/* Without a table of names there are none. */
static void no_names_at_all(void **state)
{
	struct names *names = t.guard.names;

	(void)state;
	t.guard.names = NULL;
	assert_true(admits("tcp 4.4.4.4 22"));
	assert_null(guard_hold(&t.guard, &(struct addr){ 0 }));
	guard_release(&t.guard, NULL);
	t.guard.names = names;
}

/* Audit lets pass what rules refuse, not what never leaves. */
static void audit(void **state)
{
	static const struct {
		const char *target;
		bool passes, told;
	} rows[] = {
		{ "tcp 4.4.4.4 80", true, true },
		{ "udp 10.1.2.3 80", true, true },
		{ "tcp 169.254.169.254 80", true, true },
		{ "tcp 127.0.0.1 80", false, true },
		{ "udp 224.0.0.251 5353", false, true },
		{ "tcp 10.240.0.1 80", false, false },
		{ "tcp 10.240.0.1 53", true, false },
	};

	(void)state;
	t.guard.audit = true;
	t.w.policy.offline = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(admits(rows[i].target), rows[i].passes);
		assert_int_equal(t.told, rows[i].told);
		if (t.told)
			assert_int_equal(t.audit, rows[i].passes);
	}
	/* Nor what has no way: there is no proxy for datagrams. */
	t.w.policy.offline = false;
	t.w.policy.proxy_only = true;
	assert_false(admits("udp 4.4.4.4 80"));
	assert_int_equal(t.reason, REASON_PROXY_ONLY);
	assert_false(t.audit);
}

static void servers(void **state)
{
	struct inquiry q = { .target = world_target("udp 10.1.2.3 53"),
			     .of_server = true };

	(void)state;
	assert_true(guard_admits(&t.guard, &(struct endpoint){ 0 }, 0, &q));
	t.w.policy.block_private = true;
	assert_false(guard_admits(&t.guard, &(struct endpoint){ 0 }, 0, &q));
	assert_int_equal(t.reason, REASON_PRIVATE);
	t.guard.audit = true;
	assert_true(guard_admits(&t.guard, &(struct endpoint){ 0 }, 0, &q));
	assert_true(t.audit);
}

/* --- what DNS asks --- */

static enum nameserver_standing standing(const char *name)
{
	struct nameserver_rules r = guard_dns_rules(&t.guard);

	return r.standing(r.ctx, name);
}

static void standings(void **state)
{
	(void)state;
	world_rule(&t.w, POLICY_ALLOW_DOMAIN, "a.test");
	world_rule(&t.w, POLICY_ALLOW_DOMAIN_EXACT, "c.test:443");
	world_rule(&t.w, POLICY_DENY_DOMAIN, "b.a.test");
	world_rule(&t.w, POLICY_DENY_DOMAIN, "d.test:80");
	world_compile(&t.w);
	for (int deny = 0; deny < 2; deny++) {
		t.w.policy.default_deny = deny;
		assert_int_equal(standing("a.test"), NAMESERVER_ALLOWED);
		assert_int_equal(standing("x.a.test"), NAMESERVER_ALLOWED);
		assert_int_equal(standing("c.test"), NAMESERVER_ALLOWED);
		assert_int_equal(standing("x.c.test"), NAMESERVER_UNNAMED);
		assert_int_equal(standing("b.a.test"), NAMESERVER_DENIED);
		assert_int_equal(standing("d.test"), NAMESERVER_UNNAMED);
		assert_int_equal(standing("e.test"), NAMESERVER_UNNAMED);
	}
	t.w.policy.block_metadata = true;
	assert_int_equal(standing("metadata.google.internal"), NAMESERVER_DENIED);
	t.w.policy.proxy_only = true;
	assert_int_equal(standing("a.test"), NAMESERVER_DENIED);
	t.w.policy.proxy = true; /* asked by nobody, at last by the proxy */
	t.w.policy.name_routes = UINT64_MAX;
	assert_int_equal(standing("a.test"), NAMESERVER_ALLOWED);
}

static void classes(void **state)
{
	static const struct {
		const char *addr;
		enum nameserver_class class;
	} rows[] = { { "4.4.4.4", NAMESERVER_PUBLIC },
		     { "10.1.2.3", NAMESERVER_PRIVATE },
		     { "127.0.0.1", NAMESERVER_NEVER } };
	struct nameserver_rules r = guard_dns_rules(&t.guard);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr a = world_addr(rows[i].addr);

		assert_int_equal(r.classify(r.ctx, &a), rows[i].class);
	}
}

static void switches(void **state)
{
	struct nameserver_rules r = guard_dns_rules(&t.guard);
	struct policy *p = &t.w.policy;

	(void)state;
	assert_false(r.offline || r.only_allowed_asked || r.only_allowed_private ||
		     r.strips_private || r.names_rule || r.audit);
	p->offline = true;
	assert_true(guard_dns_rules(&t.guard).offline);
	p->default_deny = true;
	r = guard_dns_rules(&t.guard);
	assert_true(r.only_allowed_asked && r.only_allowed_private && !r.strips_private);
	p->allow_dns = true;
	r = guard_dns_rules(&t.guard);
	assert_true(!r.only_allowed_asked && r.only_allowed_private);
	p->block_private = true;
	assert_true(guard_dns_rules(&t.guard).strips_private);
	world_rule(&t.w, POLICY_DENY_DOMAIN, "a.test");
	world_compile(&t.w);
	assert_true(guard_dns_rules(&t.guard).names_rule);
	t.guard.audit = true;
	assert_true(guard_dns_rules(&t.guard).audit);
}

static void refused(const char *addr, const char *alias)
{
	struct nameserver_rules r = guard_dns_rules(&t.guard);
	struct nameserver_client who = { .protocol = IPPROTO_UDP };
	struct msg_question q = { .type = MSG_TYPE_A };
	struct addr a = world_addr(addr ? addr : "::");
	struct nameserver_refused what = {
		.who = &who, .q = &q, .addr = addr ? &a : NULL, .alias = alias
	};

	assert_true(name_from_text("asked.test", &q.name));
	t.told = 0;
	r.refused(r.ctx, &what);
	assert_int_equal(t.told, 1);
	assert_string_equal(t.name, "asked.test");
}

static void refused_questions_and_answers(void **state)
{
	(void)state;
	world_rule(&t.w, POLICY_DENY_DOMAIN, "alias.test");
	world_compile(&t.w);
	refused("127.0.0.1", NULL);
	assert_int_equal(t.reason, REASON_MARTIAN);
	assert_string_equal(t.stripped, "127.0.0.1");
	refused("10.1.2.3", NULL);
	assert_int_equal(t.reason, REASON_PRIVATE);
	refused(NULL, "alias.test");
	assert_int_equal(t.reason, REASON_DENY_DOMAIN);
	assert_string_equal(t.alias, "alias.test");
	t.w.policy.default_deny = true;
	refused(NULL, NULL);
	assert_int_equal(t.reason, REASON_DEFAULT_DENY);
	assert_false(t.audit);
	/* Audit gives what rules keep back, not what leads nowhere. */
	t.guard.audit = true;
	refused("10.1.2.3", NULL);
	assert_true(t.audit);
	refused("127.0.0.1", NULL);
	assert_false(t.audit);
	refused(NULL, NULL);
	assert_true(t.audit);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_refusal_is_told_once),
		T(names_that_are_known_count),
		T(no_names_at_all),
		T(audit),
		T(servers),
		T(standings),
		T(classes),
		T(switches),
		T(refused_questions_and_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
