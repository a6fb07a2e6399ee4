#include "policy/policy.h"

#include "world.h"

/* --- the decision table: every combination of the controls, for each kind of target --- */

enum control {
	OFFLINE = 1 << 0,
	METADATA = 1 << 1,
	PRIVATE = 1 << 2,
	DENY_CIDR = 1 << 3,
	DENY_EXACT = 1 << 4,
	DENY_DOMAIN = 1 << 5,
	PROXY_ONLY = 1 << 6,
	ALLOW_CIDR = 1 << 7,
	ALLOW_EXACT = 1 << 8,
	ALLOW_DOMAIN = 1 << 9,
	DEFAULT_DENY = 1 << 10,
	ALLOW_QUIC = 1 << 11,
	COMBINATIONS = 1 << 12,
};

#define ANY_DOMAIN (DENY_EXACT | DENY_DOMAIN | ALLOW_EXACT | ALLOW_DOMAIN)
#define EVERY (OFFLINE | PROXY_ONLY | DEFAULT_DENY)
#define PROXIED (OFFLINE | DEFAULT_DENY)

/* By precedence. An allow ends the search. */
static const struct {
	enum control control;
	enum reason reason;
} order[] = {
	{ OFFLINE, REASON_OFFLINE },
	{ METADATA, REASON_METADATA },
	{ PRIVATE, REASON_PRIVATE },
	{ DENY_CIDR, REASON_DENY_CIDR },
	{ DENY_EXACT, REASON_DENY_DOMAIN_EXACT },
	{ DENY_DOMAIN, REASON_DENY_DOMAIN },
	{ PROXY_ONLY, REASON_PROXY_ONLY },
	{ ALLOW_CIDR, REASON_ALLOWED },
	{ ALLOW_EXACT, REASON_ALLOWED },
	{ ALLOW_DOMAIN, REASON_ALLOWED },
	{ DEFAULT_DENY, REASON_DEFAULT_DENY },
};

#define OURS(n) \
	.known = &(const struct known_name){ .name = (n), .ours = true }, .known_count = 1
#define HEARD(n)                                                           \
	.known = &(const struct known_name){ .name = (n), .ours = false }, \
	.known_count = 1

/*
 * What each target is, which controls have something to say about it, and what is refused
 * whatever the controls are.
 */
