#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/util.h"
#include "config/options.h"
#include "config/search.h"
#include "tests/unit/config/settings.h"

/* Writes a profile, reads it. */
static int load(struct config *cfg, const char *text, struct error *err)
{
	return SETTINGS(cfg, err, "--profile", settings_write("p.toml", text), "x");
}

static void test_every_key(void **state)
{
	static const char text[] =
		"capture = 'c.pcapng'\ncapture_point = 'wire-egress'\nbackend = "
		"'rootful'\n"
		"dns = '::1'\nhosts_file = '../hosts'\nproxy = ['http://a:1', "
		"'socks5://b']\n"
		"proxy_user = 'u'\nproxy_password = 'w'\nproxy_insecure = true\nsummary "
		"= true\nproxy_dns = 'local'\nproxy_dns_range = ['fd00::/64']\n"
		"proxy_udp = 'direct'\nroutes = ['a.example=http://a:1', "
		"'::1=block']\nno_proxy = ['b.example', '10.0.0.0/8:80']\n"
		"doctor_format = 'json'\nreport_format = 'markdown'\nsummary_format = "
		"'json'\n"
		"flow_log = '/tmp/./f'\noffline = true\nblock_private = true\n"
		"block_metadata = true\ndefault_policy = 'deny'\n"
		"allow_cidrs = ['10.0.0.0/8:1,2', '::1,::2']\ndeny_cidrs = "
		"['192.0.2.1']\n"
		"allow_domains_exact = ['A.example']\nallow_domains = ['b.example']\n"
		"deny_domains_exact = ['c.example']\ndeny_domains = ['*.d.example']\n"
		"proxy_only = true\nfail_on_leak = true\naudit = true\n"
		"allow_dns = true\nallow_quic = true\niface = 'eth0'\nmtu = 1400\n"
		"capture_segments = 'raw'\ncapture_filter = 'tcp'\nsnaplen = 96\n"
		"capture_rotate = '10min:3'\ncapture_keys = true\n"
		"capture_process_blocks = true\n"
		"drain_timeout = '0.5'\nas_root = true\nlog_level = 'info'\n"
		"connect_timeout = 2\nkeep_proxy_env = true\n"
		"proxy_password_file = '-'\ncommand = ['sh', '-c', 'a ; b']\n";
	const char *path = settings_write("p.toml", text);
	struct config cfg;
	struct error err;

	(void)state;
	if (SETTINGS(&cfg, &err, "--profile", path))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);

		if (o->key && i != OPTION_EXTENDS)
			assert_int_equal(cfg.from[i].kind, ORIGIN_PROFILE);
	}
	assert_string_equal(cfg.capture, settings_path("c.pcapng"));
	assert_int_equal(cfg.capture_point, CAPTURE_WIRE_EGRESS);
	assert_int_equal(cfg.capture_segments, SEGMENTS_RAW);
	assert_int_equal(cfg.snaplen, 96);
	assert_int_equal(cfg.capture_rotate.seconds, 600);
	assert_int_equal(cfg.capture_rotate.count, 3);
	assert_int_equal(cfg.backend, BACKEND_ROOTFUL);
	assert_true(cfg.dns.set);
	assert_string_equal(cfg.hosts_file, "/tmp/hosts");
	assert_int_equal(cfg.proxies.count, 2);
	assert_int_equal(cfg.proxies.proxies[1].scheme, PROXY_SOCKS5);
	assert_string_equal(cfg.proxy_user, "u");
	assert_string_equal(cfg.proxy_password, "w");
	assert_string_equal(cfg.proxy_password_file, "-");
	assert_true(cfg.proxy_insecure && cfg.summary && cfg.offline &&
		    cfg.block_private);
	assert_true(cfg.block_metadata && cfg.proxy_only && cfg.fail_on_leak &&
		    cfg.audit && cfg.allow_dns && cfg.allow_quic && cfg.as_root);
	assert_int_equal(cfg.doctor_format, FORMAT_JSON);
	assert_int_equal(cfg.report_format, FORMAT_MARKDOWN);
	assert_int_equal(cfg.summary_format, FORMAT_JSON);
	assert_string_equal(cfg.flow_log, "/tmp/./f");
	assert_int_equal(cfg.default_policy, POLICY_DENY);
	assert_int_equal(cfg.allow_cidrs.count, 3);
	assert_int_equal(cfg.allow_cidrs.rules[0].port_count, 2);
	assert_int_equal(cfg.deny_cidrs.count, 1);
	assert_string_equal(cfg.allow_domains_exact.rules[0].domain, "a.example");
	assert_int_equal(cfg.allow_domains_exact.rules[0].kind, RULE_EXACT);
	assert_int_equal(cfg.allow_domains.rules[0].kind, RULE_DOMAIN);
	assert_string_equal(cfg.deny_domains_exact.rules[0].domain, "c.example");
	assert_int_equal(cfg.deny_domains.rules[0].kind, RULE_SUBDOMAINS);
	assert_string_equal(cfg.iface, "eth0");
	assert_int_equal(cfg.mtu, 1400);
	assert_int_equal(cfg.drain_timeout_ms, 500);
	assert_int_equal(cfg.connect_timeout_ms, 2000);
	assert_true(cfg.keep_proxy_env);
	assert_int_equal(cfg.log_level, LOG_LEVEL_INFO);
	assert_string_equal(cfg.command.list[2], "a ; b");
	assert_null(cfg.command.list[3]);
	assert_int_equal(cfg.proxy_dns, PROXY_DNS_LOCAL);
	assert_int_equal(cfg.proxy_dns_range.count, 1);
	assert_int_equal(cfg.proxy_udp, PROXY_UDP_DIRECT);
	assert_int_equal(cfg.routes.rules.count, 2);
	assert_int_equal(cfg.routes.own.count, 1);
	assert_int_equal(cfg.no_proxy.rules[1].kind, RULE_CIDR);
	assert_int_equal(cfg.from[OPTION_MTU].line, 36);
	config_free(&cfg);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *says, *cure;
	} rows[] = {
		{ "x = 1\noffine = true\n", "p.toml:1:1: unknown field `x`",
		  "Leave it out" },
		{ "\noffine = true\n", "p.toml:2:1: unknown field `offine`",
		  "mean offline?" },
		{ "allow_cidr = []\n", "unknown field `allow_cidr`",
		  "mean allow_cidrs?" },
		{ "root = true\n", "unknown field `root`", "" },
		{ "profile = 'x'\n", "unknown field `profile`", "" },
		{ "offline = 'yes'\n",
		  "p.toml:1:1: offline must be true or false, not a string", "" },
		{ "offline = 1\n", "offline must be true or false, not an integer", "" },
		{ "dns = true\n", "dns must be a string, not true or false", "" },
		{ "dns = ['::1']\n", "dns must be a string, not an array", "" },
		{ "mtu = '1500'\n", "mtu must be an integer, not a string", "" },
		{ "mtu = 100\n", "mtu: '100' is not a number of bytes", "" },
		{ "mtu = -1500\n", "mtu: '-1500' is not", "" },
		{ "drain_timeout = [1]\n", "drain_timeout must be a string or an integer",
		  "" },
		{ "proxy = 1\n", "proxy must be a string or an array of strings", "" },
		{ "deny_cidrs = '::1'\n",
		  "deny_cidrs must be an array of strings, not a str", "" },
		{ "deny_cidrs = [1]\n",
		  "deny_cidrs must be an array of strings, not of integ", "" },
		{ "command = [true]\n",
		  "command must be an array of strings, not of bool", "" },
		{ "deny_cidrs = [\n '::1',\n '::g',\n]\n",
		  "p.toml:1:1: line 3, column 2: deny_cidrs: '::g' is neither", "" },
		{ "default_policy = 'Deny'\n",
		  "default_policy: 'Deny' is not one of allow, deny", "mean \"deny\"?" },
		{ "dns = '1.1.1.1:53'\n", "dns: '1.1.1.1:53' is not an IPv4", "" },
		{ "proxy_password = ''\n", "proxy_password: '***' is not", "" },
		{ "proxy = 'http://u:geheim@a:1/x'\n",
		  "proxy: 'http://u:***@a:1/x' is not", "" },
		{ "extends = 'no-such'\n", "/p.toml extends /tmp/childflow-test", "" },
		{ "extends = 1\n", "extends must be a string", "" },
		{ "capture = ''\n", "capture: '' is not the name of a file", "" },
		{ "allow_domains = ['a_b']\n", "allow_domains: 'a_b' is not a domain",
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;
		struct error err;

		if (load(&cfg, rows[i].text, &err) == 0)
			fail_msg("row %zu was taken", i);
		if (!strstr(err.text, rows[i].says) || !strstr(err.cure, rows[i].cure))
			fail_msg("row %zu: '%s' '%s'", i, err.text, err.cure);
		assert_null(strstr(err.text, "geheim"));
		assert_true(err.cure[0]);
		config_free(&cfg);
	}
}

