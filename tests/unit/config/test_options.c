#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/help.h"
#include "config/options.h"
#include "config/value.h"

/* The options of the program that users come from, and of its profiles. */
static const struct {
	const char *name;
	char letter;
	const char *key;
	bool takes_value;
} known[] = {
	{ "profile", 0, NULL, true },
	{ "dump-profile", 0, NULL, false },
	{ "capture", 'c', "capture", true },
	{ "capture-point", 'C', "capture_point", true },
	{ "root", 0, NULL, false },
	{ "doctor", 0, NULL, false },
	{ "doctor-format", 0, "doctor_format", true },
	{ "report", 0, NULL, true },
	{ "report-format", 0, "report_format", true },
	{ "network-backend", 0, "backend", true },
	{ "dns", 'd', "dns", true },
	{ "hosts-file", 0, "hosts_file", true },
	{ "proxy", 'p', "proxy", true },
	{ "proxy-user", 'U', "proxy_user", true },
	{ "proxy-password", 'P', "proxy_password", true },
	{ "proxy-insecure", 0, "proxy_insecure", false },
	{ "summary", 0, "summary", false },
	{ "summary-format", 0, "summary_format", true },
	{ "flow-log", 0, "flow_log", true },
	{ "offline", 0, "offline", false },
	{ "block-private", 0, "block_private", false },
	{ "block-metadata", 0, "block_metadata", false },
	{ "default-policy", 0, "default_policy", true },
	{ "allow-cidr", 0, "allow_cidrs", true },
	{ "deny-cidr", 0, "deny_cidrs", true },
	{ "allow-domain", 0, "allow_domains", true },
	{ "allow-domain-exact", 0, "allow_domains_exact", true },
	{ "deny-domain", 0, "deny_domains", true },
	{ "deny-domain-exact", 0, "deny_domains_exact", true },
	{ "proxy-only", 0, "proxy_only", false },
	{ "fail-on-leak", 0, "fail_on_leak", false },
	{ "iface", 'i', "iface", true },
	{ "help", 'h', NULL, false },
	{ "version", 'V', NULL, false },
};

static void test_known_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct option *o = option_by_name(known[i].name,
							strlen(known[i].name));

		if (!o)
			fail_msg("no --%s", known[i].name);
		assert_int_equal(o->letter, known[i].letter);
		assert_int_equal(!option_is_flag(o), known[i].takes_value);
		if (!known[i].key)
			assert_null(o->key);
		else
			assert_ptr_equal(option_by_key(known[i].key), o);
		if (o->letter)
			assert_ptr_equal(option_by_letter(o->letter), o);
	}
	assert_non_null(option_by_key("extends"));
	assert_non_null(option_by_key("command"));
	assert_null(option_by_key("profile"));
	assert_null(option_by_letter(0));
	assert_null(option_by_name("dn", 2));
}

/* Names, keys and letters are unique, fields don't overlap, and rows are complete. */
static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);

		assert_true(o->name || o->key);
		assert_int_equal(option_id(o), i);
		if (o->name) {
			assert_ptr_equal(option_by_name(o->name, strlen(o->name)), o);
			assert_non_null(o->help);
			assert_int_equal(option_is_flag(o), o->value == NULL);
		}
		assert_int_equal(o->type == TYPE_CHOICE, o->choices != NULL);
		/* A setting that only the command line can give would be lost in a dump. */
		if (o->name && !o->key)
			assert_true(o->instead || o->group == GROUP_PROFILES ||
				    i == OPTION_ROOT || i == OPTION_QUIET ||
				    i == OPTION_VERBOSE);
		for (size_t k = 0; k < i; k++) {
			const struct option *other = option_get(k);

			assert_int_not_equal(o->offset, other->offset);
			assert_false(o->key && other->key && !strcmp(o->key, other->key));
			assert_false(o->letter && o->letter == other->letter);
		}
	}
}

/* Values that a choice's names stand for are those of the enums. */
static void test_choices(void **state)
{
	static const struct {
		enum option_id id;
		const char *name;
		unsigned value;
	} rows[] = {
		{ OPTION_CAPTURE_POINT, "child", CAPTURE_CHILD },
		{ OPTION_CAPTURE_POINT, "egress", CAPTURE_EGRESS },
		{ OPTION_CAPTURE_POINT, "wire-egress", CAPTURE_WIRE_EGRESS },
		{ OPTION_CAPTURE_POINT, "both", CAPTURE_BOTH },
		{ OPTION_BACKEND, "rootless-internal", BACKEND_ROOTLESS },
		{ OPTION_BACKEND, "rootful", BACKEND_ROOTFUL },
		{ OPTION_DOCTOR_FORMAT, "text", FORMAT_TEXT },
		{ OPTION_DOCTOR_FORMAT, "json", FORMAT_JSON },
		{ OPTION_SUMMARY_FORMAT, "json", FORMAT_JSON },
		{ OPTION_REPORT_FORMAT, "json", FORMAT_JSON },
		{ OPTION_REPORT_FORMAT, "markdown", FORMAT_MARKDOWN },
		{ OPTION_DEFAULT_POLICY, "allow", POLICY_ALLOW },
		{ OPTION_DEFAULT_POLICY, "deny", POLICY_DENY },
		{ OPTION_LOG_LEVEL, "quiet", LOG_LEVEL_QUIET },
		{ OPTION_LOG_LEVEL, "debug", LOG_LEVEL_DEBUG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct option *o = option_get(rows[i].id);
		struct config cfg = { 0 };
		struct error err;

		assert_int_equal(value_parse(o, &cfg, rows[i].name, NULL, &err), 0);
		assert_int_equal(*(const unsigned *)option_value(o, &cfg), rows[i].value);
	}
}

static char *help_text(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	help_write(out);
	fclose(out);
	return text;
}

/* Every row but the hidden is in the help, with its letter, its value and its mark. */
static void test_help(void **state)
{
	static const char *const parts[] = { "Usage: childflow",
					     "Examples:", "childflow -- curl",
					     "Exit status:", "--no-" };
	cleanup_free char *text = help_text();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!strstr(text, parts[i]))
			fail_msg("no '%s' in the help", parts[i]);
	}
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		char head[128], letter[] = { '-', o->letter, ',', ' ', '\0' };

		snprintf(head, sizeof(head), "\n  %s--%s%s%s ",
			 o->letter ? letter : "    ", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		if (!strstr(text, head) != o->hidden)
			fail_msg("--%s in the help: %s", o->name, head);
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_options),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
