/*
 * Random policies and targets, from a world so small that rules often meet: the product says
 * what the naive formulation says, and the option it suggests does allow the target.
 */
#include "naive.h"
#include "policy/explain.h"

#define POLICIES 40000
#define TARGETS_PER_POLICY 10

static uint64_t seed;

/* xorshift64* (Marsaglia, Vigna): the same everywhere. */
static unsigned below(unsigned n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 2685821657736338717u >> 33) % n;
}

static bool one_in(unsigned n)
{
	return below(n) == 0;
}

/* --- rules --- */

static const uint16_t ports[] = { 0,   1,   22,	 53,  80,  80,	 123,  137,  443,
				  443, 443, 443, 444, 853, 8443, 5353, 5355, 65535 };

static unsigned random_port(void)
{
	return ports[below(ARRAY_SIZE(ports))];
}

static const char *const networks[] = {
	"8.8.8.8",    "8.8.8.0", "8.8.0.0",	    "8.0.0.0",	 "10.1.2.3",
	"192.0.2.1",  "4.4.4.4", "169.254.169.254", "0.0.0.0",	 "128.0.0.0",
	"2a00::",     "2a00::1", "2a00:1::",	    "64:ff9b::", "2002:808:808::",
	"::",	      "8000::",	 "fd00:ec2::254",   "2001::",	 "64:ff9b::8.8.8.8",
	"10.240.0.1", "fd42::1", "127.0.0.1",	    "224.0.0.1",
};

static void put_network(FILE *out, bool with_ports)
{
	const char *net = networks[below(ARRAY_SIZE(networks))];
	static const unsigned v4[] = { 0, 1, 7, 8, 9, 16, 23, 24, 31, 32 };
	static const unsigned v6[] = {
		0, 1, 15, 16, 32, 48, 63, 64, 65, 96, 120, 127, 128
	};
	bool is_v6 = strchr(net, ':');

	fprintf(out, is_v6 && with_ports ? "[%s/%u]" : "%s/%u", net,
		is_v6 ? v6[below(ARRAY_SIZE(v6))] : v4[below(ARRAY_SIZE(v4))]);
}

static void put_name(FILE *out, unsigned labels)
{
	static const char *const some[] = { "a", "b", "c", "aa", "test" };

	for (unsigned i = 0; i < labels; i++)
		fprintf(out, "%s%s", i ? "." : "", some[below(ARRAY_SIZE(some))]);
}

static const char *const route_ways[] = { "proxy", "direct", "block", "http://a.test",
					  "socks5://b.test" };

static void add_rule(struct world *w, enum policy_list list)
{
	static const char *const schemes[] = { "", "", "tcp://", "udp://", "icmp://" };
	const char *scheme = schemes[below(ARRAY_SIZE(schemes))];
	bool with_ports = *scheme != 'i' && one_in(2);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	fputs(scheme, out);
	if (world_kind(list) == RULE_CIDR ||
	    ((list == POLICY_ROUTE || list == POLICY_NO_PROXY) && one_in(2))) {
		put_network(out, with_ports);
	} else {
		if (world_kind(list) != RULE_EXACT && one_in(3))
			fputs("*.", out);
		put_name(out, 1 + below(3));
	}
	for (unsigned i = 0, n = with_ports ? 1 + below(4) : 0; i < n; i++) {
		unsigned first = random_port(), last = random_port();

		if (last < first || one_in(2))
			last = first;
		fprintf(out, "%c%u-%u", i ? ',' : ':', MAX(first, 1u), MAX(last, 1u));
	}
	if (list == POLICY_ROUTE)
		fprintf(out, "=%s", route_ways[below(ARRAY_SIZE(route_ways))]);
	fclose(out);
	world_rule(w, list, text);
	free(text);
}

/* False when it overlaps one that is there. */
static bool add_host(struct addr_range *host, unsigned count)
{
	struct addr a = world_addr(networks[below(ARRAY_SIZE(networks))]);
	struct addr_range r = addr_prefix_range(&a, 128 - (one_in(2) ? below(33) : 0));

	for (unsigned i = 0; i < count; i++)
		if (memcmp(&r.first, &host[i].last, 16) <= 0 &&
		    memcmp(&host[i].first, &r.last, 16) <= 0)
			return false;
	host[count] = r;
	return true;
}

