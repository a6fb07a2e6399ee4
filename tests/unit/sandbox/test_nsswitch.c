#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "sandbox/nsswitch.h"

static void test_render(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "hosts: files dns\n" },
		{ "passwd: files\n", "passwd: files\nhosts: files dns\n" },
		{ "passwd: files", "passwd: files\nhosts: files dns\n" },
		{ "passwd: files\nhosts: files mdns4 resolve [!UNAVAIL=return] "
		  "dns\ngroup: db\n",
		  "passwd: files\ngroup: db\nhosts: files dns\n" },
		{ " \thosts \t: resolve\n", "hosts: files dns\n" },
		{ "hosts: a\nhosts: b", "hosts: files dns\n" },
		{ "#hosts: old\n", "#hosts: old\nhosts: files dns\n" },
		{ "hostsfile: x\nhosts\n\n",
		  "hostsfile: x\nhosts\n\nhosts: files dns\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len;
		char *out = nsswitch_render(rows[i].in, strlen(rows[i].in), &len);

		assert_non_null(out);
		assert_string_equal(out, rows[i].out);
		assert_int_equal(len, strlen(out));
		free(out);
	}
}

/* Bytes behind the length given must not be read. */
static void test_length_counts(void **state)
{
	size_t len;
	char *out = nsswitch_render("a: b\nhosts: c", 5, &len);

	(void)state;
	assert_string_equal(out, "a: b\nhosts: files dns\n");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_render),
		cmocka_unit_test(test_length_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