static const struct {
	const char *text;
	struct target t; /* but for protocol and address */
	unsigned controls;
	enum reason always;
	bool proxy; /* there is one, and it carries datagrams */
} targets[] = {
	{ "tcp 8.8.8.8 80", { 0 }, EVERY, 0 },
	{ "tcp 2606:4700::9 80", { 0 }, EVERY, 0 },
	{ "udp 8.8.8.8 123", { 0 }, EVERY, 0 },
	{ "icmp 8.8.8.8 0", { 0 }, EVERY, 0 },
	{ "sctp 8.8.8.8 0", { 0 }, EVERY, 0 },
	{ "tcp 8.8.8.8 80", { 0 }, PROXIED, 0, true },
	{ "udp 8.8.8.8 80", { 0 }, PROXIED, 0, true },
	{ "tcp 10.1.2.3 80", { 0 }, PROXIED | PRIVATE, 0, true },
	{ "tcp 10.1.2.3 80", { 0 }, EVERY | PRIVATE, 0 },
	{ "tcp 9.9.9.9 80", { 0 }, EVERY | PRIVATE, 0 }, /* the host's own */
	{ "tcp 169.254.169.254 80", { 0 }, EVERY | PRIVATE | METADATA, 0 },
	{ "udp fd00:ec2::254 80", { 0 }, EVERY | PRIVATE | METADATA, 0 },
	{ "tcp 198.51.100.1 80", { 0 }, EVERY | PRIVATE | DENY_CIDR | ALLOW_CIDR, 0 },
	{ "icmp 203.0.114.1 0", { 0 }, EVERY | DENY_CIDR, 0 },
	{ "icmpv6 2a00::1 0", { 0 }, EVERY | DENY_CIDR, 0 },
	{ "tcp 64:ff9b::203.0.114.1 80", { 0 }, EVERY | DENY_CIDR, 0 },
	{ "tcp 64:ff9b::10.1.2.3 80", { 0 }, EVERY | PRIVATE, 0 },
	{ "tcp 64:ff9b::9.9.9.9 80", { 0 }, EVERY | PRIVATE, 0 },
	{ "tcp 2002:a9fe:a9fe:: 80", { 0 }, EVERY | PRIVATE | METADATA, 0 },
	{ "udp 2001:0:808:808:0:0:f5fe:fdfc 80", { 0 }, EVERY | PRIVATE, 0 },
	{ "tcp 4.4.4.4 80", { 0 }, EVERY | ALLOW_CIDR, 0 },
	{ "tcp 64:ff9b::4.4.4.4 80", { 0 }, EVERY, 0 }, /* only from outside */
	{ "tcp 2a01::1 80", { 0 }, EVERY | ALLOW_CIDR, 0 },
	{ "tcp 4.4.4.4 80", { OURS("deny.test") }, EVERY | ALLOW_CIDR | DENY_DOMAIN, 0 },
	{ "tcp 8.8.8.8 80", { OURS("x.allow.test") }, EVERY | ALLOW_DOMAIN, 0 },
	{ "udp 8.8.8.8 80", { OURS("allow.test") }, EVERY | ALLOW_DOMAIN, 0 },
	{ "icmp 8.8.8.8 0", { OURS("allow.test") }, EVERY | ALLOW_DOMAIN, 0 },
	{ "tcp 8.8.8.8 80", { HEARD("allow.test") }, EVERY, 0 },
	{ "tcp 8.8.8.8 80", { OURS("exact.test") }, EVERY | ALLOW_EXACT, 0 },
	{ "tcp 8.8.8.8 80", { OURS("x.exact.test") }, EVERY, 0 },
	{ "tcp 8.8.8.8 80", { HEARD("x.deny.test") }, EVERY | DENY_DOMAIN, 0 },
	{ "tcp 8.8.8.8 80", { OURS("no.test") }, EVERY | DENY_EXACT, 0 },
	{ "tcp 8.8.8.8 80", { OURS("x.no.test") }, EVERY, 0 },
	{ "tcp 8.8.8.8 80",
	  { OURS("both.test") },
	  EVERY | DENY_EXACT | DENY_DOMAIN | ALLOW_EXACT | ALLOW_DOMAIN,
	  0 },
	/* names that were seen, on a permission that needs none */
	{ "tcp 8.8.8.8 80",
	  { .sniffed = true, .seen_name = "deny.test" },
	  EVERY | DENY_DOMAIN,
	  0 },
	{ "tcp 8.8.8.8 80", { .sniffed = true, .seen_name = "allow.test" }, EVERY, 0 },
	/* synthetic addresses: rules for addresses are silent */
	{ "tcp 10.1.2.3 80",
	  { .name_only = true, .name = "other.test" },
	  PROXIED,
	  0,
	  true },
	{ "tcp 198.51.100.1 80",
	  { .name_only = true, .name = "allow.test" },
	  PROXIED | ALLOW_DOMAIN,
	  0,
	  true },
	{ "tcp 198.51.100.1 80",
	  { .name_only = true, .name = "x.deny.test" },
	  PROXIED | DENY_DOMAIN,
	  0,
	  true },
	{ "tcp 198.51.100.1 80",
	  { .name_only = true, .name = "metadata.google.internal" },
	  PROXIED | METADATA,
	  0,
	  true },
	/* always */
	{ "tcp 198.51.100.1 80", { .name_only = true }, 0, REASON_UNKNOWN_NAME },
	{ "tcp 198.51.100.1 80",
	  { .name_only = true, .name = "10.0.0.1" },
	  0,
	  REASON_UNKNOWN_NAME },
	{ "tcp 127.0.0.1 80", { 0 }, 0, REASON_MARTIAN },
	{ "udp ::1 53", { 0 }, 0, REASON_MARTIAN },
	{ "tcp 64:ff9b::127.0.0.1 80", { 0 }, 0, REASON_MARTIAN },
	{ "tcp 2002:7f00:1:: 80", { 0 }, 0, REASON_MARTIAN },
	{ "udp 224.0.0.251 5353", { 0 }, 0, REASON_MULTICAST },
	{ "icmpv6 ff02::1 0", { 0 }, 0, REASON_MULTICAST },
	{ "udp 64:ff9b::224.0.0.1 9", { 0 }, 0, REASON_MULTICAST },
	{ "tcp 10.240.0.1 80", { 0 }, 0, REASON_GATEWAY },
	{ "icmp 10.240.0.1 0", { 0 }, 0, REASON_GATEWAY },
	{ "udp fd42::1 53", { 0 }, 0, REASON_GATEWAY },
};

