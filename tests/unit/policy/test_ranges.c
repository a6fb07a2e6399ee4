#include "policy/ranges.h"

#include "special.h"
#include "world.h"

static bool in(const struct addr *a, const char *first, const char *last)
{
	struct addr lo = world_addr(first), hi = world_addr(last);

	return memcmp(a, &lo, sizeof(*a)) >= 0 && memcmp(a, &hi, sizeof(*a)) <= 0;
}

/* What the lists of special.h say: a global range inside of another one wins. */
static bool expect_private(const struct addr *a)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(special_metadata); i++)
		if (in(a, special_metadata[i], special_metadata[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(special_private); i++) {
		if (!in(a, special_private[i].first, special_private[i].last))
			continue;
		if (special_private[i].global)
			return false;
		found = true;
	}
	return found;
}

static struct addr step(const char *text, int by)
{
	struct addr a = world_addr(text);

	for (int i = 15; i >= 0; i--) {
		a.b[i] += by;
		if (a.b[i] != (by > 0 ? 0 : 0xff))
			break;
	}
	return a;
}

static void check_private(const struct addr *a, bool expected)
{
	char text[ADDR_TEXT_MAX];

	if (ranges_private(a) != expected)
		fail_msg("%s is %sprivate", addr_format(a, text), expected ? "not " : "");
	assert_int_equal(expect_private(a), expected);
}

static void private_ranges_have_these_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(special_private); i++) {
		const struct special *s = &special_private[i];
		struct addr first = world_addr(s->first), last = world_addr(s->last);
		struct addr before = step(s->first, -1), after = step(s->last, 1);

		/* 2001::/23 begins with a part that is global. */
		if (strcmp(s->first, "2001::") || s->global)
			check_private(&first, !s->global);
		check_private(&last, !s->global);
		check_private(&before, expect_private(&before));
		check_private(&after, expect_private(&after));
	}
	/* Each row of the product stands above. */
	assert_int_equal(ranges_private_table.count, ARRAY_SIZE(special_private));
}

/* Neighbours that are public, by name: the lists above must not only agree with each other. */
static void the_public_internet_is_not_private(void **state)
{
	static const char *const public[] = {
		"1.1.1.1",	   "8.8.8.8",
		"9.255.255.255",   "11.0.0.0",
		"100.63.255.255",  "100.128.0.0",
		"169.253.255.255", "169.255.0.0",
		"172.15.255.255",  "172.32.0.0",
		"192.0.1.0",	   "192.0.3.0",
		"192.88.98.255",   "192.88.100.0",
		"192.167.255.255", "192.169.0.0",
		"198.17.255.255",  "198.20.0.0",
		"198.51.99.255",   "198.51.101.0",
		"203.0.112.255",   "203.0.114.0",
		"192.31.196.1",	   "192.52.193.1",
		"192.175.48.1",	   "168.63.129.15",
		"168.63.129.17",   "64:ff9b::808:808",
		"64:ff9b:2::",	   "2000::",
		"2001:200::1",	   "2001:4860:4860::8888",
		"2606:4700::1111", "2620:4f:8000::",
		"4000::",	   "5f01::",
		"fbff::",	   "fe00::",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(public); i++) {
		struct addr a = world_addr(public[i]);

		check_private(&a, false);
		assert_false(ranges_metadata(&a));
	}
}

static void metadata_is_these_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(special_metadata); i++) {
		struct addr a = world_addr(special_metadata[i]);
		struct addr before = step(special_metadata[i], -1);
		struct addr after = step(special_metadata[i], 1);

		assert_true(ranges_metadata(&a));
		assert_false(ranges_metadata(&before));
		assert_false(ranges_metadata(&after));
		check_private(&a, true);
	}
	assert_int_equal(ranges_metadata_table.count, ARRAY_SIZE(special_metadata));
}

static void metadata_has_names(void **state)
{
	(void)state;
	assert_true(ranges_metadata_name("metadata.google.internal"));
	assert_true(ranges_metadata_name("Metadata.Google.Internal."));
	assert_true(ranges_metadata_name("metadata.goog"));
	assert_true(ranges_metadata_name("instance-data.ec2.internal"));
	assert_true(ranges_metadata_name("metadata.tencentyun.com"));
	assert_false(ranges_metadata_name("google.internal"));
	assert_false(ranges_metadata_name("xmetadata.goog"));
	assert_false(ranges_metadata_name("metadata"));
	assert_false(ranges_metadata_name(""));
}

