#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/check.h"
#include "tests/unit/config/settings.h"

#define WORDS_MAX 9
#define PARTS_MAX 5

/* What contradicts itself, and what the sentence names. */
static void test_refused(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *names[PARTS_MAX];
	} rows[] = {
		{ { "-q" }, { "missing command to execute" } },
		{ { "--iface", "eth0", "x" },
		  { "--iface", "not supported", "rootless-internal" } },
		{ { "-C", "egress", "x" }, { "--capture-point requires --capture" } },
		{ { "--capture-segments", "raw", "x" },
		  { "--capture-segments requires --capture" } },
		{ { "--capture-filter=tcp", "x" },
		  { "--capture-filter requires --capture" } },
		{ { "--snaplen=60", "x" }, { "--snaplen requires --capture" } },
		{ { "--capture-rotate=1M", "x" },
		  { "--capture-rotate requires --capture" } },
		{ { "--capture-keys", "x" }, { "--capture-keys requires --capture" } },
		{ { "--capture-process-blocks", "x" },
		  { "--capture-process-blocks requires --capture" } },
		{ { "-c", "-", "-C", "both", "x" },
		  { "--capture to stdout", "--capture-point" } },
		{ { "-c", "-", "--capture-rotate=1M", "x" },
		  { "--capture to stdout", "--capture-rotate" } },
		{ { "-C", "both", "--root", "x" },
		  { "--capture-point requires --capture" } },
		{ { "-p", "http://a:1", "-U", "u", "x" },
		  { "--proxy-user", "--proxy-password", "must be provided together" } },
		{ { "-p", "http://a:1", "-P", "w", "x" },
		  { "--proxy-user", "--proxy-password", "must be provided together" } },
		{ { "-p", "http://a:1", "--proxy-password-file", "f", "x" },
		  { "must be provided together" } },
		{ { "-p", "http://u@a:1", "x" }, { "must be provided together" } },
		{ { "-U", "u", "-P", "w", "x" }, { "--proxy-user", "requires --proxy" } },
		{ { "--proxy-insecure", "x" }, { "--proxy-insecure requires --proxy" } },
		{ { "--proxy-only", "x" }, { "--proxy-only requires --proxy" } },
		{ { "-p", "http://a:1", "--connect-timeout=0", "x" },
		  { "--connect-timeout leaves no time" } },
		{ { "-p", "http://a:1", "--proxy-insecure", "x" },
		  { "--proxy-insecure", "https://" } },
		{ { "-p", "socks5://a:1", "--proxy-insecure", "x" },
		  { "--proxy-insecure", "https://" } },
		{ { "--root", "--fail-on-leak", "x" },
		  { "--fail-on-leak", "rootless-internal" } },
		{ { "--root", "--flow-log", "f", "x" },
		  { "--flow-log", "rootless-internal" } },
		{ { "--root", "--deny-domain", "a.example", "x" },
		  { "--allow-domain,", "--allow-domain-exact", "--deny-domain ",
		    "--deny-domain-exact", "rootless-internal" } },
		{ { "--network-backend=rootful", "--allow-domain-exact=a.example", "x" },
		  { "rootless-internal" } },
		{ { "-p", "http://u:w@a:1", "-U", "u", "-P", "w", "x" },
		  { "--proxy-user", "URL of --proxy", "contradict" } },
		{ { "-p", "http://u:w@a:1", "-P", "w", "x" },
		  { "--proxy-password", "URL" } },
		{ { "-p", "http://a:1", "-U", "u", "-P", "w", "--proxy-password-file=f",
		    "x" },
		  { "--proxy-password and --proxy-password-file contradict" } },
		{ { "-p", "http://a:1", "-p", "http://b:1", "-U", "u", "-P", "w", "x" },
		  { "chain" } },
		{ { "-p", "http://u:w@a:1", "-p", "http://v@b:1", "x" },
		  { "--proxy has a user without a password" } },
		{ { "--proxy-dns=remote", "x" }, { "--proxy-dns requires --proxy" } },
		{ { "--proxy-dns-range=198.18.0.0/15", "x" },
		  { "--proxy-dns-range requires --proxy" } },
		{ { "--proxy-udp=direct", "x" }, { "--proxy-udp requires --proxy" } },
		{ { "--no-proxy=a.example", "x" }, { "--no-proxy requires --proxy" } },
		{ { "--no-proxy=a.example", "--route=b.example=http://a:1", "x" },
		  { "--no-proxy requires --proxy" } },
		{ { "--route=a.example=proxy", "x" },
		  { "--route to proxy requires --proxy" } },
		{ { "-p", "socks5://a:1", "--proxy-only", "--proxy-dns=local", "x" },
		  { "--proxy-dns and --proxy-only contradict" } },
		{ { "-p", "socks5://a:1", "--proxy-only", "--proxy-udp=direct", "x" },
		  { "--proxy-udp and --proxy-only contradict" } },
		{ { "-p", "http://a:1", "--proxy-only", "--route", "a.example=proxy",
		    "--route", "b.example=direct", "x" },
		  { "--route and --proxy-only contradict each other: a route is "
		    "direct" } },
		{ { "-p", "http://a:1", "--proxy-only", "--no-proxy=::1", "x" },
		  { "--no-proxy and --proxy-only contradict" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=198.18.0.0/15:80", "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=udp://198.18.0.0/15", "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=198.18.0.0/31", "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=11.0.0.0/7", "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=fd00::/7", "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=fd00::/127", "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=10.0.0.0/16,10.1.0.0/16",
		    "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=fd00::/64,fd01::/64", "x" },
		  { "--proxy-dns-range is an IPv4 network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=10.240.3.0/24", "x" },
		  { "--proxy-dns-range has addresses of the command's own network" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=10.0.0.0/8", "x" },
		  { "--proxy-dns-range has addresses" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=fd42:1::/64", "x" },
		  { "--proxy-dns-range has addresses" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=fd00::/8", "x" },
		  { "--proxy-dns-range has addresses" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=224.0.0.0/16", "x" },
		  { "--proxy-dns-range has addresses" } },
		{ { "-p", "http://a:1", "--proxy-dns-range=127.1.0.0/16", "x" },
		  { "--proxy-dns-range has addresses" } },
		{ { "--origins", "x" }, { "--origins requires --dump-profile" } },
		{ { "--show-secrets", "x" },
		  { "--show-secrets requires --dump-profile" } },
		{ { "--doctor", "x" }, { "--doctor runs no command" } },
		{ { "--list-profiles", "x" }, { "--list-profiles runs no command" } },
		{ { "--diff", "a" }, { "--diff takes two files" } },
		{ { "--diff", "a", "b", "--doctor" }, { "--diff and --doctor" } },
		{ { "--diff=a", "b", "--report=a" }, { "--report and --diff" } },
		{ { "--doctor", "--report=a" }, { "--report and --doctor" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;
		struct error err;

		if (settings_of(&cfg, rows[i].words, &err))
			fail_msg("row %zu: %s", i, err.text);
		if (config_check(&cfg, &err) == 0)
			fail_msg("row %zu passes", i);
		for (size_t k = 0; k < PARTS_MAX && rows[i].names[k]; k++) {
			if (!strstr(err.text, rows[i].names[k]))
				fail_msg("row %zu: %s", i, err.text);
		}
		assert_true(err.cure[0]);
		config_free(&cfg);
	}
}

static void test_allowed(void **state)
{
	static const char *const rows[][WORDS_MAX] = {
		{ "x" },
		{ "--root", "x" },
		{ "--root", "-i", "eth0", "x" },
		{ "--network-backend=rootless-internal", "--root", "-i", "eth0", "x" },
		{ "--root", "-p", "http://a:1", "x" },
		{ "-p", "http://a:1", "x" },
		{ "-p", "https://a:1", "--proxy-insecure", "x" },
		{ "-p", "socks5://a:1", "-p", "https://b:1", "--proxy-insecure", "x" },
		{ "-p", "http://a:1", "-U", "u", "-P", "w", "--proxy-only", "x" },
		{ "-p", "http://u@a:1", "-P", "w", "x" },
		{ "-p", "http://u:@a:1", "x" },
		{ "-p", "http://u:w@a:1", "-p", "http://b:1", "x" },
		{ "-p", "socks5://a:1", "--proxy-dns=local", "--proxy-udp=direct",
		  "--no-proxy=a.example,10.0.0.0/8", "x" },
		{ "--route=a.example=http://a:1", "--proxy-dns=remote", "x" },
		{ "--route=a.example=block", "--route=10.0.0.0/8=direct", "x" },
		{ "-p", "http://a:1", "--proxy-only", "--route=a.example=block",
		  "--route=b.example=socks5://b:1", "--proxy-dns=remote", "x" },
		{ "-p", "http://a:1", "--proxy-dns-range=198.18.0.0/30", "x" },
		{ "-p", "http://a:1", "--proxy-dns-range=10.241.0.0/16,fdcf::/126", "x" },
		{ "-c", "f", "-C", "child", "x" },
		{ "-c", "f", "-C", "egress", "x" },
		{ "-c", "f", "-C", "wire-egress", "x" },
		{ "-c", "f", "-C", "both", "x" },
		{ "--root", "-c", "f", "-C", "child", "x" },
		{ "--root", "-c", "f", "-C", "egress", "x" },
		{ "--root", "-c", "f", "-C", "wire-egress", "x" },
		{ "--root", "-c", "f", "-C", "both", "x" },
		{ "-C", "child", "x" },
		{ "--dump-profile" },
		{ "--dump-profile", "x" },
		{ "--doctor" },
		{ "--doctor", "--dump-profile" },
		{ "--report", "f", "g" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;
		struct error err;

		if (settings_of(&cfg, rows[i], &err) || config_check(&cfg, &err))
			fail_msg("row %zu: %s", i, err.text);
		config_free(&cfg);
	}
}

/* A sentence about what a profile says tells where. */
static void test_place(void **state)
{
	const char *path = settings_write("p.toml", "# comment\nproxy_only = true\n");
	struct config cfg;
	struct error err;
	char expected[128];

	(void)state;
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", path, "x"), 0);
	assert_int_equal(config_check(&cfg, &err), -1);
	snprintf(expected, sizeof(expected),
		 "--proxy-only (proxy_only in %s:2) requires --proxy", path);
	assert_string_equal(err.text, expected);
	config_free(&cfg);
}

/* Nothing that isn't there is accepted for a run, and nothing that asks for no more than what
 * is there is refused. */
static void test_available(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *names; /* NULL: it is there */
	} rows[] = {
		{ { "-c", "f", "-C", "both", "x" }, NULL },
		{ { "--root", "x" }, "--root is" },
		{ { "--network-backend", "rootful", "x" }, "--network-backend is" },
		{ { "--summary", "x" }, NULL },
		{ { "--summary-format=json", "x" }, NULL },
		{ { "--doctor" }, "--doctor is" },
		{ { "--doctor-format=json", "x" }, "--doctor-format is" },
		{ { "--report", "f" }, NULL },
		{ { "--report-format=json", "x" }, NULL },
		{ { "--diff", "a", "b" }, NULL },
		{ { "--iface=eth0", "x" }, "--iface is" },
		{ { "x" }, NULL },
		{ { "--dns=::1", "--hosts-file=f", "--mtu=1400", "--as-root", "x" },
		  NULL },
		{ { "--offline", "--audit", "--allow-dns", "--allow-quic", "x" }, NULL },
		{ { "--flow-log", "f", "x" }, NULL },
		{ { "-p", "https://a:1", "-U", "u", "-P", "w", "x" }, NULL },
		{ { "-p", "https://a:1", "--proxy-only", "--proxy-insecure", "x" },
		  NULL },
		{ { "--connect-timeout=1", "--keep-proxy-env", "x" }, NULL },
		{ { "--drain-timeout=1", "-v", "--log-level=info", "x" }, NULL },
		{ { "--default-policy=allow", "-C", "child", "--no-offline", "x" },
		  NULL },
		{ { "--network-backend=rootless-internal", "--summary-format=text", "x" },
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;
		struct error err = { 0 };
		int ret;

		assert_int_equal(settings_of(&cfg, rows[i].words, &err), 0);
		ret = config_check_available(&cfg, &err);
		assert_int_equal(ret, rows[i].names ? -1 : 0);
		if (ret && (!strstr(err.text, rows[i].names) ||
			    !strstr(err.text, " is not available in this build")))
			fail_msg("row %zu: %s", i, err.text);
		config_free(&cfg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test_setup_teardown(test_place, settings_make_dir,
						settings_remove_dir),
		cmocka_unit_test(test_available),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
