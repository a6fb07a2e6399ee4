#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/check.h"
#include "config/cmdline.h"
#include "config/load.h"
#include "config/options.h"

#define WORDS_MAX 8

struct parsed {
	struct config cfg;
	struct error err;
	int ret;
};

/* Every configuration of a test, freed at its end. */
static struct config made[64];
static size_t made_count;

/* An argv that may be written to, as the kernel's. */
static char *argv[WORDS_MAX + 2];

static int make_argv(const char *const *words)
{
	int argc = 1;

	for (size_t i = 0; i < ARRAY_SIZE(argv); i++)
		free(argv[i]);
	memset(argv, 0, sizeof(argv));
	argv[0] = strdup("childflow");
	for (; words[argc - 1]; argc++)
		argv[argc] = strdup(words[argc - 1]);
	return argc;
}

/* The words behind the program's name, NULL at the end, as a run would understand them. */
static struct parsed parse(const char *const *words)
{
	struct parsed p = { .ret = -1 };
	int argc = make_argv(words);

	if (cmdline_parse(&p.cfg, argc, argv, &p.err) == 0 &&
	    (p.cfg.show_help || p.cfg.show_version ||
	     (config_load(&p.cfg, &p.err) == 0 && config_check(&p.cfg, &p.err) == 0)))
		p.ret = 0;
	assert_true(made_count < ARRAY_SIZE(made));
	made[made_count++] = p.cfg;
	return p;
}

static int free_made(void **state)
{
	(void)state;
	while (made_count)
		config_free(&made[--made_count]);
	make_argv((const char *const[]){ NULL });
	free(argv[0]);
	argv[0] = NULL;
	return 0;
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	struct parsed p = PARSE("ls");

	(void)state;
	assert_int_equal(p.ret, 0);
	assert_false(p.cfg.dns.set);
	assert_null(p.cfg.hosts_file);
	assert_int_equal(p.cfg.drain_timeout_ms, 30000);
	assert_int_equal(p.cfg.log_level, LOG_LEVEL_WARN);
	assert_false(p.cfg.show_help);
	assert_false(p.cfg.show_version);
}

/* Where the command begins, by its index in the words. */
static void test_command_begins(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		int command;
	} rows[] = {
		{ { "ls", "-l" }, 0 },
		{ { "--", "ls", "-l" }, 1 },
		{ { "-q", "ls", "-q", "--dns" }, 1 },
		{ { "--dns", "1.2.3.4", "ls", "--", "x" }, 2 },
		{ { "--", "--dns" }, 1 },
		{ { "--", "--", "x" }, 1 },
		{ { "-" }, 0 },
		{ { "", "x" }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parsed p = parse(rows[i].words);

		assert_int_equal(p.ret, 0);
		for (size_t k = 0; k == 0 || p.cfg.command.list[k - 1]; k++) {
			const char *word = rows[i].words[rows[i].command + k];

			if (!word)
				assert_null(p.cfg.command.list[k]);
			else
				assert_string_equal(p.cfg.command.list[k], word);
		}
	}
}

static void test_address_forms(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *address;
	} rows[] = {
		{ { "--dns", "9.9.9.9", "x" }, "9.9.9.9" },
		{ { "--dns=9.9.9.9", "x" }, "9.9.9.9" },
		{ { "-d", "9.9.9.9", "x" }, "9.9.9.9" },
		{ { "-d9.9.9.9", "x" }, "9.9.9.9" },
		{ { "-d=9.9.9.9", "x" }, "9.9.9.9" },
		{ { "-qd", "::1", "x" }, "::1" },
		{ { "-vvd=2001:db8::1", "x" }, "2001:db8::1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parsed p = parse(rows[i].words);
		char text[ADDR_TEXT_MAX];

		assert_int_equal(p.ret, 0);
		assert_true(p.cfg.dns.set);
		assert_string_equal(addr_format(&p.cfg.dns.addr, text), rows[i].address);
		assert_string_equal(p.cfg.command.list[0], "x");
	}
}