static void random_policy(struct world *w)
{
	struct addr_range host[4];
	unsigned hosts = 0;

	world_init(w);
	w->policy.offline = one_in(16);
	w->policy.block_metadata = one_in(4);
	w->policy.block_private = one_in(4);
	w->policy.default_deny = !one_in(3);
	w->policy.proxy = one_in(3);
	w->policy.proxy_only = one_in(6);
	w->policy.proxy_udp_direct = one_in(4);
	w->policy.udp_routes = below(16);
	w->policy.name_routes = below(16);
	w->policy.allow_quic = one_in(4);
	for (int l = 1; l < POLICY_LIST_COUNT; l++) {
		unsigned most = one_in(50) ? 200 : one_in(2) ? 4 : 1;

		for (unsigned n = below(most); n > 0; n--)
			add_rule(w, l);
	}
	world_compile(w);
	for (unsigned n = below(ARRAY_SIZE(host) + 1); n > 0; n--)
		hosts += add_host(host, hosts);
	assert_int_equal(policy_set_host_addresses(&w->policy, host, hosts), 0);
}

/* --- targets --- */

static char names[8][128];

static const char *random_name(size_t slot)
{
	FILE *out = fmemopen(names[slot], sizeof(names[slot]), "w");

	put_name(out, 1 + below(4));
	if (one_in(6))
		fputs(".", out);
	fclose(out);
	if (one_in(4))
		names[slot][0] &= ~0x20; /* in capitals */
	if (one_in(16)) {
		char *dot = strchr(names[slot], '.');

		if (dot && dot[1]) { /* as part of a label */
			memmove(dot + 1, dot, strlen(dot) + 1);
			*dot = '\\';
		}
	}
	return names[slot];
}

static struct addr random_addr(void)
{
	struct addr a = world_addr(networks[below(ARRAY_SIZE(networks))]);

	/* The same again, a neighbour, or something that shares its beginning. */
	if (one_in(2))
		a.b[12 + below(4)] ^= 1 << below(8);
	if (one_in(4) && !addr_is_v4(&a))
		a.b[below(12)] ^= 1 << below(8);
	if (one_in(8) && !addr_is_v4(&a))
		memcpy(a.b + 8, (uint8_t[4]){ 2 * below(2), 0, 0x5e, 0xfe }, 4);
	if (one_in(16)) {
		for (size_t i = 0; i < 16; i++)
			a.b[i] = below(256);
	}
	return a;
}

/* The local-use NAT64 prefix is left to the table of test_ranges: its readings are many. */
static bool is_local_nat64(const struct addr *a)
{
	struct addr net = world_addr("64:ff9b:1::");

	return memcmp(a->b, net.b, 6) == 0;
}

static struct target random_target(struct known_name known[4])
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_TCP,	IPPROTO_TCP,
					     IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6,
					     IPPROTO_SCTP };
	struct target t = { .protocol = protocols[below(ARRAY_SIZE(protocols))] };

	do {
		t.to.addr = random_addr();
	} while (is_local_nat64(&t.to.addr));
	t.to.port = random_port();
	t.known = known;
	t.known_count = below(4);
	for (size_t i = 0; i < t.known_count; i++)
		known[i] = (struct known_name){ random_name(i), !one_in(3) };
	if (one_in(4)) {
		t.name_only = true;
		t.name = one_in(50) ? "127.1" : random_name(4);
	}
	if (one_in(2)) {
		t.sniffed = true;
		if (t.known_count && one_in(2))
			t.seen_name = known[below(t.known_count)].name;
		else if (t.name_only && one_in(2))
			t.seen_name = t.name;
		else if (one_in(2))
			t.seen_name = random_name(5);
	}
	return t;
}

/* --- comparing --- */

static unsigned reasons_seen[REASON_COUNT], suggestions;