static void what_is_refused_always(void **state)
{
	static const struct {
		const char *first, *last;
		bool (*is)(const struct addr *a);
	} rows[] = {
		{ "0.0.0.0", "0.255.255.255", ranges_martian },
		{ "127.0.0.0", "127.255.255.255", ranges_martian },
		{ "224.0.0.0", "239.255.255.255", ranges_multicast },
		{ "255.255.255.255", "255.255.255.255", ranges_multicast },
		{ "::", "::ffff:ffff", NULL },
		{ "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ranges_multicast },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool (*is)(const struct addr *a) = rows[i].is ? rows[i].is :
								ranges_martian;
		struct addr first = world_addr(rows[i].first);
		struct addr last = world_addr(rows[i].last);
		struct addr before = step(rows[i].first, -1);
		struct addr after = step(rows[i].last, 1);

		assert_true(is(&first));
		assert_true(is(&last));
		if (memcmp(&before, &first, sizeof(first)) < 0)
			assert_false(is(&before));
		if (memcmp(&after, &last, sizeof(last)) > 0)
			assert_false(is(&after));
	}
}

/* Up to three addresses of IPv4 inside of one of IPv6. */
static void ipv4_inside_ipv6(void **state)
{
	static const struct {
		const char *outer, *inner[RANGES_EMBEDDED_MAX];
	} rows[] = {
		{ "64:ff9b::10.1.2.3", { "10.1.2.3" } },
		{ "64:ff9b::1:10.1.2.3", { NULL } },
		{ "64:ff9a::10.1.2.3", { NULL } },
		/* RFC 6052 2.4, with a prefix of the local-use range */
		{ "64:ff9b:1:c000:2:2100::", { "192.0.2.33", "2.33.0.0" } },
		{ "64:ff9b:1:0a01:2:300::", { "10.1.2.3", "1.2.3.0", "2.3.0.0" } },
		{ "64:ff9b:1:1c0:0:221::", { "192.0.2.33" } },
		{ "64:ff9b:1:22:c0:2:2100:0", { "192.0.2.33", "33.0.0.0" } },
		{ "64:ff9b:1::192.0.2.33", { "192.0.2.33" } },
		{ "64:ff9b:1:a:0:b:192.0.2.33", { "192.0.2.33" } },
		{ "64:ff9b:1:0a01:102:300::", { NULL } },
		{ "64:ff9b:2::10.1.2.3", { NULL } },
		{ "::ffff:0:10.1.2.3", { "10.1.2.3" } },
		{ "::fffe:0:10.1.2.3", { NULL } },
		{ "2002:a01:203::", { "10.1.2.3" } },
		{ "2002:a01:203:4:5:6:7:8", { "10.1.2.3" } },
		{ "2003:a01:203::", { NULL } },
		/* RFC 4380 4: server, flags, the port and the client turned over */
		{ "2001:0:4136:e378:8000:63bf:3fff:fdd2",
		  { "65.54.227.120", "192.0.2.45" } },
		{ "2001:1:4136:e378:8000:63bf:3fff:fdd2", { NULL } },
		{ "2001:db9::5efe:10.1.2.3", { "10.1.2.3" } },
		{ "2001:db9::200:5efe:10.1.2.3", { "10.1.2.3" } },
		{ "2001:db9::100:5efe:10.1.2.3", { NULL } },
		{ "2001:db9::5eff:10.1.2.3", { NULL } },
		{ "2002:a01:203::5efe:10.4.5.6", { "10.1.2.3", "10.4.5.6" } },
		{ "2606:4700::a01:203", { NULL } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr out[RANGES_EMBEDDED_MAX], a = world_addr(rows[i].outer);
		size_t n = ranges_embedded(&a, out);
		char text[ADDR_TEXT_MAX];

		for (size_t k = 0; k < n; k++) {
			if (!rows[i].inner[k])
				fail_msg("%s holds %s", rows[i].outer,
					 addr_format(&out[k], text));
			assert_string_equal(addr_format(&out[k], text), rows[i].inner[k]);
		}
		if (n < RANGES_EMBEDDED_MAX && rows[i].inner[n])
			fail_msg("%s lacks %s", rows[i].outer, rows[i].inner[n]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_ranges_have_these_ends),
		cmocka_unit_test(the_public_internet_is_not_private),
		cmocka_unit_test(metadata_is_these_addresses),
		cmocka_unit_test(metadata_has_names),
		cmocka_unit_test(what_is_refused_always),
		cmocka_unit_test(ipv4_inside_ipv6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
