#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "sandbox/idmap.h"

static void test_identity(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: malformed */
	} rows[] = {
		{ "         0          0 4294967295\n", "0 0 4294967295\n" },
		{ "         0     100000      65536\n", "0 0 65536\n" },
		{ "0 1000 1\n1 100000 65536\n", "0 0 1\n1 1 65536\n" },
		{ "1000 1000 1\n", "1000 1000 1\n" },
		{ "", NULL },
		{ "0 0\n", NULL },
		{ "0 0 1", NULL },
		{ "0 0 1 2\n", NULL },
		{ "a b c\n", NULL },
		{ "0 0 1\nx\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char out[IDMAP_TEXT_MAX];
		int ret = idmap_identity(rows[i].in, out);

		assert_int_equal(ret, rows[i].out ? 0 : -1);
		if (rows[i].out)
			assert_string_equal(out, rows[i].out);
	}
}

static void test_too_long(void **state)
{
	char *in = malloc(2 * IDMAP_TEXT_MAX), out[IDMAP_TEXT_MAX];
	size_t n = 0;

	(void)state;
	assert_non_null(in);
	while (n < IDMAP_TEXT_MAX)
		n += sprintf(in + n, "%zu 0 1\n", n);
	assert_int_equal(idmap_identity(in, out), -1);
	free(in);
}

static void test_choice_is_identity(void **state)
{
	struct idmap map;
	struct error err;
	unsigned inside, outside, count;
	bool own = false;

	(void)state;
	assert_int_equal(idmap_choose(&map, false, &err), 0);
	for (const char *line = map.uid; *line; line = strchr(line, '\n') + 1) {
		assert_int_equal(sscanf(line, "%u %u %u\n", &inside, &outside, &count),
				 3);
		assert_int_equal(inside, outside);
		own |= geteuid() >= inside && geteuid() - inside < count;
		if (!map.whole)
			assert_int_equal(count, 1);
	}
	assert_true(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_choice_is_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
