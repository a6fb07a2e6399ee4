/* Which way flows leave, and that none leaves by a way that it wasn't given. */
#include "world.h"

static struct target synthetic(const char *text, const char *name)
{
	struct target t = world_target(text);

	t.name_only = true;
	t.name = name;
	return t;
}

/* By a name that our resolver has answered (`ours`), or that was only heard. */
static struct target known(const char *text, const char *name, bool ours)
{
	static struct known_name k;
	struct target t = world_target(text);

	k = (struct known_name){ name, ours };
	t.known = &k;
	t.known_count = 1;
	return t;
}

static void leaves(const struct world *w, struct target t, int route)
{
	struct verdict v = policy_decide(&w->policy, &t);

	if (!v.allow || (int)v.route != route)
		fail_msg("%s by route %d, not %d", reason_name(v.reason), v.route, route);
}

static void refused(const struct world *w, struct target t, enum reason reason)
{
	struct verdict v = policy_decide(&w->policy, &t);

	if (v.allow || v.reason != reason)
		fail_msg("%s, not %s", reason_name(v.reason), reason_name(reason));
	if (reason == REASON_PROXY_ONLY || reason == REASON_NOT_PROXIED)
		assert_true(v.no_way);
}

static void asked(const struct world *w, const char *name, int route)
{
	struct target t = { .protocol = IPPROTO_UDP, .dns_question = true, .name = name };
	struct verdict v = policy_decide_name(&w->policy, &t);

	if (!v.allow || (int)v.route != route)
		fail_msg("%s: %s by route %d, not %d", name, reason_name(v.reason),
			 v.route, route);
}

static void not_asked(const struct world *w, const char *name, enum reason reason)
{
	struct target t = { .protocol = IPPROTO_UDP, .dns_question = true, .name = name };

	assert_int_equal(policy_decide_name(&w->policy, &t).reason, reason);
}

static void world_with_proxy(struct world *w)
{
	world_init(w);
	w->policy.proxy = true;
	w->policy.name_routes = 1 << ROUTE_PROXY;
}

static void without_rows(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	leaves(&w, world_target("tcp 8.8.8.8 80"), ROUTE_DIRECT);
	leaves(&w, world_target("icmp 8.8.8.8 0"), ROUTE_DIRECT);
	/* Nobody but a proxy can reach what is only a name. */
	refused(&w, synthetic("tcp 198.18.0.1 80", "a.test"), REASON_NOT_PROXIED);
	asked(&w, "a.test", ROUTE_DIRECT);
	w.policy.proxy = true;
	asked(&w, "a.test", ROUTE_DIRECT);
	w.policy.name_routes = 1 << ROUTE_PROXY;
	asked(&w, "a.test", ROUTE_PROXY);
	leaves(&w, world_target("tcp 8.8.8.8 80"), ROUTE_PROXY);
	leaves(&w, synthetic("tcp 198.18.0.1 80", "a.test"), ROUTE_PROXY);
	leaves(&w, world_target("tcp 10.0.0.1 80"), ROUTE_PROXY);
	world_free(&w);
}

static void what_a_proxy_cannot_carry(void **state)
{
	static const char *const others[] = { "icmp 8.8.8.8 0", "icmpv6 2a00::1 0",
					      "sctp 8.8.8.8 0" };
	struct target named = synthetic("udp 198.18.0.1 123", "a.test");
	struct target plain = world_target("udp 8.8.8.8 123");
	struct world w;

	(void)state;
	world_with_proxy(&w);
	refused(&w, plain, REASON_NOT_PROXIED);
	refused(&w, named, REASON_NOT_PROXIED);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refused(&w, world_target(others[i]), REASON_NOT_PROXIED);
	w.policy.proxy_udp_direct = true;
	leaves(&w, plain, ROUTE_DIRECT);
	/* Its address would have to be asked for. */
	refused(&w, named, REASON_NOT_PROXIED);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refused(&w, world_target(others[i]), REASON_NOT_PROXIED);
	w.policy.proxy_only = true;
	refused(&w, plain, REASON_PROXY_ONLY);
	refused(&w, named, REASON_PROXY_ONLY);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refused(&w, world_target(others[i]), REASON_PROXY_ONLY);
	w.policy.udp_routes = 1 << ROUTE_PROXY;
	leaves(&w, plain, ROUTE_PROXY);
	leaves(&w, named, ROUTE_PROXY);
	w.policy.udp_routes = ~(1u << ROUTE_PROXY);
	refused(&w, plain, REASON_PROXY_ONLY);
	/* By a route of its own it may leave. */
	w.policy.proxy_only = false;
	world_rule(&w, POLICY_ROUTE, "icmp://8.8.8.8=direct");
	world_compile(&w);
	leaves(&w, world_target("icmp 8.8.8.8 0"), ROUTE_DIRECT);
	refused(&w, world_target("icmp 8.8.8.9 0"), REASON_NOT_PROXIED);
	world_free(&w);
}

