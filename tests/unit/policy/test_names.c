/* DNS questions, names that flows show, and what else goes by names. */
#include "world.h"

/* --- questions --- */

static struct verdict ask(const struct world *w, const char *name)
{
	struct target t = world_target("udp 10.240.0.1 53");

	t.name = name;
	t.dns_question = true;
	return policy_decide(&w->policy, &t);
}

static void expect(const struct world *w, const char *name, enum reason reason)
{
	struct verdict v = ask(w, name);

	if (v.reason != reason)
		fail_msg("%s: %s", name ? name : "no name", reason_name(v.reason));
	assert_int_equal(v.allow, reason == REASON_ALLOWED);
	assert_false(v.sniff);
	assert_false(v.by_name);
}

static void questions_without_controls(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	expect(&w, "a.test", REASON_ALLOWED);
	expect(&w, ".", REASON_ALLOWED);
	expect(&w, "metadata.goog", REASON_ALLOWED);
	expect(&w, NULL, REASON_UNKNOWN_NAME);
	assert_false(policy_asks_own_only(&w.policy));
	w.policy.block_metadata = true;
	expect(&w, "metadata.goog", REASON_METADATA);
	expect(&w, "a.test", REASON_ALLOWED);
	w.policy.offline = true;
	expect(&w, "metadata.goog", REASON_OFFLINE);
	expect(&w, "a.test", REASON_OFFLINE);
	world_free(&w);
}

static void questions_under_default_deny(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.default_deny = true;
	assert_true(policy_asks_own_only(&w.policy));
	expect(&w, "a.test", REASON_DEFAULT_DENY);
	world_rule(&w, POLICY_ALLOW_CIDR, "0.0.0.0/0");
	world_rule(&w, POLICY_ALLOW_DOMAIN, "a.test,*.b.test,udp://p.test:123");
	world_rule(&w, POLICY_ALLOW_DOMAIN_EXACT, "e.test:22");
	world_rule(&w, POLICY_DENY_DOMAIN, "no.a.test,tcp://q.a.test,r.a.test:25");
	world_rule(&w, POLICY_DENY_DOMAIN_EXACT, "not.a.test");
	world_compile(&w);
	expect(&w, "other.test", REASON_DEFAULT_DENY);
	expect(&w, "a.test", REASON_ALLOWED);
	assert_ptr_equal(ask(&w, "x.A.test.").rule,
			 &w.lists[POLICY_ALLOW_DOMAIN].rules[0]);
	expect(&w, "b.test", REASON_DEFAULT_DENY);
	expect(&w, "x.b.test", REASON_ALLOWED);
	/* A rule for some ports is enough to ask, and not enough to deny the name. */
	expect(&w, "p.test", REASON_ALLOWED);
	expect(&w, "e.test", REASON_ALLOWED);
	expect(&w, "x.e.test", REASON_DEFAULT_DENY);
	expect(&w, "q.a.test", REASON_ALLOWED);
	expect(&w, "r.a.test", REASON_ALLOWED);
	expect(&w, "no.a.test", REASON_DENY_DOMAIN);
	expect(&w, "x.no.a.test", REASON_DENY_DOMAIN);
	expect(&w, "not.a.test", REASON_DENY_DOMAIN_EXACT);
	expect(&w, "x.not.a.test", REASON_ALLOWED);
	w.policy.allow_dns = true;
	expect(&w, "other.test", REASON_ALLOWED);
	assert_null(ask(&w, "other.test").rule);
	expect(&w, "no.a.test", REASON_DENY_DOMAIN);
	world_free(&w);
}

static void questions_under_proxy_only(void **state)
{
	struct target t = world_target("udp 10.240.0.1 53");
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.proxy_only = true;
	world_rule(&w, POLICY_ALLOW_DOMAIN, "a.test");
	world_rule(&w, POLICY_DENY_DOMAIN, "no.test");
	world_compile(&w);
	expect(&w, "a.test", REASON_PROXY_ONLY);
	expect(&w, "no.test", REASON_DENY_DOMAIN);
	w.policy.allow_dns = true;
	expect(&w, "a.test", REASON_PROXY_ONLY);
	w.policy.proxy = true;
	w.policy.name_routes = 1 << ROUTE_PROXY; /* the answer is ours: nobody is asked */
	t.name = "a.test";
	assert_true(policy_decide_name(&w.policy, &t).allow);
	t.name = "no.test";
	assert_int_equal(policy_decide_name(&w.policy, &t).reason, REASON_DENY_DOMAIN);
	t.name = "b.test";
	assert_true(policy_decide_name(&w.policy, &t).allow);
	w.policy.default_deny = true;
	w.policy.allow_dns = false;
	assert_int_equal(policy_decide_name(&w.policy, &t).reason, REASON_DEFAULT_DENY);
	world_free(&w);
}