static void test_no_profile(void **state)
{
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", "/no/such.toml", "x"), -1);
	assert_string_equal(err.text,
			    "--profile: open /no/such.toml: No such file or directory");
	config_free(&cfg);
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", settings_dir, "x"), -1);
	assert_non_null(strstr(err.text, "Is a directory"));
	config_free(&cfg);
}

/* --- layers --- */

static void test_extends(void **state)
{
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(mkdir(settings_path("sub"), 0755), 0);
	settings_write("sub/base.toml",
		       "flow_log = 'base.log'\noffline = true\n"
		       "block_private = true\nmtu = 1300\nlog_level = 'info'\n"
		       "allow_cidrs = ['10.0.0.0/8', '192.0.2.1']\n"
		       "deny_cidrs = ['::1']\ndns = '::1'\n");
	settings_write("middle.toml", "extends = './sub/base.toml'\nmtu = 1400\n"
				      "capture = 'mid.pcapng'\nblock_private = false\n");
	settings_write("child.toml",
		       "extends = \"middle.toml\"\nallow_cidrs = ['203.0.113.1']\n"
		       "deny_cidrs = []\nmtu = 1500\n");
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", settings_path("child.toml"),
				  "--no-offline", "--dns=::2", "x"),
			 0);
	assert_string_equal(cfg.flow_log, settings_path("sub/base.log"));
	assert_string_equal(cfg.capture, settings_path("mid.pcapng"));
	assert_false(cfg.offline);
	assert_int_equal(cfg.from[OPTION_OFFLINE].kind, ORIGIN_COMMAND_LINE);
	assert_false(cfg.block_private);
	assert_string_equal(cfg.from[OPTION_BLOCK_PRIVATE].file,
			    settings_path("middle.toml"));
	assert_int_equal(cfg.mtu, 1500);
	assert_string_equal(cfg.from[OPTION_MTU].file, settings_path("child.toml"));
	assert_int_equal(cfg.log_level, LOG_LEVEL_INFO);
	assert_string_equal(cfg.from[OPTION_LOG_LEVEL].file,
			    settings_path("sub/base.toml"));
	assert_int_equal(cfg.allow_cidrs.count, 1);
	assert_int_equal(cfg.deny_cidrs.count, 0);
	assert_int_equal(cfg.dns.addr.b[15], 2);
	assert_int_equal(cfg.drain_timeout_ms, 30000);
	assert_int_equal(cfg.from[OPTION_DRAIN_TIMEOUT].kind, ORIGIN_DEFAULT);
	assert_null(cfg.extends);
	config_free(&cfg);
}

