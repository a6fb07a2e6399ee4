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

static void the_nearest_reason_counts(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, 0, "a");
	assert_int_equal(err.reason, ERROR_UNKNOWN);
	assert_int_equal(error_because(&err, ERROR_TAP), -1);
	error_because(&err, ERROR_SYNC);
	error_wrap(&err, "b");
	assert_int_equal(err.reason, ERROR_TAP);
	err.phase = PHASE_CHILD;
	error_set(&err, 0, "c");
	assert_int_equal(err.reason, ERROR_UNKNOWN);
	assert_int_equal(err.phase, PHASE_RUN);
}

static void every_reason_and_phase_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int k = 0; k < ERROR_REASON_COUNT; k++)
		for (int other = 0; other < k; other++)
			assert_string_not_equal(error_reason_name(k),
						error_reason_name(other));
	for (int k = 0; k < PHASE_COUNT; k++)
		for (int other = 0; other < k; other++)
			assert_string_not_equal(error_phase_name(k),
						error_phase_name(other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_why_and_cure),
		cmocka_unit_test(never_overflows),
		cmocka_unit_test(the_nearest_reason_counts),
		cmocka_unit_test(every_reason_and_phase_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