/* Asked of a server of the child's choice: its address counts only if it is asked indeed. */
static void the_server_that_is_asked(void **state)
{
	struct target private = world_target("udp 10.0.0.1 53");
	struct target other = world_target("udp 8.8.8.8 53");
	struct target self = world_target("tcp 127.0.0.1 53");
	struct target many = world_target("udp 224.0.0.1 53");
	struct target gateway = world_target("udp 10.240.0.1 53");
	struct target *all[] = { &private, &other, &self, &many };
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		all[i]->dns_question = true;
		all[i]->name = "a.test";
	}
	world_init(&w);
	assert_true(policy_decide(&w.policy, &private).allow);
	assert_int_equal(policy_decide(&w.policy, &self).reason, REASON_MARTIAN);
	assert_int_equal(policy_decide(&w.policy, &many).reason, REASON_MULTICAST);
	w.policy.block_private = true;
	world_rule(&w, POLICY_DENY_CIDR, "udp://8.8.8.8:53");
	world_compile(&w);
	assert_int_equal(policy_decide(&w.policy, &private).reason, REASON_PRIVATE);
	assert_int_equal(policy_decide(&w.policy, &other).reason, REASON_DENY_CIDR);
	other.protocol = IPPROTO_TCP;
	assert_true(policy_decide(&w.policy, &other).allow);
	other.protocol = IPPROTO_UDP;
	w.policy.offline = true;
	assert_int_equal(policy_decide(&w.policy, &private).reason, REASON_OFFLINE);
	assert_int_equal(policy_decide(&w.policy, &self).reason, REASON_MARTIAN);
	w.policy.offline = false;
	/* Before the name is known. */
	assert_int_equal(policy_decide_server(&w.policy, &private).reason,
			 REASON_PRIVATE);
	private.name = NULL;
	assert_int_equal(policy_decide_server(&w.policy, &private).reason,
			 REASON_PRIVATE);
	w.policy.block_private = false;
	assert_true(policy_decide_server(&w.policy, &private).allow);
	assert_int_equal(policy_decide(&w.policy, &private).reason, REASON_UNKNOWN_NAME);
	w.policy.block_private = true;
	private.name = "a.test";
	assert_true(policy_decide_server(&w.policy, &gateway).allow);
	for (int way = 0; way < 5; way++) {
		w.policy.own_resolvers = way == 0;
		w.policy.proxy = way == 1;
		w.policy.default_deny = way == 2;
		w.policy.allow_dns = way == 2;
		if (way == 3)
			world_rule(&w, POLICY_DENY_DOMAIN, "no.test");
		if (way == 4) {
			w.policy.proxy_only = true;
			w.policy.proxy = true;
			w.policy.name_routes = 1 << ROUTE_PROXY;
		}
		world_compile(&w);
		assert_true(policy_asks_own_only(&w.policy));
		assert_true(policy_decide(&w.policy, &private).allow);
		assert_true(policy_decide(&w.policy, &other).allow);
		assert_int_equal(policy_decide(&w.policy, &self).reason, REASON_MARTIAN);
	}
	world_free(&w);
}

/* --- names that a flow shows --- */

static const struct known_name known[] = {
	{ "heard.allow.test", false },
	{ "www.allow.test", true },
	{ "exact.test", true },
	{ "other.test", true },
};

static struct target flow_to(const char *text)
{
	struct target t = world_target(text);

	t.known = known;
	t.known_count = ARRAY_SIZE(known);
	return t;
}

static enum reason shows(const struct world *w, const char *text, const char *name)
{
	struct target t = flow_to(text);
	struct verdict v;

	t.sniffed = true;
	t.seen_name = name;
	v = policy_decide(&w->policy, &t);
	assert_false(v.sniff);
	return v.reason;
}

static void world_of_names(struct world *w)
{
	world_init(w);
	w->policy.default_deny = true;
	world_rule(w, POLICY_ALLOW_DOMAIN, "allow.test");
	world_rule(w, POLICY_ALLOW_DOMAIN_EXACT, "exact.test:443");
	world_rule(w, POLICY_DENY_DOMAIN, "deny.test,no.allow.test:8443");
	world_rule(w, POLICY_ALLOW_CIDR, "4.4.4.4");
	world_compile(w);
}