static void set_controls(struct world *w, unsigned controls)
{
	struct addr_range host[] = { world_range("9.9.9.9/32"),
				     world_range("2a02::1/128"),
				     world_range("9.9.9.7/32") };

	world_init(w);
	w->policy.offline = controls & OFFLINE;
	w->policy.block_metadata = controls & METADATA;
	w->policy.block_private = controls & PRIVATE;
	w->policy.proxy_only = controls & PROXY_ONLY;
	w->policy.default_deny = controls & DEFAULT_DENY;
	w->policy.allow_quic = controls & ALLOW_QUIC;
	if (controls & DENY_CIDR)
		world_rule(w, POLICY_DENY_CIDR,
			   "203.0.114.0/24,198.51.100.0/24,2a00::/16");
	if (controls & DENY_EXACT)
		world_rule(w, POLICY_DENY_DOMAIN_EXACT, "no.test,both.test");
	if (controls & DENY_DOMAIN)
		world_rule(w, POLICY_DENY_DOMAIN, "deny.test,both.test");
	if (controls & ALLOW_CIDR)
		world_rule(w, POLICY_ALLOW_CIDR, "4.4.0.0/16,198.51.100.0/24,2a01::/16");
	if (controls & ALLOW_EXACT)
		world_rule(w, POLICY_ALLOW_DOMAIN_EXACT, "exact.test,both.test");
	if (controls & ALLOW_DOMAIN)
		world_rule(w, POLICY_ALLOW_DOMAIN, "allow.test,both.test");
	world_compile(w);
	assert_int_equal(policy_set_host_addresses(&w->policy, host, ARRAY_SIZE(host)),
			 0);
}

/* The first control that is on and has something to say. */
static size_t who_decides(unsigned controls)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(order) && !(order[i].control & controls))
		i++;
	return i;
}

static void check_target(const struct world *w, size_t n, unsigned controls)
{
	static const enum policy_list lists[] = {
		[3] = POLICY_DENY_CIDR,		 [4] = POLICY_DENY_DOMAIN_EXACT,
		[5] = POLICY_DENY_DOMAIN,	 [7] = POLICY_ALLOW_CIDR,
		[8] = POLICY_ALLOW_DOMAIN_EXACT, [9] = POLICY_ALLOW_DOMAIN,
		[10] = POLICY_NO_LIST,
	};
	struct target named = targets[n].t, t = world_target(targets[n].text);
	size_t by = who_decides(controls & targets[n].controls);
	enum reason reason = targets[n].always;
	enum policy_list list = POLICY_NO_LIST;
	struct policy policy = w->policy;
	struct verdict v;

	named.protocol = t.protocol;
	named.to = t.to;
	if (reason == REASON_ALLOWED && by < ARRAY_SIZE(order)) {
		reason = order[by].reason;
		list = lists[by];
	}
	policy.proxy = targets[n].proxy;
	policy.udp_routes = 1 << ROUTE_PROXY;
	v = policy_decide(&policy, &named);
	if (v.reason != reason || v.list != list)
		fail_msg("%s (row %zu), controls %x: %s by %d, not %s by %d",
			 targets[n].text, n, controls, reason_name(v.reason), v.list,
			 reason_name(reason), list);
	if (reason == REASON_GATEWAY)
		assert_int_equal(v.allow, t.protocol == IPPROTO_ICMP || t.to.port == 53);
	else
		assert_int_equal(v.allow, reason == REASON_ALLOWED);
	if (v.allow && reason != REASON_GATEWAY)
		assert_int_equal(v.route, targets[n].proxy ? ROUTE_PROXY : ROUTE_DIRECT);
	assert_int_equal(v.rule != NULL, list != POLICY_NO_LIST);
	assert_int_equal(v.by_name, v.allow && (controls & DEFAULT_DENY) &&
					    list >= POLICY_ALLOW_DOMAIN_EXACT);
}

static void every_combination_of_controls(void **state)
{
	(void)state;
	for (unsigned controls = 0; controls < COMBINATIONS; controls++) {
		struct world w;

		set_controls(&w, controls);
		for (size_t n = 0; n < ARRAY_SIZE(targets); n++)
			check_target(&w, n, controls);
		world_free(&w);
	}
}

/* Each control decides at least one target, and each target is decided both ways. */
static void the_table_reaches_everything(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(targets); n++)
		seen |= targets[n].controls;
	assert_int_equal(seen | ALLOW_QUIC, COMBINATIONS - 1);
}