static void test_command_line_replaces(void **state)
{
	const char *path = settings_write("p.toml",
					  "proxy = ['http://a:1', 'http://b:2']\n"
					  "deny_domains = ['a.example']\n"
					  "command = ['one', 'two']\n"
					  "log_level = 'error'\nsummary = true\n");
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", path, "-p", "http://c:3",
				  "--deny-domain=b.example", "--deny-domain=c.example",
				  "-v", "three"),
			 0);
	assert_int_equal(cfg.proxies.count, 1);
	assert_int_equal(cfg.proxies.proxies[0].port, 3);
	assert_int_equal(cfg.deny_domains.count, 2);
	assert_string_equal(cfg.deny_domains.rules[0].domain, "b.example");
	assert_string_equal(cfg.command.list[0], "three");
	assert_null(cfg.command.list[1]);
	assert_int_equal(cfg.log_level, LOG_LEVEL_WARN);
	assert_true(cfg.summary);
	config_free(&cfg);
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", path, "-q"), 0);
	assert_string_equal(cfg.command.list[1], "two");
	assert_int_equal(cfg.log_level, LOG_LEVEL_QUIET);
	assert_int_equal(cfg.proxies.count, 2);
	config_free(&cfg);
}

static void test_root_wins(void **state)
{
	const char *path = settings_write("p.toml", "backend = 'rootless-internal'\n");
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(SETTINGS(&cfg, &err, "--root", "--profile", path,
				  "--network-backend=rootless-internal", "x"),
			 0);
	assert_int_equal(cfg.backend, BACKEND_ROOTFUL);
	config_free(&cfg);
}

