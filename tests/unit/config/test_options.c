#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/options.h"

#define WORDS_MAX 8

struct parsed {
	struct config cfg;
	struct error err;
	int ret;
};

/* The words behind the program's name, NULL at the end; cfg.command points to them. */
static struct parsed parse(const char *const *words)
{
	static char *argv[WORDS_MAX + 2];
	struct parsed p;
	int argc = 1;

	argv[0] = (char *)"childflow";
	while (words[argc - 1]) {
		argv[argc] = (char *)words[argc - 1];
		argc++;
	}
	argv[argc] = NULL;
	options_defaults(&p.cfg);
	p.ret = options_parse(&p.cfg, argc, argv, &p.err);
	return p;
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	struct parsed p = PARSE("ls");

	(void)state;
	assert_int_equal(p.ret, 0);
	assert_false(p.cfg.dns_set);
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
		assert_ptr_equal(p.cfg.command[0], rows[i].words[rows[i].command]);
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
		assert_true(p.cfg.dns_set);
		assert_string_equal(addr_format(&p.cfg.dns, text), rows[i].address);
		assert_string_equal(p.cfg.command[0], "x");
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
		{ { NULL }, "no command", "-- COMMAND" },
		{ { "-q" }, "no command", "--help" },
		{ { "--" }, "no command", "--help" },
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

static void test_help(void **state)
{
	static const char *const parts[] = {
		"Usage: childflow", "-d, --dns ADDR",  "--hosts-file FILE",
		"--mtu BYTES",	    "--drain-timeout", "--log-level LEVEL",
		"-q, --quiet",	    "-v, --verbose",   "-h, --help",
		"-V, --version",    "Examples:",       "childflow -- curl",
	};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	options_help(out);
	fclose(out);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!strstr(text, parts[i]))
			fail_msg("no '%s' in the help", parts[i]);
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 100);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_command_begins),
		cmocka_unit_test(test_address_forms),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_information_ends_parsing),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