static void test_seconds(void **state)
{
	static const struct {
		const char *text;
		int ms; /* -1: refused */
	} rows[] = {
		{ "0", 0 },	     { "30", 30000 },	{ "0.5", 500 },
		{ ".25", 250 },	     { "1.", 1000 },	{ "2.3456", 2345 },
		{ "0.001", 1 },	     { "0.0009", 0 },	{ "1000000", 1000000000 },
		{ "1000000.1", -1 }, { "1000001", -1 }, { "99999999999999999999", -1 },
		{ ".", -1 },	     { "1e3", -1 },	{ "1,5", -1 },
		{ "-1", -1 },	     { "+1", -1 },	{ " 1", -1 },
		{ "1s", -1 },	     { "1.2.3", -1 },	{ "0x10", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char word[64];
		struct parsed p;

		snprintf(word, sizeof(word), "--drain-timeout=%s", rows[i].text);
		p = PARSE(word, "x");
		assert_int_equal(p.ret, rows[i].ms < 0 ? -1 : 0);
		if (rows[i].ms >= 0)
			assert_int_equal(p.cfg.drain_timeout_ms, rows[i].ms);
	}
}

static void test_rotate(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		unsigned seconds, count; /* all 0: refused */
	} rows[] = {
		{ "64K", 65536, 0, 0 },
		{ "100M", UINT64_C(104857600), 0, 0 },
		{ "99999G:99999", UINT64_C(107373108658176), 0, 99999 },
		{ "1s", 0, 1, 0 },
		{ "10min:3", 0, 600, 3 },
		{ "24h", 0, 86400, 0 },
		{ "63K", 0, 0, 0 },
		{ "0M", 0, 0, 0 },
		{ "", 0, 0, 0 },
		{ "M", 0, 0, 0 },
		{ "10", 0, 0, 0 },
		{ "10m", 0, 0, 0 },
		{ "10MB", 0, 0, 0 },
		{ "10M:", 0, 0, 0 },
		{ "10M:0", 0, 0, 0 },
		{ "10M:1x", 0, 0, 0 },
		{ "-1M", 0, 0, 0 },
		{ "100000M", 0, 0, 0 },
		{ "18446744073709551617M", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char word[64];
		struct parsed p;

		snprintf(word, sizeof(word), "--capture-rotate=%s", rows[i].text);
		p = PARSE(word, "-c", "f", "x");
		assert_int_equal(p.ret, rows[i].bytes || rows[i].seconds ? 0 : -1);
		if (p.ret < 0)
			continue;
		assert_int_equal(p.cfg.capture_rotate.bytes, rows[i].bytes);
		assert_int_equal(p.cfg.capture_rotate.seconds, rows[i].seconds);
		assert_int_equal(p.cfg.capture_rotate.count, rows[i].count);
	}
	assert_int_equal(PARSE("--snaplen=0", "-c", "f", "x").ret, -1);
	assert_int_equal(PARSE("--snaplen=262145", "-c", "f", "x").ret, -1);
	assert_int_equal(PARSE("--snaplen=262144", "-c", "f", "x").cfg.snaplen, 262144);
}

static void test_mtu(void **state)
{
	static const struct {
		const char *text;
		int mtu; /* -1: refused */
	} rows[] = {
		{ "1280", 1280 },  { "1500", 1500 },	 { "65520", 65520 },
		{ "01400", 1400 }, { "1279", -1 },	 { "65521", -1 },
		{ "", -1 },	   { "1500b", -1 },	 { "-1500", -1 },
		{ "1e4", -1 },	   { "4294968796", -1 },
	};

	(void)state;
	assert_int_equal(PARSE("x").cfg.mtu, 1500);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char word[64];
		struct parsed p;

		snprintf(word, sizeof(word), "--mtu=%s", rows[i].text);
		p = PARSE(word, "x");
		assert_int_equal(p.ret, rows[i].mtu < 0 ? -1 : 0);
		if (rows[i].mtu >= 0)
			assert_int_equal(p.cfg.mtu, rows[i].mtu);
	}
}

static void test_levels(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		enum log_level level;
	} rows[] = {
		{ { "--log-level", "quiet", "x" }, LOG_LEVEL_QUIET },
		{ { "--log-level=error", "x" }, LOG_LEVEL_ERROR },
		{ { "--log-level=warn", "x" }, LOG_LEVEL_WARN },
		{ { "--log-level=info", "x" }, LOG_LEVEL_INFO },
		{ { "--log-level=debug", "x" }, LOG_LEVEL_DEBUG },
		{ { "-q", "x" }, LOG_LEVEL_QUIET },
		{ { "--quiet", "x" }, LOG_LEVEL_QUIET },
		{ { "-v", "x" }, LOG_LEVEL_INFO },
		{ { "-v", "--verbose", "x" }, LOG_LEVEL_DEBUG },
		{ { "-vvvv", "x" }, LOG_LEVEL_DEBUG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parsed p = parse(rows[i].words);

		assert_int_equal(p.ret, 0);
		assert_int_equal(p.cfg.log_level, rows[i].level);
	}
}

static void test_information_ends_parsing(void **state)
{
	struct parsed help = PARSE("-h", "--no-such-option");
	struct parsed version = PARSE("-qV");
	struct parsed late = PARSE("x", "--help");

	(void)state;
	assert_int_equal(help.ret, 0);
	assert_true(help.cfg.show_help);
	assert_int_equal(version.ret, 0);
	assert_true(version.cfg.show_version);
	assert_false(late.cfg.show_help);
}