static void names_of_reasons_and_lists(void **state)
{
	(void)state;
	for (int r = 0; r < REASON_COUNT; r++)
		for (int other = 0; other < r; other++)
			assert_string_not_equal(reason_name(r), reason_name(other));
	assert_string_equal(reason_name(REASON_DENY_DOMAIN_EXACT), "deny_domain_exact");
	assert_null(policy_list_option(POLICY_NO_LIST));
	assert_string_equal(policy_list_option(POLICY_DENY_CIDR), "--deny-cidr");
	assert_string_equal(policy_list_option(POLICY_DENY_DOMAIN), "--deny-domain");
	assert_string_equal(policy_list_option(POLICY_DENY_DOMAIN_EXACT),
			    "--deny-domain-exact");
	assert_string_equal(policy_list_option(POLICY_ROUTE), "--route");
	assert_string_equal(policy_list_option(POLICY_NO_PROXY), "--no-proxy");
	assert_string_equal(policy_list_option(POLICY_ALLOW_CIDR), "--allow-cidr");
	assert_string_equal(policy_list_option(POLICY_ALLOW_DOMAIN), "--allow-domain");
	assert_string_equal(policy_list_option(POLICY_ALLOW_DOMAIN_EXACT),
			    "--allow-domain-exact");
}

/* --- the host's own addresses come and go --- */

static bool host_blocks(const struct world *w, const char *text)
{
	struct target t = world_target(text);

	return policy_decide(&w->policy, &t).reason == REASON_PRIVATE;
}

static void host_addresses_change(void **state)
{
	struct addr_range two[] = { world_range("2a02::1/128"),
				    world_range("9.9.9.9/32") };
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.block_private = true;
	assert_false(host_blocks(&w, "tcp 9.9.9.9 80"));
	assert_int_equal(policy_set_host_addresses(&w.policy, two, 2), 0);
	assert_true(host_blocks(&w, "tcp 9.9.9.9 80"));
	assert_true(host_blocks(&w, "udp 2a02::1 80"));
	assert_false(host_blocks(&w, "tcp 9.9.9.8 80"));
	assert_true(policy_is_private(&w.policy, &two[0].first));
	assert_int_equal(policy_set_host_addresses(&w.policy, two, 1), 0);
	assert_false(host_blocks(&w, "tcp 9.9.9.9 80"));
	assert_true(host_blocks(&w, "tcp 2a02::1 80"));
	assert_int_equal(policy_set_host_addresses(&w.policy, NULL, 0), 0);
	assert_false(host_blocks(&w, "tcp 2a02::1 80"));
	assert_false(policy_is_private(&w.policy, &two[0].first));
	w.policy.block_private = false;
	assert_int_equal(policy_set_host_addresses(&w.policy, two, 2), 0);
	assert_false(host_blocks(&w, "tcp 9.9.9.9 80"));
	world_free(&w);
}

/* Whole networks, the first and the last address included, and nothing beside them. */
static void the_host_has_networks(void **state)
{
	struct addr_range own[] = { world_range("2a02:1::/32"), world_range("9.9.9.0/24"),
				    world_range("9.9.11.0/24"),
				    world_range("9.9.10.7/32") };
	struct world w;

	(void)state;
	world_init(&w);
	w.policy.block_private = true;
	assert_int_equal(policy_set_host_addresses(&w.policy, own, ARRAY_SIZE(own)), 0);
	assert_false(host_blocks(&w, "tcp 9.9.8.255 80"));
	assert_true(host_blocks(&w, "tcp 9.9.9.0 80"));
	assert_true(host_blocks(&w, "tcp 9.9.9.255 80"));
	assert_false(host_blocks(&w, "tcp 9.9.10.0 80"));
	assert_true(host_blocks(&w, "tcp 9.9.10.7 80"));
	assert_true(host_blocks(&w, "tcp 9.9.11.1 80"));
	assert_false(host_blocks(&w, "tcp 9.9.12.0 80"));
	assert_true(host_blocks(&w, "tcp 2a02:1:ffff::1 80"));
	assert_false(host_blocks(&w, "tcp 2a02:2::1 80"));
	assert_true(host_blocks(&w, "tcp 64:ff9b::9.9.9.1 80"));
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination_of_controls),
		cmocka_unit_test(the_table_reaches_everything),
		cmocka_unit_test(names_of_reasons_and_lists),
		cmocka_unit_test(host_addresses_change),
		cmocka_unit_test(the_host_has_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
