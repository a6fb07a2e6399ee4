#include "base/addr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/util.h"

static void parses_strictly(void **state)
{
	static const char *const bad[] = { "",		"1.2.3",     "1.2.3.4.5",
					   "1.2.3.256", "01.2.3.4x", "fe80::1%lo",
					   "[::1]",	" 1.2.3.4",  "1.2.3.4:5",
					   "::1::" };
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(addr_parse(bad[i], &a));
}

static void formats_what_it_parsed(void **state)
{
	static const struct {
		const char *in, *out;
		bool v4;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "::ffff:192.0.2.1", "192.0.2.1", true }, /* unwrapped once, here */
		{ "2001:DB8:0:0::1", "2001:db8::1", false },
		{ "::", "::", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[ADDR_TEXT_MAX];
		struct addr a;

		assert_true(addr_parse(rows[i].in, &a));
		assert_int_equal(addr_is_v4(&a), rows[i].v4);
		assert_string_equal(addr_format(&a, text), rows[i].out);
	}
}

static void endpoints_survive_a_sockaddr(void **state)
{
	static const char *const texts[] = { "192.0.2.1", "2001:db8::1" };
	static const char *const formatted[] = { "192.0.2.1:65535",
						 "[2001:db8::1]:65535" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct endpoint e = { .port = 65535 }, back;
		struct sockaddr_storage sa;
		char text[ENDPOINT_TEXT_MAX];

		assert_true(addr_parse(texts[i], &e.addr));
		assert_int_equal(endpoint_to_sockaddr(&e, &sa),
				 i ? sizeof(struct sockaddr_in6) :
				     sizeof(struct sockaddr_in));
		assert_true(endpoint_from_sockaddr((struct sockaddr *)&sa, &back));
		assert_true(endpoint_eq(&e, &back));
		assert_string_equal(endpoint_format(&e, text), formatted[i]);
	}
}

static void other_families_are_no_endpoint(void **state)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct endpoint e;

	(void)state;
	assert_false(endpoint_from_sockaddr(&sa, &e));
}

static void compares_first_bits(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned bits; /* that are the same */
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", 128 },
		{ "192.0.2.1", "192.0.2.0", 127 },
		{ "192.0.2.1", "192.0.3.1", 119 },
		{ "128.0.0.0", "0.0.0.0", 96 },
		{ "8000::", "::", 0 },
		{ "2001:db8::", "2001:db9::", 31 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr a, b;

		assert_true(addr_parse(rows[i].a, &a) && addr_parse(rows[i].b, &b));
		for (unsigned bits = 0; bits <= 128; bits++)
			assert_int_equal(addr_prefix_eq(&a, &b, bits),
					 bits <= rows[i].bits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_strictly),
		cmocka_unit_test(formats_what_it_parsed),
		cmocka_unit_test(compares_first_bits),
		cmocka_unit_test(endpoints_survive_a_sockaddr),
		cmocka_unit_test(other_families_are_no_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