static void test_errors(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *text, *cure; /* parts of them */
	} rows[] = {
		{ { NULL }, "missing command", "-- COMMAND" },
		{ { "-q" }, "missing command", "--help" },
		{ { "--" }, "missing command", "--help" },
		{ { "--dsn", "x" }, "no option --dsn", "mean --dns?" },
		{ { "--host-file=x", "x" },
		  "no option --host-file",
		  "mean --hosts-file?" },
		{ { "--drain", "3", "x" }, "no option --drain", "mean --drain-timeout?" },
		{ { "--Dns", "x" }, "no option --Dns", "mean --dns?" },
		{ { "--color", "x" }, "no option --color", "-- COMMAND --color" },
		{ { "-x", "ls" }, "no option -x", "--help" },
		{ { "-qx", "ls" }, "no option -x", "--help" },
		{ { "--dns" }, "--dns needs a value", "--dns ADDR" },
		{ { "--dns", "--quiet", "x" }, "--dns needs a value", "IPv4 or IPv6" },
		{ { "--dns", "--", "x" }, "--dns needs a value", "--dns ADDR" },
		{ { "-d" }, "--dns needs a value", "--dns ADDR" },
		{ { "--dns=", "x" }, "--dns: ''", "--dns ADDR" },
		{ { "--dns", "dns.example", "x" },
		  "'dns.example' is not an IPv4",
		  "--dns" },
		{ { "--dns=1.2.3.4:53", "x" }, "'1.2.3.4:53'", "--dns ADDR" },
		{ { "--dns=fe80::1%eth0", "x" }, "without port or scope", "--dns ADDR" },
		{ { "--hosts-file=", "x" }, "--hosts-file: ''", "FILE" },
		{ { "--log-level", "loud", "x" }, "'loud' is not one of quiet", "LEVEL" },
		{ { "--mtu", "900", "x" },
		  "'900' is not a number of bytes",
		  "--mtu BYTES" },
		{ { "--quiet=yes", "x" }, "--quiet takes no value, but has 'yes'", "out" },
		{ { "-q=yes", "x" }, "--quiet takes no value", "out" },
		{ { "--dns=::1", "-d", "::2", "x" }, "--dns is given twice", "Leave" },
		{ { "-qq", "x" }, "--quiet is given twice", "Leave" },
		{ { "--offline", "--no-offline", "x" },
		  "--offline is given twice",
		  "out" },
		{ { "--no-offlin", "x" }, "no option --no-offlin", "mean --no-offline?" },
		{ { "--no-dns", "x" }, "no option --no-dns", "mean --dns?" },
		{ { "--default-policy=alow", "x" },
		  "'alow' is not one of allow, deny",
		  "mean --default-policy allow?" },
		{ { "--report", "a", "--", "x" }, "--report runs no command", "Leave" },
		{ { "--doctor", "x" }, "--doctor runs no command", "Leave" },
		{ { "--report" }, "--report needs a value", "name of a file" },
		{ { "--report", "a", "" }, "--report: '' is not the name", "FILE" },
		{ { "--diff", "a" }, "--diff takes two files", "two" },
		{ { "--diff", "a", "b", "c" }, "--diff takes two files", "two" },
		{ { "--report", "a", "--doctor" }, "--report and --doctor", "Leave" },
		{ { "--iface=a/b", "x" }, "'a/b' is not the name of a network", "NAME" },
		{ { "--iface=abcdefghijklmnop", "x" },
		  "is not the name of a network",
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parsed p = parse(rows[i].words);

		assert_int_equal(p.ret, -1);
		if (!strstr(p.err.text, rows[i].text) ||
		    !strstr(p.err.cure, rows[i].cure))
			fail_msg("row %zu: '%s' '%s'", i, p.err.text, p.err.cure);
	}
}

/* Each value in three spellings, and the field that it fills. */
static void test_lists(void **state)
{
	struct parsed p = PARSE("--allow-cidr", "10.0.0.0/8,192.0.2.1:80,443",
				"--allow-cidr=::1", "--deny-domain=a.example", "x");

	(void)state;
	assert_int_equal(p.ret, 0);
	assert_int_equal(p.cfg.allow_cidrs.count, 3);
	assert_string_equal(p.cfg.allow_cidrs.rules[1].text, "192.0.2.1/32:80,443");
	assert_int_equal(p.cfg.deny_domains.count, 1);
	p = PARSE("-p", "http://a.example:1", "--proxy", "socks5://[::1]:2", "x");
	assert_int_equal(p.cfg.proxies.count, 2);
	assert_int_equal(p.cfg.proxies.proxies[1].port, 2);
}

