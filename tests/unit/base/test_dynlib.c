#include "base/dynlib.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <idn2.h>

#include "base/util.h"

/* Any of those that are loaded. The third function no library has. */
static const char *const names[] = { "idn2_check_version", "idn2_strerror", "idn2_no" };
static struct {
	__typeof__(idn2_check_version) *idn2_check_version;
	__typeof__(idn2_strerror) *idn2_strerror;
	void (*no)(void);
} idn2;

static void loads_what_is_listed(void **state)
{
	const struct dynlib lib = { IDN2_SONAME, "libidn2", names, 2, &idn2 };
	struct error err;

	(void)state;
	assert_int_equal(dynlib_load(&lib, &err), 0);
	assert_string_equal(idn2.idn2_check_version(NULL), IDN2_VERSION);
	assert_non_null(idn2.idn2_strerror(IDN2_OK));
	assert_int_equal(dynlib_load(&lib, &err), 0);
}

static void says_what_is_missing(void **state)
{
	const struct dynlib lib = { "libno.so.1", "libno, which does nothing,", names, 3,
				    &idn2 };
	struct error err;

	(void)state;
	assert_int_equal(dynlib_load(&lib, &err), -1);
	assert_string_equal(err.text, "libno, which does nothing, is not installed "
				      "(libno.so.1)");
}

static void wants_all_functions(void **state)
{
	const struct dynlib lib = { IDN2_SONAME, "libidn2", names, 3, &idn2 };
	struct error err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(dynlib_load(&lib, &err), -1);
		assert_string_equal(err.text,
				    "libidn2 is not installed (" IDN2_SONAME ")");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_what_is_listed),
		cmocka_unit_test(says_what_is_missing),
		cmocka_unit_test(wants_all_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
