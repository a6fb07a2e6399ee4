#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/proxyurl.h"

static void test_good(void **state)
{
	static const struct {
		const char *url;
		enum proxy_scheme scheme;
		const char *host;
		uint16_t port;
		bool is_addr;
		const char *user, *password;
		const char *again; /* NULL: the same */
	} rows[] = {
		{ "http://proxy.example:3128", PROXY_HTTP, "proxy.example", 3128 },
		{ "http://192.0.2.1:1", PROXY_HTTP, "192.0.2.1", 1, true },
		{ "https://[2001:db8::1]:65535", PROXY_HTTPS, "2001:db8::1", 65535,
		  true },
		{ "socks5://[2001:DB8:0::1]", PROXY_SOCKS5, "2001:db8::1", 1080, true,
		  NULL, NULL, "socks5://[2001:db8::1]:1080" },
		{ "http://a.example", PROXY_HTTP, "a.example", 80,
		  .again = "http://a.example:80" },
		{ "https://a.example/", PROXY_HTTPS, "a.example", 443,
		  .again = "https://a.example:443" },
		{ "socks5h://A.Example.:9/", PROXY_SOCKS5H, "a.example", 9,
		  .again = "socks5h://a.example:9" },
		{ "socks4a://localhost:9", PROXY_SOCKS4A, "localhost", 9 },
		{ "http://bücher.example:9", PROXY_HTTP, "xn--bcher-kva.example", 9,
		  .again = "http://xn--bcher-kva.example:9" },
		{ "http://u:p@h:1", PROXY_HTTP, "h", 1, false, "u", "p" },
		{ "http://u@h:1", PROXY_HTTP, "h", 1, false, "u", NULL },
		{ "http://u:@h:1", PROXY_HTTP, "h", 1, false, "u", "" },
		{ "http://u%40x:p%3a%2F%25@h:1", PROXY_HTTP, "h", 1, false, "u@x", "p:/%",
		  "http://u%40x:p%3A%2F%25@h:1" },
		{ "http://u:a:b/c?d#e@h:1", PROXY_HTTP, "h", 1, false, "u", "a:b/c?d#e",
		  "http://u:a%3Ab%2Fc%3Fd%23e@h:1" },
		{ "http://u:p@[::1]:1", PROXY_HTTP, "::1", 1, true, "u", "p" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proxy p;
		struct error err;
		char *again;

		if (proxyurl_parse(rows[i].url, &p, &err))
			fail_msg("%s: %s", rows[i].url, err.text);
		assert_int_equal(p.scheme, rows[i].scheme);
		assert_string_equal(p.host, rows[i].host);
		assert_int_equal(p.port, rows[i].port);
		assert_int_equal(p.is_addr, rows[i].is_addr);
		assert_int_equal(!p.user, !rows[i].user);
		assert_int_equal(!p.password, !rows[i].password);
		if (p.user)
			assert_string_equal(p.user, rows[i].user);
		if (p.password)
			assert_string_equal(p.password, rows[i].password);
		again = proxyurl_format(&p, true);
		assert_string_equal(again, rows[i].again ? rows[i].again : rows[i].url);
		free(again);
		proxy_clear(&p);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *url, *says;
	} rows[] = {
		{ "", "it begins with http://" },
		{ "proxy.example:3128", "it begins with" },
		{ "HTTP://a:1", "it begins with" },
		{ "ftp://a:1", "it begins with" },
		{ "socks4://a:1", "it begins with" },
		{ "http:/a:1", "it begins with" },
		{ "http://", "no host" },
		{ "http://:80", "no host" },
		{ "http:///", "no host" },
		{ "http://[]:80", "IPv6 address" },
		{ "http://[::1", "needs its `]`" },
		{ "http://[::1]80", "needs its `]`" },
		{ "http://[192.0.2.1]:80", "IPv6 address" },
		{ "http://[fe80::1%eth0]:80", "neither" },
		{ "http://::1:80", "must be enclosed in `[` and `]`" },
		{ "http://2001:db8::1", "must be enclosed in `[` and `]`" },
		{ "http://a:", "port is empty" },
		{ "http://a:0", "1 to 65535" },
		{ "http://a:65536", "1 to 65535" },
		{ "http://a:99999999999999999999", "1 to 65535" },
		{ "http://a:+1", "not a number" },
		{ "http://a:1/x", "no path" },
		{ "http://a:1//", "no path" },
		{ "http://a:1?x", "no path" },
		{ "http://a:1#x", "no path" },
		{ "http://a_b:1", "neither an address nor a name" },
		{ "http://1234:1", "neither an address nor a name" },
		{ "http://a b:1", "neither" },
		{ "http://@h:1", "user is empty" },
		{ "http://:p@h:1", "user is empty" },
		{ "http://u%:p@h:1", "percent-encoded" },
		{ "http://u%4:p@h:1", "percent-encoded" },
		{ "http://u:%zz@h:1", "percent-encoded" },
		{ "http://u:%00@h:1", "percent-encoded" },
		{ "http://u:%0a@h:1", "percent-encoded" },
		{ "http://u:p@x@h:1", "%40" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err;
		struct proxy p;

		if (proxyurl_parse(rows[i].url, &p, &err) == 0)
			fail_msg("'%s' was taken", rows[i].url);
		if (!strstr(err.text, rows[i].says))
			fail_msg("'%s': %s", rows[i].url, err.text);
	}
}

static void test_without_password(void **state)
{
	struct error err;
	struct proxy p;
	char *text;

	(void)state;
	assert_int_equal(proxyurl_parse("http://u:p@h:1", &p, &err), 0);
	text = proxyurl_format(&p, false);
	assert_string_equal(text, "http://u@h:1");
	free(text);
	proxy_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_without_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