static void test_negation(void **state)
{
	struct parsed p = PARSE("--no-as-root", "x");

	(void)state;
	assert_int_equal(p.ret, 0);
	assert_false(p.cfg.as_root);
	assert_int_equal(p.cfg.from[OPTION_AS_ROOT].kind, ORIGIN_COMMAND_LINE);
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		char word[64];

		snprintf(word, sizeof(word), "--no-%s", o->name);
		p = PARSE(word, "x");
		assert_int_equal(p.ret, option_is_negatable(o) ? 0 : -1);
		config_free(&made[--made_count]);
	}
}

/* A verb that reads files takes all words up to the end. */
static void test_files(void **state)
{
	struct parsed p = PARSE("--report", "a", "b", "--report-format=json", "-");

	(void)state;
	assert_int_equal(p.ret, 0);
	assert_string_equal(p.cfg.report.list[0], "a");
	assert_string_equal(p.cfg.report.list[1], "b");
	assert_string_equal(p.cfg.report.list[2], "-");
	assert_null(p.cfg.report.list[3]);
	assert_null(p.cfg.command.list);
	assert_int_equal(p.cfg.report_format, FORMAT_JSON);
	assert_int_equal(PARSE("--diff", "a", "b").ret, 0);
	assert_int_equal(PARSE("--report=a", "--").ret, 0);
}

static void test_passwords_are_wiped(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		int word;
		const char *left;
	} rows[] = {
		{ { "-Pgeheim", "-Ua", "-phttp://b:1", "x" }, 1, "-P******" },
		{ { "-P", "geheim", "-Ua", "-phttp://b:1", "x" }, 2, "******" },
		{ { "--proxy-password=geheim", "-Ua", "-phttp://b:1", "x" },
		  1,
		  "--proxy-password=******" },
		{ { "-p", "http://a:geheim@b:1", "x" }, 2, "http://a:******@b:1" },
		{ { "-phttp://a:geheim@b:1", "x" }, 1, "-phttp://a:******@b:1" },
		{ { "-p", "http://b:1", "x" }, 2, "http://b:1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct parsed p = parse(rows[i].words);

		assert_int_equal(p.ret, 0);
		assert_string_equal(argv[rows[i].word], rows[i].left);
		if (p.cfg.proxy_password)
			assert_string_equal(p.cfg.proxy_password, "geheim");
		if (p.cfg.proxies.proxies[0].password)
			assert_string_equal(p.cfg.proxies.proxies[0].password, "geheim");
	}
}

/* No sentence about a proxy shows the password that stands in its URL. */
static void test_passwords_are_not_told(void **state)
{
	static const char *const urls[] = {
		"http://a:geheim@b:1/path", "ftp://a:geheim@b:1",
		"http://a:geheim@:1",	    "a:geheim@b:1",
		"http://a:x@geheim@b:1",    "http://a:geheim@b:x",
		"http:a:geheim@b:1",	    "http://a:geheim%zz@b.example",
		"http://:geheim@b:1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct parsed p = PARSE("--proxy", urls[i], "x");

		assert_int_equal(p.ret, -1);
		assert_null(strstr(p.err.text, "geheim"));
		assert_non_null(strstr(p.err.text, "--proxy: '"));
	}
}

static void test_runs_nothing(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		bool nothing;
	} rows[] = {
		{ { "x" }, false },
		{ { "x", "--doctor" }, false },
		{ { "--", "--doctor" }, false },
		{ { "--doctor" }, true },
		{ { "--bogus", "--doctor" }, true },
		{ { "--dns", "--doctor" }, true },
		{ { "--dns", "bogus", "--report" }, true },
		{ { "--dns=bogus", "--report=x" }, true },
		{ { "-d", "bogus", "--diff" }, true },
		{ { "-qd", "bogus", "--dump-profile" }, true },
		{ { "-dh", "x" }, false },
		{ { "-qh" }, true },
		{ { "-xh" }, false },
		{ { "--list-profiles" }, true },
		{ { "--no-summary", "--version" }, true },
		{ { NULL }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (cmdline_runs_nothing(make_argv(rows[i].words), argv) !=
		    rows[i].nothing)
			fail_msg("row %zu", i);
	}
}

#define CASE(name) cmocka_unit_test_teardown(name, free_made)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_defaults),
		CASE(test_command_begins),
		CASE(test_address_forms),
		CASE(test_rotate),
		CASE(test_seconds),
		CASE(test_mtu),
		CASE(test_levels),
		CASE(test_information_ends_parsing),
		CASE(test_errors),
		CASE(test_lists),
		CASE(test_negation),
		CASE(test_files),
		CASE(test_passwords_are_wiped),
		CASE(test_passwords_are_not_told),
		CASE(test_runs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
