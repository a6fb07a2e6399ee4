#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "sandbox/preflight.h"

static void test_tun(void **state)
{
	static const struct {
		int code;
		const char *cure;
	} rows[] = {
		{ ENOENT, "modprobe tun" },	    { ENODEV, "modprobe tun" },
		{ ENXIO, "modprobe tun" },	    { EACCES, "chmod 0666 /dev/net/tun" },
		{ EPERM, "--device /dev/net/tun" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err;

		assert_int_equal(preflight_tun(rows[i].code, "open /dev/net/tun", &err),
				 -1);
		assert_int_equal(err.code, rows[i].code);
		assert_non_null(strstr(err.text, "open /dev/net/tun: "));
		assert_non_null(strstr(err.cure, rows[i].cure));
	}
}

static void test_tun_without_a_cure(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(preflight_tun(EBUSY, "create tap0", &err), -1);
	assert_non_null(strstr(err.text, "create tap0: "));
	assert_string_equal(err.cure, "");
}

static void test_namespaces(void **state)
{
	static const int codes[] = { ENOSPC, EUSERS, EINVAL, ENOSYS, EPERM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct error err;

		assert_int_equal(preflight_namespaces(codes[i], &err), -1);
		assert_int_equal(err.code, codes[i]);
		assert_non_null(strstr(err.text, "namespaces: "));
		assert_true(strlen(err.cure) > 20);
	}
}

/* A process that no security module has demoted gets no advice about one. */
static void test_no_false_explanation(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, EPERM, "mount");
	preflight_explain(&err, getpid());
	assert_string_equal(err.cure, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tun),
		cmocka_unit_test(test_tun_without_a_cure),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_no_false_explanation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