static void shown_names_must_allow(void **state)
{
	struct world w;

	(void)state;
	world_of_names(&w);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "www.allow.test"), REASON_ALLOWED);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "WWW.Allow.test."), REASON_ALLOWED);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "exact.test"), REASON_ALLOWED);
	/* allowed, but not for this port */
	assert_int_equal(shows(&w, "tcp 8.8.8.8 80", "exact.test"), REASON_NAME_MISMATCH);
	/* of this address, but not allowed */
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "other.test"),
			 REASON_NAME_MISMATCH);
	/* allowed, but not of this address, or not by our resolver */
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "far.allow.test"),
			 REASON_NAME_MISMATCH);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "heard.allow.test"),
			 REASON_NAME_MISMATCH);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 9999", "far.allow.test"),
			 REASON_NAME_MISMATCH);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "8.8.8.8"), REASON_NAME_MISMATCH);
	/* none */
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", NULL), REASON_NAME_MISSING);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 80", NULL), REASON_NAME_MISSING);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 22", NULL), REASON_ALLOWED);
	/* denied always, also where an address rule allows */
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "x.deny.test"), REASON_DENY_DOMAIN);
	assert_int_equal(shows(&w, "tcp 4.4.4.4 443", "deny.test"), REASON_DENY_DOMAIN);
	assert_int_equal(shows(&w, "tcp 4.4.4.4 443", "else.test"), REASON_ALLOWED);
	assert_int_equal(shows(&w, "tcp 4.4.4.4 443", NULL), REASON_ALLOWED);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 8443", "no.allow.test"),
			 REASON_DENY_DOMAIN);
	w.policy.default_deny = false;
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "else.test"), REASON_ALLOWED);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", NULL), REASON_ALLOWED);
	assert_int_equal(shows(&w, "tcp 8.8.8.8 443", "deny.test"), REASON_DENY_DOMAIN);
	world_free(&w);
}

static void a_synthetic_address_has_one_name(void **state)
{
	struct target t = world_target("tcp 198.18.0.1 443");
	struct world w;

	(void)state;
	world_of_names(&w);
	w.policy.proxy = true;
	t.name_only = t.sniffed = true;
	t.name = "www.allow.test";
	/* What is known of the address itself is somebody else's. */
	t.known = &(struct known_name){ "far.allow.test", true };
	t.known_count = 1;
	t.seen_name = "www.allow.test";
	assert_int_equal(policy_decide(&w.policy, &t).reason, REASON_ALLOWED);
	t.seen_name = "far.allow.test";
	assert_int_equal(policy_decide(&w.policy, &t).reason, REASON_NAME_MISMATCH);
	t.seen_name = NULL;
	assert_int_equal(policy_decide(&w.policy, &t).reason, REASON_NAME_MISSING);
	t.name = "else.test";
	assert_int_equal(policy_decide(&w.policy, &t).reason, REASON_DEFAULT_DENY);
	world_free(&w);
}

static bool sniffs(const struct world *w, struct target t)
{
	return policy_decide(&w->policy, &t).sniff;
}

static void who_is_sniffed(void **state)
{
	struct target sniffed = flow_to("tcp 8.8.8.8 443");
	struct world w;

	(void)state;
	sniffed.sniffed = true;
	sniffed.seen_name = "www.allow.test";
	world_of_names(&w);
	assert_true(sniffs(&w, flow_to("tcp 8.8.8.8 443")));
	assert_true(sniffs(&w, flow_to("tcp 8.8.8.8 22")));
	assert_false(sniffs(&w, sniffed));
	assert_false(sniffs(&w, flow_to("udp 8.8.8.8 22")));
	assert_false(sniffs(&w, flow_to("tcp 4.4.4.4 443")));
	assert_false(sniffs(&w, world_target("tcp 9.9.9.9 443"))); /* refused */
	/* Without default-deny all are allowed, and some names are denied. */
	w.policy.default_deny = false;
	assert_true(sniffs(&w, world_target("tcp 9.9.9.9 443")));
	assert_true(sniffs(&w, world_target("tcp 4.4.4.4 443")));
	assert_false(sniffs(&w, world_target("udp 9.9.9.9 443")));
	rules_clear(&w.lists[POLICY_DENY_DOMAIN]);
	world_compile(&w);
	assert_false(sniffs(&w, flow_to("tcp 8.8.8.8 443")));
	world_free(&w);
}

/* Whatever the rules are, what a domain rule would ask is asked. */
static void learning_sniffs_what_has_a_name(void **state)
{
	struct target by_proxy = world_target("tcp 198.18.0.1 443");
	struct world w;

	(void)state;
	world_init(&w);
	by_proxy.name_only = true;
	by_proxy.name = "allow.test";
	assert_false(sniffs(&w, flow_to("tcp 8.8.8.8 443")));
	w.policy.learns = true;
	assert_true(sniffs(&w, flow_to("tcp 8.8.8.8 443")));
	assert_true(sniffs(&w, flow_to("tcp 8.8.8.8 22")));
	assert_false(sniffs(&w, flow_to("udp 8.8.8.8 443")));
	assert_false(sniffs(&w, world_target("tcp 9.9.9.9 443")));
	w.policy.proxy = true;
	assert_true(sniffs(&w, by_proxy));
	world_free(&w);
}

