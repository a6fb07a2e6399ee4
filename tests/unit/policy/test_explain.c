#include "policy/explain.h"

#include "world.h"

static void explains(const struct world *w, struct target t, const char *text)
{
	struct policy policy = w->policy;
	char out[POLICY_EXPLAIN_MAX];
	struct verdict v;

	/* Synthetic addresses are given only where there is a proxy. */
	policy.proxy |= t.name_only;
	policy.udp_routes = 1 << ROUTE_PROXY;
	v = policy_decide(&policy, &t);
	assert_string_equal(policy_explain(&v, &t, out), text);
}

static struct target named(const char *text, const char *name)
{
	static struct known_name known;
	struct target t = world_target(text);

	known = (struct known_name){ name, true };
	t.known = &known;
	t.known_count = 1;
	return t;
}

static struct target synthetic(const char *text, const char *name)
{
	struct target t = world_target(text);

	t.name_only = true;
	t.name = name;
	return t;
}

static struct target question(const char *name)
{
	struct target t = world_target("udp 10.240.0.1 53");

	t.dns_question = true;
	t.name = name;
	return t;
}

static struct target showing(struct target t, const char *name)
{
	t.sniffed = true;
	t.seen_name = name;
	return t;
}

static void default_deny_suggests_a_rule(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.default_deny = true;
	explains(&w, world_target("tcp 192.0.2.7 443"),
		 "blocked tcp 192.0.2.7:443 (default-deny): --allow-cidr 192.0.2.7:443 "
		 "would "
		 "allow it");
	explains(&w, world_target("udp 2001:db8::1 123"),
		 "blocked udp [2001:db8::1]:123 (default-deny): --allow-cidr "
		 "udp://[2001:db8::1]:123 would allow it");
	explains(&w, world_target("icmpv6 2001:db8::1 0"),
		 "blocked icmp 2001:db8::1 (default-deny): --allow-cidr "
		 "icmp://2001:db8::1 "
		 "would allow it");
	explains(&w, world_target("sctp 192.0.2.7 0"),
		 "blocked protocol 132 192.0.2.7 (default-deny): --allow-cidr 192.0.2.7 "
		 "would "
		 "allow it");
	explains(&w, named("tcp 192.0.2.7 443", "www.Example.com."),
		 "blocked tcp 192.0.2.7:443 (default-deny): --allow-domain "
		 "www.Example.com:443 would allow it");
	explains(&w, named("udp 192.0.2.7 443", "a.test"),
		 "blocked udp 192.0.2.7:443 (default-deny): --allow-cidr "
		 "udp://192.0.2.7:443 "
		 "would allow it");
	explains(&w, named("tcp 192.0.2.7 443", "_srv.a.test"),
		 "blocked tcp 192.0.2.7:443 (default-deny): --allow-cidr 192.0.2.7:443 "
		 "would "
		 "allow it");
	explains(&w, synthetic("tcp 198.18.0.1 22", "a.test"),
		 "blocked tcp a.test:22 (default-deny): --allow-domain a.test:22 would "
		 "allow "
		 "it");
	explains(&w, synthetic("udp 198.18.0.1 443", "a.test"),
		 "blocked udp a.test:443 (default-deny): --default-policy allow would "
		 "allow "
		 "it");
	explains(&w, question("a.test."),
		 "blocked dns a.test (default-deny): --allow-domain a.test would allow "
		 "it");
	explains(&w, question("1-2"),
		 "blocked dns 1-2 (default-deny): --allow-dns would allow it");
	explains(&w, question("_ldap._tcp.a.test"),
		 "blocked dns _ldap._tcp.a.test (default-deny): --allow-dns would allow "
		 "it");
	world_free(&w);
}