static void the_first_row_counts(void **state)
{
	struct world w;

	(void)state;
	world_with_proxy(&w);
	world_rule(&w, POLICY_ROUTE, "10.0.0.1:22=http://a.test");
	world_rule(&w, POLICY_ROUTE, "10.0.0.0/8=direct");
	world_rule(&w, POLICY_ROUTE, "a.test=http://b.test");
	world_rule(&w, POLICY_ROUTE, "*.a.test:80=direct");
	world_rule(&w, POLICY_ROUTE, "c.test,10.2.0.0/16=block");
	world_rule(&w, POLICY_NO_PROXY, "9.9.9.9,a.test,d.test");
	world_compile(&w);
	leaves(&w, world_target("tcp 10.0.0.1 22"), ROUTE_OWN);
	leaves(&w, world_target("tcp 10.0.0.1 23"), ROUTE_DIRECT);
	leaves(&w, world_target("tcp 10.2.0.1 23"), ROUTE_DIRECT);
	leaves(&w, world_target("tcp 9.9.9.9 23"), ROUTE_DIRECT);
	leaves(&w, world_target("tcp 9.9.9.8 23"), ROUTE_PROXY);
	leaves(&w, synthetic("tcp 198.18.0.1 80", "x.a.test"), ROUTE_OWN + 1);
	leaves(&w, known("tcp 8.8.8.8 80", "x.a.test", true), ROUTE_OWN + 1);
	leaves(&w, known("tcp 10.9.9.9 80", "a.test", true), ROUTE_DIRECT);
	leaves(&w, known("tcp 8.8.8.8 80", "d.test", true), ROUTE_DIRECT);
	refused(&w, known("tcp 8.8.8.8 80", "c.test", true), REASON_ROUTE);
	leaves(&w, known("tcp 10.9.9.9 80", "c.test", true), ROUTE_DIRECT);
	world_free(&w);
}

static void the_child_does_not_choose_its_way(void **state)
{
	struct target t = known("tcp 8.8.8.8 443", "direct.test", false);
	struct world w;

	(void)state;
	world_with_proxy(&w);
	world_rule(&w, POLICY_ROUTE, "direct.test,4.4.4.4=direct");
	world_rule(&w, POLICY_ROUTE, "block.test,5.5.5.5=block");
	world_compile(&w);
	leaves(&w, t, ROUTE_PROXY);
	t.sniffed = true;
	t.seen_name = "direct.test";
	leaves(&w, t, ROUTE_PROXY);
	t.seen_name = "block.test";
	refused(&w, t, REASON_ROUTE);
	refused(&w, known("tcp 8.8.8.8 80", "block.test", false), REASON_ROUTE);
	leaves(&w, world_target("tcp 64:ff9b::4.4.4.4 80"), ROUTE_PROXY);
	refused(&w, world_target("tcp 64:ff9b::5.5.5.5 80"), REASON_ROUTE);
	/* A name that it shows may be blocked, so it has to be looked at. */
	t = world_target("tcp 8.8.8.8 443");
	assert_true(policy_decide(&w.policy, &t).sniff);
	refused(&w, world_target("tcp 8.8.8.8 853"), REASON_NAME_SERVICE);
	world_free(&w);
}

static void deny_beats_routes(void **state)
{
	struct world w;

	(void)state;
	world_with_proxy(&w);
	world_rule(&w, POLICY_ROUTE, "10.0.0.0/8,a.test=direct");
	world_rule(&w, POLICY_ROUTE, "b.test=block");
	world_rule(&w, POLICY_DENY_CIDR, "10.0.0.1");
	world_rule(&w, POLICY_DENY_DOMAIN, "no.a.test,no.b.test");
	world_rule(&w, POLICY_ALLOW_CIDR, "10.0.0.1,10.0.0.2");
	world_rule(&w, POLICY_ALLOW_DOMAIN, "b.test");
	world_compile(&w);
	refused(&w, world_target("tcp 10.0.0.1 80"), REASON_DENY_CIDR);
	refused(&w, known("tcp 10.0.0.2 80", "no.a.test", true), REASON_DENY_DOMAIN);
	not_asked(&w, "no.a.test", REASON_DENY_DOMAIN);
	not_asked(&w, "no.b.test", REASON_DENY_DOMAIN);
	/* And a block beats what allows. */
	not_asked(&w, "x.b.test", REASON_ROUTE);
	refused(&w, synthetic("tcp 198.18.0.1 80", "b.test"), REASON_ROUTE);
	/* A way is no permission. */
	w.policy.default_deny = true;
	leaves(&w, world_target("tcp 10.0.0.2 80"), ROUTE_DIRECT);
	refused(&w, world_target("tcp 10.0.0.3 80"), REASON_DEFAULT_DENY);
	w.policy.block_private = true;
	refused(&w, world_target("tcp 10.0.0.2 80"), REASON_PRIVATE);
	w.policy.block_private = false;
	w.policy.proxy_only = true;
	refused(&w, world_target("tcp 10.0.0.2 80"), REASON_PROXY_ONLY);
	not_asked(&w, "a.test", REASON_PROXY_ONLY);
	world_free(&w);
}

