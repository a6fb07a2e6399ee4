#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/util.h"

static const struct {
	const char *to;
	enum reason reason;
} rows[] = {
	{ "10.240.0.1", REASON_GATEWAY },
	{ "fd42::1", REASON_GATEWAY },
	{ "127.0.0.1", REASON_MARTIAN },
	{ "127.255.255.255", REASON_MARTIAN },
	{ "126.255.255.255", REASON_ALLOWED },
	{ "128.0.0.0", REASON_ALLOWED },
	{ "0.0.0.0", REASON_MARTIAN },
	{ "0.1.2.3", REASON_MARTIAN },
	{ "1.0.0.0", REASON_ALLOWED },
	{ "::", REASON_MARTIAN },
	{ "::1", REASON_MARTIAN },
	{ "::2", REASON_MARTIAN },
	{ "::127.0.0.1", REASON_MARTIAN },
	{ "::1:0:0", REASON_ALLOWED },
	{ "::ffff:127.0.0.1", REASON_MARTIAN },
	{ "223.255.255.255", REASON_ALLOWED },
	{ "224.0.0.0", REASON_MULTICAST },
	{ "239.255.255.255", REASON_MULTICAST },
	{ "240.0.0.0", REASON_ALLOWED },
	{ "255.255.255.254", REASON_ALLOWED },
	{ "255.255.255.255", REASON_MULTICAST },
	{ "ff02::1", REASON_MULTICAST },
	{ "feff::1", REASON_ALLOWED },
	{ "10.0.0.1", REASON_ALLOWED },
	{ "203.0.113.1", REASON_ALLOWED },
	{ "2001:db8::1", REASON_ALLOWED },
};

static void decides_by_the_table(void **state)
{
	struct policy policy;

	(void)state;
	assert_true(addr_parse("10.240.0.1", &policy.gateway4));
	assert_true(addr_parse("fd42::1", &policy.gateway6));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct target t = { .protocol = IPPROTO_TCP, .to.port = 80 };
		struct verdict v;

		assert_true(addr_parse(rows[i].to, &t.to.addr));
		v = policy_decide(&policy, &t);
		if (v.reason != rows[i].reason)
			print_error("%s: %s\n", rows[i].to, reason_name(v.reason));
		assert_int_equal(v.reason, rows[i].reason);
		assert_int_equal(v.allow, rows[i].reason == REASON_ALLOWED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decides_by_the_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