static void what_forbids(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	explains(&w, world_target("tcp 127.0.0.1 80"),
		 "blocked tcp 127.0.0.1:80 (martian): addresses of the own machine never "
		 "leave it");
	explains(&w, world_target("udp 224.0.0.251 5353"),
		 "blocked udp 224.0.0.251:5353 (multicast): multicast and broadcast are "
		 "never "
		 "relayed");
	explains(&w, world_target("tcp 10.240.0.1 80"),
		 "blocked tcp 10.240.0.1:80 (gateway): nothing is served there");
	explains(&w, synthetic("tcp 198.18.0.1 80", NULL),
		 "blocked tcp 198.18.0.1:80 (unknown-name): its address stands for no "
		 "name of "
		 "a host");
	world_rule(&w, POLICY_DENY_CIDR, "udp://8.8.8.0/24:53");
	world_rule(&w, POLICY_DENY_DOMAIN, "*.a.test");
	world_rule(&w, POLICY_DENY_DOMAIN_EXACT, "e.test:80");
	world_compile(&w);
	explains(&w, world_target("udp 8.8.8.8 53"),
		 "blocked udp 8.8.8.8:53 (deny-cidr): --deny-cidr udp://8.8.8.0/24:53 "
		 "forbids "
		 "it");
	explains(&w, question("x.a.test"),
		 "blocked dns x.a.test (deny-domain): --deny-domain *.a.test forbids it");
	explains(&w, named("tcp 192.0.2.7 80", "e.test"),
		 "blocked tcp 192.0.2.7:80 (deny-domain-exact): --deny-domain-exact "
		 "e.test:80 "
		 "forbids it");
	explains(&w, world_target("tcp 192.0.2.7 853"),
		 "blocked tcp 192.0.2.7:853 (name-service): other resolvers are refused "
		 "while "
		 "a domain rule or --proxy-only is given");
	w.policy.block_private = true;
	explains(&w, world_target("tcp 10.0.0.1 80"),
		 "blocked tcp 10.0.0.1:80 (private): --block-private forbids it");
	w.policy.block_metadata = true;
	explains(
		&w, world_target("tcp 169.254.169.254 80"),
		"blocked tcp 169.254.169.254:80 (metadata): --block-metadata forbids it");
	w.policy.proxy_only = true;
	explains(&w, world_target("udp 8.8.8.8 123"),
		 "blocked udp 8.8.8.8:123 (proxy-only): --proxy-only forbids it");
	w.policy.offline = true;
	explains(&w, world_target("tcp 10.0.0.1 80"),
		 "blocked tcp 10.0.0.1:80 (offline): --offline forbids it");
	world_free(&w);
}

static void what_routes_forbid(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_rule(&w, POLICY_ROUTE, "*.a.test:443=block");
	world_rule(&w, POLICY_ROUTE, "icmp://8.8.8.8=direct");
	w.policy.proxy = true;
	world_compile(&w);
	explains(&w, synthetic("tcp 198.18.0.1 443", "x.a.test"),
		 "blocked tcp x.a.test:443 (route): --route *.a.test:443=block forbids "
		 "it");
	explains(&w, world_target("icmp 8.8.8.9 0"),
		 "blocked icmp 8.8.8.9 (not-proxied): the proxy can't carry it");
	w.policy.proxy_only = true;
	explains(&w, world_target("icmp 8.8.8.9 0"),
		 "blocked icmp 8.8.8.9 (proxy-only): --proxy-only forbids it");
	world_free(&w);
}

static void names_that_flows_show(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.default_deny = true;
	world_rule(&w, POLICY_ALLOW_DOMAIN, "a.test");
	world_compile(&w);
	explains(&w, showing(named("tcp 8.8.8.8 443", "a.test"), NULL),
		 "blocked tcp 8.8.8.8:443 (name-missing): it shows no name: --allow-cidr "
		 "8.8.8.8:443 would allow it");
	explains(&w, showing(named("tcp 8.8.8.8 443", "a.test"), "b.test"),
		 "blocked tcp 8.8.8.8:443 (name-mismatch): it shows the name b.test: "
		 "--allow-cidr 8.8.8.8:443 would allow it");
	explains(&w, showing(synthetic("tcp 198.18.0.1 443", "a.test"), "b.test"),
		 "blocked tcp a.test:443 (name-mismatch): it shows the name b.test: its "
		 "own "
		 "name must be shown");
	explains(&w, named("udp 8.8.8.8 443", "a.test"),
		 "blocked udp 8.8.8.8:443 (quic): --allow-quic would allow it");
	world_free(&w);
}

/* Bytes of the child come through here to the user's terminal. */
static void nothing_odd_is_printed(void **state)
{
	char out[POLICY_EXPLAIN_MAX], name[2000];
	struct target t;
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.default_deny = true;
	w.policy.proxy = true;
	world_rule(&w, POLICY_ALLOW_DOMAIN, "a.test");
	world_compile(&w);
	explains(&w, showing(named("tcp 8.8.8.8 443", "a.test"), "\033[2Jb\n\xff\x7f"),
		 "blocked tcp 8.8.8.8:443 (name-mismatch): it shows the name ?[2Jb???: "
		 "--allow-cidr 8.8.8.8:443 would allow it");
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (int way = 0; way < 4; way++) {
		struct verdict v;
		size_t len;

		t = way == 0 ? question(name) :
		    way == 1 ? synthetic("tcp 198.18.0.1 443", name) :
		    way == 2 ? showing(named("tcp 8.8.8.8 443", "a.test"), name) :
			       named("tcp 8.8.8.8 443", name);
		v = policy_decide(&w.policy, &t);
		assert_false(v.allow);
		len = strlen(policy_explain(&v, &t, out));
		assert_true(len < POLICY_EXPLAIN_MAX - 1);
		/* The end is not what was cut off. */
		assert_string_equal(out + len - 9, " allow it");
	}
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_deny_suggests_a_rule),
		cmocka_unit_test(what_forbids),
		cmocka_unit_test(what_routes_forbid),
		cmocka_unit_test(names_that_flows_show),
		cmocka_unit_test(nothing_odd_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