static void test_cycle(void **state)
{
	struct config cfg;
	struct error err;
	char chain[512];

	(void)state;
	settings_write("a.toml", "extends = 'b.toml'\n");
	settings_write("b.toml", "extends = './c.toml'\n");
	settings_write("c.toml", "extends = 'link.toml'\n");
	assert_int_equal(symlink("b.toml", settings_path("link.toml")), 0);
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", settings_path("a.toml"), "x"),
			 -1);
	snprintf(chain, sizeof(chain),
		 "profile inheritance cycle detected: %s -> %s -> %s",
		 settings_path("b.toml"), settings_path("c.toml"),
		 settings_path("b.toml"));
	assert_non_null(strstr(err.text, chain));
	config_free(&cfg);
	settings_write("a.toml", "extends = 'a.toml'\n");
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", settings_path("a.toml"), "x"),
			 -1);
	assert_non_null(strstr(err.text, "cycle"));
	config_free(&cfg);
}

/* A link to a profile: what it names counts from where the file is. */
static void test_links(void **state)
{
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(mkdir(settings_path("sub"), 0755), 0);
	settings_write("sub/p.toml", "capture = 'x'\n");
	assert_int_equal(symlink("sub/p.toml", settings_path("link.toml")), 0);
	assert_int_equal(
		SETTINGS(&cfg, &err, "--profile", settings_path("link.toml"), "x"), 0);
	assert_string_equal(cfg.capture, settings_path("sub/x"));
	config_free(&cfg);
}

static void test_rule_file(void **state)
{
	struct config cfg;
	struct error err;

	(void)state;
	settings_write("names", "a.example\nb.example:443\n");
	assert_int_equal(load(&cfg, "allow_domains = ['@names', 'c.example']\n", &err),
			 0);
	assert_int_equal(cfg.allow_domains.count, 3);
	assert_string_equal(cfg.allow_domains.rules[1].text, "b.example:443");
	config_free(&cfg);
}

/* --- secrets --- */

#define VARIABLE "CHILDFLOW_PROXY_PASSWORD"

static void test_environment(void **state)
{
	const char *profile = settings_write("p.toml", "proxy_password = 'low'\n");
	const char *file = settings_write("q.toml", "proxy_password_file = '/x'\n");
	struct config cfg;
	struct error err;
	char *where;

	(void)state;
	setenv(VARIABLE, "word", 1);
	where = getenv(VARIABLE);
	assert_int_equal(SETTINGS(&cfg, &err, "-p", "http://a:1", "-U", "u", "--profile",
				  profile, "x"),
			 0);
	assert_string_equal(cfg.proxy_password, "word");
	assert_int_equal(cfg.from[OPTION_PROXY_PASSWORD].kind, ORIGIN_ENVIRONMENT);
	/* It is gone, and nothing is left where it was. */
	assert_null(getenv(VARIABLE));
	assert_string_equal(where, "****");
	config_free(&cfg);

	setenv(VARIABLE, "word", 1);
	assert_int_equal(
		SETTINGS(&cfg, &err, "-p", "http://u@a:1", "--profile", file, "x"), 0);
	assert_string_equal(cfg.proxy_password, "word");
	assert_null(cfg.proxy_password_file);
	config_free(&cfg);

	setenv(VARIABLE, "word", 1);
	assert_int_equal(SETTINGS(&cfg, &err, "-p", "http://u@a:1", "-P", "high", "x"),
			 0);
	assert_string_equal(cfg.proxy_password, "high");
	assert_null(getenv(VARIABLE));
	config_free(&cfg);

	setenv(VARIABLE, "word", 1);
	assert_int_equal(SETTINGS(&cfg, &err, "-p", "http://u@a:1",
				  "--proxy-password-file=f", "x"),
			 0);
	assert_null(cfg.proxy_password);
	config_free(&cfg);

	/* Set for all runs, it disturbs none that has no use for it. */
	setenv(VARIABLE, "word", 1);
	assert_int_equal(SETTINGS(&cfg, &err, "x"), 0);
	assert_null(cfg.proxy_password);
	assert_null(getenv(VARIABLE));
	config_free(&cfg);
	setenv(VARIABLE, "", 1);
	assert_int_equal(SETTINGS(&cfg, &err, "-p", "http://a:1", "-U", "u", "x"), 0);
	assert_null(cfg.proxy_password);
	config_free(&cfg);
	unsetenv(VARIABLE);
}

