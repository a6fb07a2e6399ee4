/* What rules match: networks, names, ports and protocols. */
#include "policy/domain.h"
#include "world.h"

/* --- networks --- */

/* The rule of the list that decides about the target, or "". Of several the first. */
static void network_rules(void **state)
{
	static const struct {
		const char *rules, *target, *by;
	} rows[] = {
		{ "192.0.2.0/24", "tcp 192.0.2.0 1", "192.0.2.0/24" },
		{ "192.0.2.0/24", "tcp 192.0.2.255 1", "192.0.2.0/24" },
		{ "192.0.2.0/24", "tcp 192.0.1.255 1", "" },
		{ "192.0.2.0/24", "tcp 192.0.3.0 1", "" },
		{ "192.0.2.7/24", "tcp 192.0.2.200 1", "192.0.2.7/24" },
		{ "192.0.2.7", "tcp 192.0.2.7 1", "192.0.2.7/32" },
		{ "192.0.2.7", "tcp 192.0.2.6 1", "" },
		{ "0.0.0.0/0", "tcp 255.1.2.3 1", "0.0.0.0/0" },
		{ "0.0.0.0/0", "tcp 2001:db8::1 1", "" },
		{ "::/0", "tcp 2001:db8::1 1", "::/0" },
		{ "::/0", "tcp 8.8.8.8 1", "" },
		{ "::/0,8.0.0.0/8", "tcp 8.8.8.8 1", "8.0.0.0/8" },
		{ "2001:db8::/32", "tcp 2001:db8:ffff::1 1", "2001:db8::/32" },
		{ "2001:db8::/32", "tcp 2001:db9:: 1", "" },
		{ "2001:db8::/64", "tcp 2001:db8:0:1:: 1", "" },
		{ "2001:db8::/65", "tcp 2001:db8::7fff:0:0:1 1", "2001:db8::/65" },
		{ "2001:db8::/65", "tcp 2001:db8::8000:0:0:1 1", "" },
		{ "2001:db8::1/128", "tcp 2001:db8::1 1", "2001:db8::1/128" },
		{ "2001:db8::1/128", "tcp 2001:db8::2 1", "" },
		/* nested: the first one in the list, whichever is narrower */
		{ "10.0.0.0/8,10.1.0.0/16", "tcp 10.1.1.1 1", "10.0.0.0/8" },
		{ "10.1.0.0/16,10.0.0.0/8", "tcp 10.1.1.1 1", "10.1.0.0/16" },
		{ "10.1.0.0/16,10.0.0.0/8", "tcp 10.2.1.1 1", "10.0.0.0/8" },
		{ "10.1.1.1,10.0.0.0/8", "tcp 10.1.1.2 1", "10.0.0.0/8" },
		{ "10.0.0.0/8,10.1.0.0/16,10.1.2.0/24", "tcp 10.1.3.1 1", "10.0.0.0/8" },
		/* nested, and the narrow one speaks of another port */
		{ "10.1.0.0/16:22,10.0.0.0/8:80", "tcp 10.1.1.1 80", "10.0.0.0/8:80" },
		{ "10.1.0.0/16:22,10.0.0.0/8:80", "tcp 10.1.1.1 22", "10.1.0.0/16:22" },
		{ "10.1.0.0/16:22,10.0.0.0/8:80", "tcp 10.1.1.1 23", "" },
		/* the same network with different ports */
		{ "10.0.0.0/8:22,10.0.0.0/8:80", "tcp 10.1.1.1 80", "10.0.0.0/8:80" },
		{ "10.0.0.0/8:22,10.0.0.0/8:80", "tcp 10.1.1.1 22", "10.0.0.0/8:22" },
		{ "10.0.0.0/8:1-99,10.0.0.0/8", "tcp 10.1.1.1 50", "10.0.0.0/8:1-99" },
		{ "10.0.0.0/8:1-99,10.0.0.0/8", "tcp 10.1.1.1 0", "10.0.0.0/8" },
		{ "10.0.0.0/8:1-99,10.0.0.0/8", "tcp 10.1.1.1 100", "10.0.0.0/8" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct target t = world_target(rows[i].target);
		struct verdict v;
		struct world w;

		world_init(&w);
		world_rule(&w, POLICY_DENY_CIDR, rows[i].rules);
		world_compile(&w);
		v = policy_decide(&w.policy, &t);
		if (strcmp(v.rule ? v.rule->text : "", rows[i].by))
			fail_msg("%s by %s: %s", rows[i].target, rows[i].rules,
				 v.rule ? v.rule->text : "none");
		world_free(&w);
	}
}

/* --- ports and protocols --- */

static void ports_and_protocols(void **state)
{
	static const struct {
		const char *rule, *yes[6], *no[6];
	} rows[] = {
		{ "8.8.8.8",
		  { "tcp 8.8.8.8 0", "tcp 8.8.8.8 65535", "udp 8.8.8.8 9",
		    "icmp 8.8.8.8 0", "sctp 8.8.8.8 9" },
		  { NULL } },
		{ "8.8.8.8:80",
		  { "tcp 8.8.8.8 80", "udp 8.8.8.8 80" },
		  { "tcp 8.8.8.8 79", "tcp 8.8.8.8 81", "icmp 8.8.8.8 80",
		    "sctp 8.8.8.8 80" } },
		{ "8.8.8.8:80,443,8000-8080",
		  { "tcp 8.8.8.8 80", "tcp 8.8.8.8 443", "tcp 8.8.8.8 8000",
		    "tcp 8.8.8.8 8080", "tcp 8.8.8.8 8040" },
		  { "tcp 8.8.8.8 442", "tcp 8.8.8.8 7999", "tcp 8.8.8.8 8081",
		    "tcp 8.8.8.8 0" } },
		{ "8.8.8.8:5-9,7-20,1-6,30",
		  { "tcp 8.8.8.8 1", "tcp 8.8.8.8 6", "tcp 8.8.8.8 9", "tcp 8.8.8.8 20",
		    "tcp 8.8.8.8 30" },
		  { "tcp 8.8.8.8 0", "tcp 8.8.8.8 21", "tcp 8.8.8.8 29",
		    "tcp 8.8.8.8 31" } },
		{ "tcp://8.8.8.8",
		  { "tcp 8.8.8.8 1" },
		  { "udp 8.8.8.8 1", "icmp 8.8.8.8 0", "sctp 8.8.8.8 1" } },
		{ "tcp://8.8.8.8:65535",
		  { "tcp 8.8.8.8 65535" },
		  { "udp 8.8.8.8 65535", "tcp 8.8.8.8 65534" } },
		{ "udp://8.8.8.8:123",
		  { "udp 8.8.8.8 123" },
		  { "tcp 8.8.8.8 123", "udp 8.8.8.8 124" } },
		{ "icmp://8.8.8.8",
		  { "icmp 8.8.8.8 0", "icmp 8.8.8.8 8" },
		  { "tcp 8.8.8.8 1", "udp 8.8.8.8 1", "sctp 8.8.8.8 1" } },
		{ "icmp://2a00::/16", { "icmpv6 2a00::1 0" }, { "tcp 2a00::1 1" } },
		{ "[2a00::/16]:443",
		  { "tcp 2a00::1 443", "udp 2a00::1 443" },
		  { "tcp 2a00::1 80", "icmpv6 2a00::1 443" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world w;

		world_init(&w);
		world_rule(&w, POLICY_DENY_CIDR, rows[i].rule);
		world_compile(&w);
		for (size_t k = 0; k < ARRAY_SIZE(rows[i].yes) && rows[i].yes[k]; k++) {
			struct target t = world_target(rows[i].yes[k]);

			if (policy_decide(&w.policy, &t).allow)
				fail_msg("%s: not %s", rows[i].rule, rows[i].yes[k]);
		}
		for (size_t k = 0; k < ARRAY_SIZE(rows[i].no) && rows[i].no[k]; k++) {
			struct target t = world_target(rows[i].no[k]);

			if (!policy_decide(&w.policy, &t).allow)
				fail_msg("%s: %s too", rows[i].rule, rows[i].no[k]);
		}
		world_free(&w);
	}
}

/* All ports one by one, each its own rule: the first of each is found, odd ones only. */
static void one_network_with_thousands_of_ports(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (unsigned port = 1; port < 20000; port += 2) {
		char text[64];

		snprintf(text, sizeof(text), "tcp://8.8.8.8:%u", port);
		world_rule(&w, POLICY_DENY_CIDR, text);
	}
	world_rule(&w, POLICY_DENY_CIDR, "8.8.8.8:500-600");
	world_compile(&w);
	for (unsigned port = 0; port < 20010; port++) {
		struct target t = world_target("tcp 8.8.8.8 0");
		const struct rule *rule, *rules = w.lists[POLICY_DENY_CIDR].rules;

		t.to.port = port;
		rule = policy_decide(&w.policy, &t).rule;
		if (port % 2 && port < 20000)
			assert_ptr_equal(rule, &rules[port / 2]);
		else if (port >= 500 && port <= 600)
			assert_ptr_equal(rule, &rules[10000]);
		else
			assert_null(rule);
	}
	world_free(&w);
}

/* --- names --- */

static void domain_rules(void **state)
{
	static const struct {
		enum policy_list list;
		const char *rules, *name, *by;
	} rows[] = {
		{ POLICY_DENY_DOMAIN, "x.test", "x.test", "x.test" },
		{ POLICY_DENY_DOMAIN, "x.test", "X.Test.", "x.test" },
		{ POLICY_DENY_DOMAIN, "x.test", "a.x.test", "x.test" },
		{ POLICY_DENY_DOMAIN, "x.test", "a.b.c.x.TEST", "x.test" },
		{ POLICY_DENY_DOMAIN, "x.test", "_sip._tcp.x.test.", "x.test" },
		{ POLICY_DENY_DOMAIN, "x.test", "ax.test", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "test", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "x.test.y", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "x.tes", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "", "" },
		{ POLICY_DENY_DOMAIN, "x.test", ".", "" },
		{ POLICY_DENY_DOMAIN, "x.test", ".x.test", "x.test" },
		{ POLICY_DENY_DOMAIN, "x.test", "x.test..", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "a\\.x.test", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "a\\\\.x.test", "x.test" },
		{ POLICY_DENY_DOMAIN, "x.test", "a\\\\\\.x.test", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "x\\.test", "" },
		{ POLICY_DENY_DOMAIN, "x.test", "x.test\\.", "" },
		{ POLICY_DENY_DOMAIN, "test", "x.test", "test" },
		{ POLICY_DENY_DOMAIN, "*.x.test", "x.test", "" },
		{ POLICY_DENY_DOMAIN, "*.x.test", "a.x.test", "*.x.test" },
		{ POLICY_DENY_DOMAIN, "*.x.test", "a.b.x.test.", "*.x.test" },
		{ POLICY_DENY_DOMAIN, "*.x.test", "ax.test", "" },
		{ POLICY_DENY_DOMAIN, "*.x.test,x.test", "x.test", "x.test" },
		{ POLICY_DENY_DOMAIN, "*.x.test,x.test", "a.x.test", "*.x.test" },
		{ POLICY_DENY_DOMAIN, "a.x.test,x.test", "a.x.test", "a.x.test" },
		{ POLICY_DENY_DOMAIN, "x.test,a.x.test", "a.x.test", "x.test" },
		{ POLICY_DENY_DOMAIN, "a.x.test:22,x.test", "a.x.test", "x.test" },
		{ POLICY_DENY_DOMAIN, "a.x.test:80,x.test", "a.x.test", "a.x.test:80" },
		{ POLICY_DENY_DOMAIN, "udp://x.test", "x.test", "" },
		{ POLICY_DENY_DOMAIN, "x.test:22,443", "x.test", "" },
		{ POLICY_DENY_DOMAIN_EXACT, "x.test", "x.test", "x.test" },
		{ POLICY_DENY_DOMAIN_EXACT, "x.test", "X.TEST.", "x.test" },
		{ POLICY_DENY_DOMAIN_EXACT, "x.test", "a.x.test", "" },
		{ POLICY_DENY_DOMAIN_EXACT, "x.test,a.x.test", "a.x.test", "a.x.test" },
		{ POLICY_DENY_DOMAIN_EXACT, "x.test:22", "x.test", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct known_name known = { .name = rows[i].name };
		struct target t = world_target("tcp 8.8.8.8 80");
		struct verdict v;
		struct world w;

		world_init(&w);
		world_rule(&w, rows[i].list, rows[i].rules);
		world_compile(&w);
		t.known = &known;
		t.known_count = 1;
		v = policy_decide(&w.policy, &t);
		if (strcmp(v.rule ? v.rule->text : "", rows[i].by))
			fail_msg("'%s' by %s: %s", rows[i].name, rows[i].rules,
				 v.rule ? v.rule->text : "none");
		if (v.rule)
			assert_ptr_equal(v.name, rows[i].name);
		world_free(&w);
	}
}

static void names_that_are_the_same(void **state)
{
	(void)state;
	assert_true(domain_eq("a.b", "A.B."));
	assert_true(domain_eq("", "."));
	assert_false(domain_eq("a.b", "a.bc"));
	assert_false(domain_eq("a.b", "c.b"));
	assert_false(domain_eq("a.b", "a.b\\."));
	assert_false(
		domain_eq("@.b", "`.b")); /* differ by the bit that letters differ by */
}

static void addresses_that_look_like_names(void **state)
{
	static const char *const addresses[] = {
		"10.0.0.1",    "127.1", "2130706433", "0x7f000001",   "0X7F.1",
		"1.2.3.4.",    "0x",	"::1",	      "fe80::1%lo",   "a.0",
		"a.example.1", "",	".",	      "017700000001", "10\\.0\\.0\\.1",
		"0xabcdef",
	};
	static const char *const names[] = {
		"a.example", "1.example", "0x.example", "a.0xg",
		"a.1a",	     "x",	  "a.b0",	"0x1.b.",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		if (!domain_is_address(addresses[i]))
			fail_msg("%s", addresses[i]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (domain_is_address(names[i]))
			fail_msg("%s", names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(network_rules),
		cmocka_unit_test(ports_and_protocols),
		cmocka_unit_test(one_network_with_thousands_of_ports),
		cmocka_unit_test(domain_rules),
		cmocka_unit_test(names_that_are_the_same),
		cmocka_unit_test(addresses_that_look_like_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