static void compare(const struct world *w, const struct target *t, unsigned n)
{
	struct naive_verdict want = naive_decide(w, t);
	struct verdict got = policy_decide(&w->policy, t);
	char to[ENDPOINT_TEXT_MAX];

	reasons_seen[got.reason]++;
	if (got.allow == want.allow && got.reason == want.reason &&
	    got.list == want.list && got.rule == want.rule &&
	    got.by_name == want.by_name && got.sniff == want.sniff &&
	    (!got.allow || (int)got.route == want.route))
		return;
	fail_msg("case %u: protocol %u to %s: %s by %s (by_name %d, sniff %d), "
		 "not %s by %s (%d, %d)",
		 n, t->protocol, endpoint_format(&t->to, to), reason_name(got.reason),
		 got.rule ? got.rule->text : "none", got.by_name, got.sniff,
		 reason_name(want.reason), want.rule ? want.rule->text : "none",
		 want.by_name, want.sniff);
}

static unsigned ways_seen[ROUTE_OWN + 2], blocks_seen;

/* A question's way; of other controls only that it is not refused for another reason. */
static void compare_name(const struct world *w, const char *name)
{
	struct policy open = w->policy;
	struct target t = { .protocol = IPPROTO_UDP, .dns_question = true, .name = name };
	int want = naive_way_of_name(w, name);
	struct verdict got;

	open.offline = open.block_metadata = open.default_deny = false;
	got = policy_decide_name(&open, &t);
	if (got.reason == REASON_DENY_DOMAIN || got.reason == REASON_DENY_DOMAIN_EXACT)
		return;
	if (want == ROUTE_BLOCK) {
		blocks_seen++;
		assert_int_equal(got.reason, REASON_ROUTE);
	} else if (want == ROUTE_DIRECT && open.proxy_only) {
		assert_int_equal(got.reason, REASON_PROXY_ONLY);
	} else {
		ways_seen[want]++;
		assert_true(got.allow);
		assert_int_equal(got.route, want);
	}
}

/* What stands between the option and " would allow it" or " forbids it". */
static bool cut_value(char *text, const char *option, const char *verb, char **value)
{
	char *at = strstr(text, option), *end = at ? strstr(at, verb) : NULL;

	if (!end || end == at)
		return false;
	*value = at + strlen(option);
	*end = '\0';
	return true;
}

static void follow_suggestion(struct world *w, const struct target *t)
{
	struct verdict v = policy_decide(&w->policy, t);
	char text[POLICY_EXPLAIN_MAX], *value;
	struct policy *p = &w->policy;

	policy_explain(&v, t, text);
	if (!strstr(text, "would allow it"))
		return;
	suggestions++;
	if (cut_value(text, "--allow-cidr ", " would", &value))
		world_rule(w, POLICY_ALLOW_CIDR, value);
	else if (cut_value(text, "--allow-domain ", " would", &value))
		world_rule(w, POLICY_ALLOW_DOMAIN, value);
	else if (strstr(text, "--allow-quic would"))
		p->allow_quic = true;
	else if (strstr(text, "--default-policy allow would"))
		p->default_deny = false;
	else
		fail_msg("%s", text);
	world_compile(w);
	v = policy_decide(p, t);
	if (!v.allow)
		fail_msg("%s: and then it is %s", text, reason_name(v.reason));
}

static void agrees_with_the_naive_formulation(void **state)
{
	(void)state;
	seed = 20260101;
	for (unsigned i = 0; i < POLICIES; i++) {
		struct known_name known[4];
		struct target t;
		struct world w;

		random_policy(&w);
		for (unsigned k = 0; k < TARGETS_PER_POLICY; k++) {
			t = random_target(known);
			compare(&w, &t, i * TARGETS_PER_POLICY + k);
			compare_name(&w, random_name(6));
		}
		if (!policy_decide(&w.policy, &t).allow)
			follow_suggestion(&w, &t);
		world_free(&w);
	}
	/* The world is small enough to bring about everything, often. */
	for (int r = 0; r < REASON_COUNT; r++)
		if (reasons_seen[r] < 40)
			fail_msg("%s: only %u times", reason_name(r), reasons_seen[r]);
	for (size_t r = 0; r < ARRAY_SIZE(ways_seen); r++)
		if (ways_seen[r] < 100)
			fail_msg("route %zu: only %u names", r, ways_seen[r]);
	assert_true(blocks_seen > 100);
	assert_true(suggestions > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_naive_formulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
