#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void says_what_why_and_cure(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, ENOENT, "open %s", "/x"), -1);
	assert_string_equal(err.text, "open /x: No such file or directory");
	assert_string_equal(err.cure, "");
	assert_int_equal(error_wrap(&err, "make %s", "tap0"), -1);
	assert_string_equal(err.text, "make tap0: open /x: No such file or directory");
	assert_int_equal(error_cure(&err, "make /x"), -1);
	assert_string_equal(err.cure, "make /x");
	assert_int_equal(err.code, ENOENT);
	error_set(&err, 0, "no such option");
	assert_string_equal(err.text, "no such option");
	assert_string_equal(err.cure, "");
}

static void never_overflows(void **state)
{
	char long_text[2000];
	struct error err;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	error_set(&err, EINVAL, "%s", long_text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_wrap(&err, "%s", long_text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_cure(&err, "%s", long_text);
	assert_int_equal(strlen(err.cure), sizeof(err.cure) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_why_and_cure),
		cmocka_unit_test(never_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
