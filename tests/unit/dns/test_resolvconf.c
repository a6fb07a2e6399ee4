#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/resolvconf.h"

static void expect(const char *text, const char *servers, const char *kept,
		   const char *warnings)
{
	struct resolvconf rc;
	struct error err;
	char found[4 * ADDR_TEXT_MAX] = "", addr[ADDR_TEXT_MAX];

	assert_int_equal(resolvconf_parse(text, strlen(text), &rc, &err), 0);
	for (size_t i = 0; i < rc.n_servers; i++) {
		strcat(found, i ? " " : "");
		strcat(found, addr_format(&rc.servers[i], addr));
	}
	assert_string_equal(found, servers);
	assert_string_equal(rc.kept, kept);
	assert_string_equal(rc.warnings, warnings);
	resolvconf_free(&rc);
}

static void test_servers(void **state)
{
	(void)state;
	expect("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", "192.0.2.1 2001:db8::1",
	       "", "");
	expect("nameserver\t 192.0.2.1 # office\r\nnameserver 192.0.2.2;x\n", "192.0.2.1",
	       "", "line 2: nameserver 192.0.2.2;x: not an IP address\n");
	expect("nameserver 192.0.2.1", "192.0.2.1", "", "");
	expect("nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver "
	       "1.1.1.4\n",
	       "1.1.1.1 1.1.1.2 1.1.1.3", "", "");
	expect("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", "127.0.0.53",
	       "options edns0 trust-ad\nsearch .\n", "");
}

static void test_no_server_means_this_host(void **state)
{
	(void)state;
	expect("", "127.0.0.1", "", "");
	expect("search example.com\n", "127.0.0.1", "search example.com\n", "");
	expect("#nameserver 192.0.2.1\n;nameserver 192.0.2.1\n nameserver 192.0.2.1\n"
	       "nameservers 192.0.2.1\nnameserver\n",
	       "127.0.0.1", "", "");
	/* Lines that are there and of no use are another matter. */
	expect("nameserver fe80::1%eth0\n", "", "",
	       "line 1: nameserver fe80::1%eth0: scoped addresses are not supported\n");
}

static void test_skipped_lines_are_told(void **state)
{
	(void)state;
	expect("# x\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\nnameserver one\n"
	       "nameserver 1.2.3\n",
	       "192.0.2.1", "",
	       "line 2: nameserver fe80::1%eth0: scoped addresses are not supported\n"
	       "line 4: nameserver one: not an IP address\n"
	       "line 5: nameserver 1.2.3: not an IP address\n");
}

static void test_kept_lines(void **state)
{
	(void)state;
	expect("domain a.example \t\r\nsortlist 10.0.0.0\nsearch b.example\tc.example\n"
	       "options ndots:2\n# options x\noptionsx\n searching x\noptions rotate",
	       "127.0.0.1",
	       "domain a.example\nsearch b.example\tc.example\noptions ndots:2\noptions "
	       "rotate\n",
	       "");
}

static void test_render(void **state)
{
	struct addr v4, v6;
	char *text;

	(void)state;
	assert_true(addr_parse("10.240.1.1", &v4));
	assert_true(addr_parse("fd42:e:e::1", &v6));
	text = resolvconf_render("search a.example\noptions ndots:2\n", &v4, &v6);
	assert_string_equal(text, "search a.example\noptions ndots:2\n"
				  "nameserver 10.240.1.1\nnameserver fd42:e:e::1\n");
	free(text);
	text = resolvconf_render("", &v4, NULL);
	assert_string_equal(text, "nameserver 10.240.1.1\n");
	free(text);
}

static void test_read(void **state)
{
	char dir[] = "/tmp/resolvconf-XXXXXX", path[64];
	struct resolvconf rc;
	struct error err;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/resolv.conf", dir);
	assert_int_equal(resolvconf_read(path, &rc, &err), 0);
	assert_int_equal(rc.n_servers, 1);
	resolvconf_free(&rc);

	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(resolvconf_read(path, &rc, &err), 0);
	assert_string_equal(rc.kept, "");
	resolvconf_free(&rc);

	f = fopen(path, "we");
	assert_non_null(f);
	fputs("nameserver 192.0.2.7\nsearch x\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(resolvconf_read(path, &rc, &err), 0);
	assert_int_equal(addr_v4(&rc.servers[0]), htonl(0xc0000207));
	assert_string_equal(rc.kept, "search x\n");
	resolvconf_free(&rc);
	assert_int_equal(unlink(path), 0);

	assert_int_equal(resolvconf_read(dir, &rc, &err), -1);
	assert_int_equal(err.code, EISDIR);
	assert_non_null(strstr(err.text, dir));
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_no_server_means_this_host),
		cmocka_unit_test(test_skipped_lines_are_told),
		cmocka_unit_test(test_kept_lines),
		cmocka_unit_test(test_render),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