/* An audit lets go on what rules refuse, but by its way. */
static void what_is_refused_has_a_way(void **state)
{
	struct target ping = world_target("icmp 10.0.0.1 0");
	struct target web = world_target("tcp 10.0.0.1 80");
	struct target blocked = known("tcp 8.8.8.8 80", "b.test", true);
	struct target question = { .dns_question = true, .name = "no.test" };
	struct world w;

	(void)state;
	world_with_proxy(&w);
	world_rule(&w, POLICY_DENY_CIDR, "10.0.0.1");
	world_rule(&w, POLICY_DENY_DOMAIN, "no.test");
	world_rule(&w, POLICY_ROUTE, "b.test=block");
	world_compile(&w);
	assert_int_equal(policy_decide(&w.policy, &web).reason, REASON_DENY_CIDR);
	assert_int_equal(policy_decide(&w.policy, &web).route, ROUTE_PROXY);
	assert_false(policy_decide(&w.policy, &web).no_way);
	assert_int_equal(policy_decide(&w.policy, &ping).reason, REASON_DENY_CIDR);
	assert_true(policy_decide(&w.policy, &ping).no_way);
	assert_int_equal(policy_decide(&w.policy, &blocked).reason, REASON_ROUTE);
	assert_int_equal(policy_decide(&w.policy, &blocked).route, ROUTE_PROXY);
	assert_int_equal(policy_decide_name(&w.policy, &question).route, ROUTE_PROXY);
	assert_false(policy_decide_name(&w.policy, &question).no_way);
	w.policy.name_routes = 0;
	w.policy.proxy_only = true;
	assert_true(policy_decide_name(&w.policy, &question).no_way);
	world_free(&w);
}

/* --block-private with a proxy: what is only a name has no address that could be private. */
static void private_addresses_by_proxy(void **state)
{
	struct world w;

	(void)state;
	world_with_proxy(&w);
	w.policy.block_private = true;
	refused(&w, world_target("tcp 10.0.0.1 80"), REASON_PRIVATE);
	refused(&w, world_target("tcp 198.18.0.1 80"), REASON_PRIVATE);
	leaves(&w, synthetic("tcp 198.18.0.1 80", "a.test"), ROUTE_PROXY);
	refused(&w, synthetic("tcp 198.18.0.1 80", NULL), REASON_UNKNOWN_NAME);
	refused(&w, synthetic("tcp 198.18.0.1 80", "10.0.0.1"), REASON_UNKNOWN_NAME);
	world_free(&w);
}

static void the_way_of_names(void **state)
{
	struct world w;

	(void)state;
	world_with_proxy(&w);
	world_rule(&w, POLICY_ROUTE, "whole.test=http://a.test");
	world_rule(&w, POLICY_ROUTE, "local.test=socks5://a.test");
	world_rule(&w, POLICY_ROUTE, "part.test:22,udp://whole.test=direct");
	world_rule(&w, POLICY_ROUTE, "some.test:443=http://a.test");
	world_rule(&w, POLICY_ROUTE, "ports.test:443=block");
	world_rule(&w, POLICY_ROUTE, "block.test=block");
	world_rule(&w, POLICY_ROUTE, "block.test=direct");
	world_rule(&w, POLICY_NO_PROXY, "here.test:22,whole.test");
	w.policy.name_routes |= 1 << ROUTE_OWN;
	world_compile(&w);
	assert_true(policy_asks_own_only(&w.policy));
	asked(&w, "x.whole.test", ROUTE_OWN);
	asked(&w, "local.test", ROUTE_DIRECT);
	asked(&w, "part.test", ROUTE_DIRECT);
	asked(&w, "some.test", ROUTE_PROXY);
	asked(&w, "ports.test", ROUTE_PROXY);
	asked(&w, "here.test", ROUTE_DIRECT);
	asked(&w, "other.test", ROUTE_PROXY);
	not_asked(&w, "block.test", REASON_ROUTE);
	/* Without a proxy for the rest, only what leaves by one altogether. */
	w.policy.proxy = false;
	asked(&w, "whole.test", ROUTE_OWN);
	asked(&w, "some.test", ROUTE_DIRECT);
	asked(&w, "other.test", ROUTE_DIRECT);
	world_free(&w);
	/* A server that the child asks may have another way than we. */
	world_init(&w);
	world_rule(&w, POLICY_ROUTE, "10.0.0.0/8=http://a.test");
	world_compile(&w);
	assert_true(policy_asks_own_only(&w.policy));
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rows),
		cmocka_unit_test(what_a_proxy_cannot_carry),
		cmocka_unit_test(the_first_row_counts),
		cmocka_unit_test(the_child_does_not_choose_its_way),
		cmocka_unit_test(deny_beats_routes),
		cmocka_unit_test(what_is_refused_has_a_way),
		cmocka_unit_test(private_addresses_by_proxy),
		cmocka_unit_test(the_way_of_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