/* It says of each what the policy decides under a rule for that name. */
static void a_name_is_enough_where_its_rule_would_be(void **state)
{
	static const char *const flows[] = { "tcp 8.8.8.8 443", "tcp 8.8.8.8 80",
					     "tcp 8.8.8.8 22", "udp 8.8.8.8 443",
					     "udp 8.8.8.8 22" };
	static const char *const shown[] = {
		NULL, "", "www.allow.test", "WWW.Allow.Test", "else.test", "deny.test"
	};
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.default_deny = w.policy.allow_quic = true;
	world_rule(&w, POLICY_ALLOW_DOMAIN_EXACT, "www.allow.test");
	world_compile(&w);
	for (size_t i = 0; i < ARRAY_SIZE(flows); i++) {
		struct target t = flow_to(flows[i]);

		assert_true(policy_name_is_enough(&t, "www.allow.test"));
		t.sniffed = true;
		for (size_t k = 0; k < ARRAY_SIZE(shown); k++) {
			t.seen_name = shown[k];
			assert_int_equal(policy_name_is_enough(&t, "www.allow.test"),
					 policy_decide(&w.policy, &t).allow);
		}
	}
	world_free(&w);
}

static void quic_shows_no_name(void **state)
{
	struct target t = flow_to("udp 8.8.8.8 443");
	struct target by_address = world_target("udp 4.4.4.4 443");
	struct target by_proxy = world_target("udp 198.18.0.1 443");
	struct world w;

	(void)state;
	world_of_names(&w);
	by_proxy.name_only = true;
	by_proxy.name = "allow.test";
	assert_int_equal(policy_decide(&w.policy, &t).reason, REASON_QUIC);
	assert_false(policy_decide(&w.policy, &t).allow);
	w.policy.proxy = true;
	w.policy.udp_routes = 1 << ROUTE_PROXY;
	assert_int_equal(policy_decide(&w.policy, &by_proxy).reason, REASON_QUIC);
	w.policy.proxy = false;
	assert_true(policy_decide(&w.policy, &by_address).allow);
	t.to.port = 444;
	assert_true(policy_decide(&w.policy, &t).allow);
	t.to.port = 443;
	w.policy.allow_quic = true;
	assert_true(policy_decide(&w.policy, &t).allow);
	w.policy.allow_quic = false;
	w.policy.default_deny = false;
	assert_true(policy_decide(&w.policy, &t).allow);
	world_free(&w);
}

/* --- other resolvers --- */

static void resolvers_of_others(void **state)
{
	static const char *const services[] = {
		"tcp 4.4.4.4 853",  "udp 4.4.4.4 853",	"udp 4.4.4.4 5353",
		"udp 4.4.4.4 5355", "tcp 4.4.4.4 5355", "udp 4.4.4.4 137",
		"udp 4.4.4.4 138",  "tcp 4.4.4.4 138",
	};
	static const char *const others[] = {
		"tcp 4.4.4.4 852",
		"udp 4.4.4.4 854",
		"udp 4.4.4.4 5354",
		"udp 4.4.4.4 139",
	};
	static const enum policy_list lists[] = {
		POLICY_DENY_DOMAIN,
		POLICY_DENY_DOMAIN_EXACT,
		POLICY_ALLOW_DOMAIN,
		POLICY_ALLOW_DOMAIN_EXACT,
	};

	(void)state;
	/* A list of each kind, proxy-only, and neither. */
	for (size_t way = 0; way < ARRAY_SIZE(lists) + 2; way++) {
		bool controlled = way <= ARRAY_SIZE(lists);
		struct world w;

		world_init(&w);
		world_rule(&w, POLICY_ALLOW_CIDR, "4.4.4.4");
		if (way < ARRAY_SIZE(lists))
			world_rule(&w, lists[way], "a.test");
		w.policy.proxy_only = way == ARRAY_SIZE(lists);
		w.policy.proxy = true;
		w.policy.udp_routes = 1 << ROUTE_PROXY;
		world_compile(&w);
		for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
			struct target t = world_target(services[i]);

			assert_int_equal(policy_decide(&w.policy, &t).reason,
					 controlled ? REASON_NAME_SERVICE :
						      REASON_ALLOWED);
		}
		for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
			struct target t = world_target(others[i]);

			assert_true(policy_decide(&w.policy, &t).allow);
		}
		world_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_without_controls),
		cmocka_unit_test(questions_under_default_deny),
		cmocka_unit_test(questions_under_proxy_only),
		cmocka_unit_test(the_server_that_is_asked),
		cmocka_unit_test(shown_names_must_allow),
		cmocka_unit_test(a_synthetic_address_has_one_name),
		cmocka_unit_test(who_is_sniffed),
		cmocka_unit_test(learning_sniffs_what_has_a_name),
		cmocka_unit_test(a_name_is_enough_where_its_rule_would_be),
		cmocka_unit_test(quic_shows_no_name),
		cmocka_unit_test(resolvers_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