static void test_password_file(void **state)
{
	static const struct {
		const char *text, *password;
	} rows[] = {
		{ "word\n", "word" },	{ "word", "word" }, { "word\r\nother\n", "word" },
		{ " a b \n", " a b " }, { "", NULL },	    { "\nword\n", NULL },
	};
	struct config cfg;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *path = settings_write("word", rows[i].text);

		assert_int_equal(SETTINGS(&cfg, &err, "--proxy-password-file", path, "x"),
				 0);
		assert_int_equal(config_load_secrets(&cfg, &err),
				 rows[i].password ? 0 : -1);
		if (rows[i].password)
			assert_string_equal(cfg.proxy_password, rows[i].password);
		config_free(&cfg);
	}
	assert_int_equal(SETTINGS(&cfg, &err, "--proxy-password-file", "/no/such", "x"),
			 0);
	assert_int_equal(config_load_secrets(&cfg, &err), -1);
	assert_non_null(strstr(err.text, "--proxy-password-file: open /no/such"));
	config_free(&cfg);
}

/* --- names --- */

static char *listed(void)
{
	char *text = NULL;
	struct error err;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(search_list(out, &err), 0);
	fclose(out);
	return text;
}

static void test_names(void **state)
{
	cleanup_free char *list = NULL;
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(system("mkdir -p \"$D/home/.config/childflow/profiles\" "
				"\"$D/xdg/childflow/profiles\""),
			 0);
	settings_write("home/.config/childflow/profiles/ours.toml", "mtu = 1301\n");
	settings_write("xdg/childflow/profiles/ours.toml", "mtu = 1302\n");
	settings_write("xdg/childflow/profiles/no.txt", "mtu = 1303\n");
	setenv("HOME", settings_path("home"), 1);
	unsetenv("XDG_CONFIG_HOME");
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", "ours", "x"), 0);
	assert_int_equal(cfg.mtu, 1301);
	config_free(&cfg);
	setenv("XDG_CONFIG_HOME", settings_path("xdg"), 1);
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", "ours", "x"), 0);
	assert_int_equal(cfg.mtu, 1302);
	config_free(&cfg);

	list = listed();
	assert_non_null(strstr(list, "ours "));
	assert_non_null(
		strstr(list, settings_path("xdg/childflow/profiles/ours.toml\n")));
	assert_null(strstr(list, "no.txt"));

	assert_int_equal(SETTINGS(&cfg, &err, "--profile", "ourz", "x"), -1);
	assert_non_null(strstr(err.text, "no profile 'ourz' in "));
	assert_non_null(strstr(err.text, settings_path("xdg/childflow/profiles")));
	assert_non_null(strstr(err.cure, "mean ours?"));
	config_free(&cfg);
	/* What has a dot or a slash is a file. */
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", "ours.toml", "x"), -1);
	assert_non_null(strstr(err.text, "open ours.toml"));
	config_free(&cfg);
}

static int make_home(void **state)
{
	int ret = settings_make_dir(state);

	setenv("D", settings_dir, 1);
	return ret;
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, settings_make_dir, settings_remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_every_key),
		CASE(test_refused),
		CASE(test_no_profile),
		CASE(test_extends),
		CASE(test_command_line_replaces),
		CASE(test_root_wins),
		CASE(test_cycle),
		CASE(test_links),
		CASE(test_rule_file),
		CASE(test_environment),
		CASE(test_password_file),
		cmocka_unit_test_setup_teardown(test_names, make_home,
						settings_remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
