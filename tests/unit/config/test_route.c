/* Routes: what their text becomes, and what is said of that which is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/route.h"
#include "tests/unit/config/settings.h"

#define ROUTES_MAX 4

static void test_texts(void **state)
{
	static const struct {
		const char *text;
		const char *routes[ROUTES_MAX];
	} rows[] = {
		{ "Example.org.=proxy", { "example.org=proxy" } },
		{ "*.example.org:443=direct", { "*.example.org:443=direct" } },
		{ "10.0.0.0/8=block", { "10.0.0.0/8=block" } },
		{ "udp://[fd00::/8]:53,54=direct", { "udp://[fd00::/8]:53,54=direct" } },
		{ "192.0.2.1,a.example,::1=proxy",
		  { "192.0.2.1/32=proxy", "a.example=proxy", "::1/128=proxy" } },
		{ "1.example=direct", { "1.example=direct" } },
		{ "onion=socks5h://127.0.0.1:9050",
		  { "onion=socks5h://127.0.0.1:9050" } },
		{ "a.example=http://u:p%3Dq@h:1", { "a.example=http://u:p%3Dq@h:1" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct route_list list = { 0 };
		struct error err;
		size_t n = 0;

		if (routes_parse(&list, rows[i].text, NULL, &err))
			fail_msg("%s: %s", rows[i].text, err.text);
		for (; n < ROUTES_MAX && rows[i].routes[n]; n++) {
			cleanup_free char *text = route_format(&list, n, true);

			assert_string_equal(text, rows[i].routes[n]);
		}
		assert_int_equal(list.rules.count, n);
		routes_clear(&list);
	}
}

static void test_ways(void **state)
{
	static const struct {
		const char *text;
		enum rule_kind kind;
		uint8_t route;
	} rows[] = {
		{ "a.example=direct", RULE_DOMAIN, ROUTE_DIRECT },
		{ "*.a.example=block", RULE_SUBDOMAINS, ROUTE_BLOCK },
		{ "::/0=proxy", RULE_CIDR, ROUTE_PROXY },
		{ "b.example=http://a:1", RULE_DOMAIN, ROUTE_OWN },
		{ "c.example=http://u:w@a:1", RULE_DOMAIN, ROUTE_OWN + 1 },
		{ "d.example=http://a:1", RULE_DOMAIN, ROUTE_OWN },
		{ "e.example=http://u:v@a:1", RULE_DOMAIN, ROUTE_OWN + 2 },
	};
	struct route_list list = { 0 };
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(routes_parse(&list, rows[i].text, NULL, &err), 0);
		assert_int_equal(list.rules.count, i + 1);
		assert_int_equal(list.rules.rules[i].kind, rows[i].kind);
		assert_int_equal(list.rules.rules[i].route, rows[i].route);
	}
	assert_int_equal(list.own.count, 3);
	assert_string_equal(list.own.proxies[1].password, "w");
	routes_clear(&list);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "a.example", "RULE=WAY" },
		{ "", "RULE=WAY" },
		{ "=proxy", "empty" },
		{ "a.example=", "a way is" },
		{ "a.example=Proxy", "a way is" },
		{ "a.example=nowhere", "'nowhere'" },
		{ "a..b=direct", "a..b" },
		{ "10.0.0=direct", "neither an IPv4 or IPv6 address nor a CIDR" },
		{ "10.0.0.0/33=direct", "the prefix has 32 bits" },
		{ "a.example:0=direct", "neither a port" },
		{ "a.example=ftp://h:1", "begins with http://" },
		{ "a.example=http://u:SECRET@h:1/path", "no path" },
		{ "a.example:x=http://u:SECRET@h:1", "neither a port" },
		{ "http://u:SECRET@h:1", "RULE=WAY" },
		{ "a.example,@f=direct", "must stand alone" },
		{ "@/nowhere=direct", "/nowhere" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct route_list list = { 0 };
		struct error err;

		if (routes_parse(&list, rows[i].text, NULL, &err) == 0)
			fail_msg("'%s' is a route", rows[i].text);
		if (!strstr(err.text, rows[i].says) || strstr(err.text, "SECRET"))
			fail_msg("'%s': %s", rows[i].text, err.text);
		/* Elements before the bad one stay. */
		assert_int_equal(list.rules.count, strchr(rows[i].text, ',') ? 1 : 0);
		routes_clear(&list);
	}
}

static void test_too_many(void **state)
{
	struct route_list list = { 0 };
	struct error err;
	char text[64];
	int i = 0;

	(void)state;
	for (;; i++) {
		snprintf(text, sizeof(text), "a.example=http://h:%d", i + 1);
		if (routes_parse(&list, text, NULL, &err))
			break;
	}
	assert_int_equal(i, ROUTE_BLOCK - ROUTE_OWN);
	assert_non_null(strstr(err.text, "more than 61 proxies"));
	routes_clear(&list);
}

static void test_password(void **state)
{
	char plain[] = "a.example=http://h:1", file[] = "@a=b=http://u:w=@h:1";
	char text[] = "tcp://a.example:443=http://u:word@h:1";
	size_t len;

	(void)state;
	assert_null(route_find_password(plain, &len));
	assert_string_equal(route_find_password(text, &len), "word@h:1");
	assert_int_equal(len, 4);
	assert_string_equal(route_find_password(file, &len), "w=@h:1");
}

/* What a dump shows, and that it is read again as the same. */
static void test_files_and_dump(void **state)
{
	const char *path = settings_write("a=b", "a.example # one\n\n10.0.0.0/8\n");
	struct route_list list = { 0 };
	cleanup_free char *text = NULL, *hidden = NULL, *shown = NULL;
	struct error err;

	(void)state;
	assert_true(asprintf(&text, "@%s=http://u:w@h:1", path) > 0);
	if (routes_parse(&list, text, NULL, &err))
		fail_msg("%s", err.text);
	assert_int_equal(list.rules.count, 2);
	hidden = route_format(&list, 1, false);
	shown = route_format(&list, 1, true);
	assert_string_equal(hidden, "10.0.0.0/8=http://u@h:1");
	assert_string_equal(shown, "10.0.0.0/8=http://u:w@h:1");
	routes_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_password),
		cmocka_unit_test_setup_teardown(test_files_and_dump, settings_make_dir,
						settings_remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
