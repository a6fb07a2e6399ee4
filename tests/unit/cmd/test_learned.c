#include "cmd/learned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/rule.h"
#include "config/toml.h"
#include "event/reader.h"

static char *learn(const char *lines, const struct learned_run *run)
{
	static const char *const command[] = { "make", "it", NULL };
	static const struct learned_run usual = { .command = command, .version = "1" };
	struct tally tally;
	struct reader *r;
	struct error err;
	char *text = NULL;
	size_t len;
	FILE *out;

	assert_int_equal(tally_init_with_talks(&tally), 0);
	r = reader_new(&tally, false);
	if (reader_lines(r, lines, strlen(lines), "log", &err))
		fail_msg("%s", err.text);
	tally_finish(&tally);
	out = open_memstream(&text, &len);
	if (learned_profile(&tally, run ? run : &usual, out, &err))
		fail_msg("%s", err.text);
	fclose(out);
	reader_free(r);
	tally_free(&tally);
	return text;
}

#define HEAD                                                       \
	"# Learned by childflow 1 from a run of: make it\n"        \
	"# It ended with exit status 0.\n"                         \
	"#\n# What it has reached is allowed, and nothing else:\n" \
	"default_policy = \"deny\"\n"
#define NAMES                                                                           \
	"\n# Names, at the ports that were used. Port 53 stands for being asked for.\n" \
	"allow_domains_exact = [\n"
#define ADDRESSES                                                          \
	"\n# Addresses that were used without a name, or may have been.\n" \
	"allow_cidrs = [\n"

static int no_entry(void *ctx, const char *key, const struct toml_value *v,
		    struct error *err)
{
	static const struct {
		const char *key;
		enum rule_kind kind;
	} lists[] = { { "allow_domains_exact", RULE_EXACT },
		      { "allow_cidrs", RULE_CIDR } };
	struct rule_list rules = { 0 };

	(void)ctx;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (strcmp(key, lists[i].key) != 0)
			continue;
		for (size_t k = 0; k < v->count; k++)
			assert_int_equal(rules_parse(&rules, lists[i].kind,
						     v->items[k].text, "/", err),
					 0);
		assert_int_equal(rules.count, v->count);
	}
	rules_clear(&rules);
	return 0;
}

/* What is learned is a profile: it can be read, and each of its rules. */
static void assert_learned(const char *lines, const char *expected)
{
	char *text = learn(lines, NULL);
	struct error err = { .text = "" };

	assert_string_equal(text, expected);
	if (toml_read(text, strlen(text), "learned", no_entry, NULL, &err))
		fail_msg("%s", err.text);
	free(text);
}

#define ATTEMPT(id, to, names, more)                                            \
	"{\"event\":\"connect_attempt\",\"protocol\":\"tcp\",\"run_id\":\"r\"," \
	"\"flow_id\":" id ",\"remote_addr\":\"" to "\",\"names\":[" names "]" more "}\n"
#define START(id, protocol, to, names)                                              \
	"{\"event\":\"flow_start\",\"protocol\":\"" protocol "\",\"run_id\":\"r\"," \
	"\"flow_id\":" id ",\"remote_addr\":\"" to "\",\"names\":[" names "]}\n"
#define END(id, up, down)                                                              \
	"{\"event\":\"flow_end\",\"run_id\":\"r\",\"flow_id\":" id ",\"bytes_up\":" up \
	",\"bytes_down\":" down "}\n"
/* With "null": none. */
#define SHOWN(id, name)                                            \
	"{\"event\":\"flow_end\",\"run_id\":\"r\",\"flow_id\":" id \
	",\"bytes_up\":1,\"bytes_down\":2,\"sniffed\":true,\"seen_name\":" name "}\n"
#define ANSWER(name, more)                                                               \
	"{\"event\":\"dns_answer\",\"mode\":\"relayed\",\"qname\":\"" name "\"" more "}" \
	"\n"
#define ASKED_BY(pid, name)                                                           \
	"{\"event\":\"dns_query\",\"run_id\":\"r\",\"pid\":" pid ",\"qname\":\"" name \
	"\"}\n"
#define CURL ",\"comm\":\"curl\",\"pid\":5"
#define GIT ",\"exe\":\"/usr/bin/git\",\"pid\":6"

static void nothing_is_allowed_that_was_not_used(void **state)
{
	(void)state;
	assert_learned("", HEAD);
	assert_learned("{\"event\":\"run_start\"}\n", HEAD);
}

static void names_are_allowed_at_their_ports(void **state)
{
	(void)state;
	assert_learned(
		ASKED_BY("5", "one.test") ASKED_BY("6", "ONE.test.")
			ATTEMPT("1", "192.0.2.1:443", "\"one.test\"", CURL)
				END("1", "100", "2500")
					ATTEMPT("2", "192.0.2.2:80", "\"ONE.test.\"", GIT)
						END("2", "1", "2000000")
							ATTEMPT("3", "192.0.2.1:444",
								"\"one.test\"", CURL)
								END("3", "0", "0"),
		HEAD NAMES
		"    \"one.test:80,443-444\", # curl, git: 3 flows, 2.0 MB received, "
		"101 B sent\n]\n");
}

/* The log can't say which of them was meant. */
static void all_names_of_an_address_are_allowed(void **state)
{
	(void)state;
	assert_learned(ASKED_BY("5", "a.test")
			       ATTEMPT("1", "192.0.2.1:22", "\"b.test\",\"a.test\"", CURL)
				       END("1", "1", "2"),
		       HEAD NAMES
		       "    \"a.test:22\", # curl: 1 flow, 2 B received, 1 B sent\n"
		       "    \"b.test:22\", # curl: 1 flow, 2 B received, 1 B sent\n]\n");
}

/* ... unless the flow has. */
static void only_the_name_that_was_shown_is_allowed(void **state)
{
	(void)state;
	assert_learned(ATTEMPT("1", "192.0.2.1:443", "\"b.test\",\"A.test\"",
			       "") SHOWN("1", "\"a.test\"")
			       ATTEMPT("2", "192.0.2.1:8443", "\"b.test\",\"a.test\"", "")
				       SHOWN("2", "\"b.test\""),
		       HEAD NAMES
		       "    \"a.test:443\", # 1 flow, 2 B received, 1 B sent\n"
		       "    \"b.test:8443\", # 1 flow, 2 B received, 1 B sent\n]\n");
}

/* What rests on a name must show it, at these ports; elsewhere it must show no other one. */
static void who_shows_none_of_its_names_goes_by_address(void **state)
{
	(void)state;
	assert_learned(
		ASKED_BY("5", "a.test") ATTEMPT("1", "192.0.2.1:443", "\"a.test\"", CURL)
			SHOWN("1", "null") ATTEMPT("2", "192.0.2.2:80", "\"a.test\"",
						   CURL) SHOWN("2", "\"b.test\"")
				ATTEMPT("3", "192.0.2.3:22", "\"a.test\"",
					CURL) SHOWN("3", "\"b.test\"")
					ATTEMPT("4", "192.0.2.4:22", "\"a.test\"", CURL)
						SHOWN("4", "\"\"") ATTEMPT("5",
									   "192.0.2."
									   "5:22",
									   "\"a."
									   "test\"",
									   CURL)
							SHOWN("5", "null"),
		HEAD NAMES
		"    \"a.test:22\", # curl: 1 flow, 2 B received, 1 B sent\n]\n" ADDRESSES
		"    \"tcp://192.0.2.1:443\", # curl: 1 flow, 2 B received, 1 B sent; it "
		"was a.test\n"
		"    \"tcp://192.0.2.2:80\", # curl: 1 flow, 2 B received, 1 B sent; it "
		"was a.test\n"
		"    \"tcp://192.0.2.3:22\", # curl: 1 flow, 2 B received, 1 B sent; it "
		"was a.test\n"
		"    \"tcp://192.0.2.4:22\", # curl: 1 flow, 2 B received, 1 B sent; it "
		"was a.test\n"
		"]\n");
}

/* Nothing proves that it went by the name. */
static void nobody_knows_whether_it_went_by_the_name(void **state)
{
	(void)state;
	assert_learned(
		ASKED_BY("5", "a.test") ATTEMPT("1", "192.0.2.1:22", "\"a.test\"", "")
			END("1", "1", "2"),
		HEAD NAMES
		"    \"a.test:22\", # 1 flow, 2 B received, 1 B sent\n]\n" ADDRESSES
		"    \"tcp://192.0.2.1:22\", # 1 flow, 2 B received, 1 B sent; it was "
		"a.test\n]\n");
}

/* A name that came later says nothing about how the flow began. */
static void names_count_that_were_known_at_the_start(void **state)
{
	(void)state;
	assert_learned(ATTEMPT("1", "192.0.2.1:22", "", CURL) ASKED_BY(
			       "5", "a.test") "{\"event\":\"flow_end\",\"run_id\":\"r\","
					      "\"flow_id\":1,\"pid\":5,"
					      "\"names\":[\"a.test\"],\"bytes_up\":1,"
					      "\"bytes_down\":2}\n",
		       HEAD NAMES
		       "    \"a.test:53\", # not found\n]\n" ADDRESSES
		       "    \"tcp://192.0.2.1:22\", # curl: 1 flow, 2 B received, 1 B "
		       "sent\n]\n");
}

#define BEHIND_A_PROXY(id, name)                                                 \
	"{\"event\":\"connect_attempt\",\"protocol\":\"tcp\",\"run_id\":\"r\","  \
	"\"flow_id\":" id ",\"remote_addr\":\"198.18.0.1:443\",\"name\":\"" name \
	"\",\"names\":[]}\n"

/* The address is none, and of no use to anybody. */
static void what_stands_for_a_name_is_no_address(void **state)
{
	(void)state;
	assert_learned(BEHIND_A_PROXY("1", "a.test") SHOWN("1", "\"a.test\""), HEAD NAMES
		       "    \"a.test:443\", # 1 flow, 2 B received, 1 B sent\n]\n");
	assert_learned(BEHIND_A_PROXY("1", "a.test") SHOWN("1", "null"), HEAD
		       "\n# It has also reached a name behind a proxy without showing "
		       "it, which no rule allows.\n");
}

static void without_a_name_the_address_is(void **state)
{
	(void)state;
	assert_learned(
		ATTEMPT("4", "192.0.2.1:24", "", CURL) END("4", "3", "3")
			ATTEMPT("1", "192.0.2.1:22", "", GIT) END("1", "1", "2")
				START("2", "udp", "[2001:db8::1]:123", "")
					END("2", "48", "48")
						ATTEMPT("3", "[2001:db8::1]:80", "", ""),
		HEAD ADDRESSES
		"    \"tcp://192.0.2.1:22,24\", # curl, git: 2 flows, 5 B received, 4 B "
		"sent\n"
		"    \"tcp://[2001:db8::1]:80\", # 1 flow, 0 B received, 0 B sent\n"
		"    \"udp://[2001:db8::1]:123\", # 1 flow, 48 B received, 48 B "
		"sent\n]\n");
}

static void icmp_is_allowed_by_address(void **state)
{
	(void)state;
	assert_learned(
		ASKED_BY("5", "a.test")
			START("1", "icmpv4", "192.0.2.1",
			      "\"a.test\"") "{\"event\":\"flow_end\",\"run_id\":\"r\","
					    "\"flow_id\":1" CURL
					    "}\n" START("2", "icmpv6", "2001:db8::1", "")
						    END("2", "56", "56"),
		HEAD NAMES
		"    \"a.test:53\", # only looked up\n]\n" ADDRESSES
		"    \"icmp://192.0.2.1\", # curl: 1 flow, 0 B received, 0 B sent; it "
		"was a.test\n"
		"    \"icmp://2001:db8::1\", # 1 flow, 56 B received, 56 B sent\n]\n");
}

#define REFUSED ",\"mode\":\"synthetic_empty\""

#define REFUSED_ANSWER                                                                  \
	"{\"event\":\"dns_answer\",\"mode\":\"synthetic_empty\",\"qname\":\"%d.test\"}" \
	"\n"

/* Also what doesn't exist: being refused is another answer. */
static void names_that_were_asked_for_may_be_again(void **state)
{
	(void)state;
	assert_learned(
		ANSWER("mx.test", ",\"rcode\":0") ANSWER("none.test", ",\"rcode\":3")
			ANSWER("refused.test", ",\"rcode\":0" REFUSED)
				ANSWER("silent.test",
				       ",\"rcode\":2" REFUSED) ASKED_BY("5", "used.test")
					ASKED_BY("6", "end.test") ANSWER("used.test", "")
						ATTEMPT("1", "192.0.2.1:25",
							"\"used.test\"", CURL)
							END("1", "0", "0"),
		HEAD NAMES
		"    \"end.test:53\", # not found\n"
		"    \"mx.test:53\", # only looked up\n"
		"    \"none.test:53\", # not found\n"
		"    \"silent.test:53\", # not found\n"
		"    \"used.test:25\", # curl: 1 flow, 0 B received, 0 B sent\n]\n");
}

static void quic_to_names_is_told(void **state)
{
	(void)state;
	assert_learned(
		ASKED_BY("5", "a.test")
			START("1", "udp", "192.0.2.1:443",
			      "\"a.test\"") "{\"event\":\"flow_end\",\"run_id\":\"r\","
					    "\"flow_id\":1" CURL "}\n",
		HEAD NAMES
		"    \"a.test:443\", # curl: 1 flow, 0 B received, 0 B sent\n]\n"
		"\n# QUIC (UDP port 443) to these names; it shows none that could be "
		"compared.\nallow_quic = true\n");
}

static void names_that_no_rule_can_bear(void **state)
{
	(void)state;
	assert_learned(
		ATTEMPT("1", "192.0.2.1:80", "\"_odd.test\"", "") END("1", "1", "1")
			ATTEMPT("2", "192.0.2.2:80", "\"a.test:1,@/etc/passwd\"",
				"") ATTEMPT("3", "192.0.2.3:80", "\"192.0.2.99\"", "")
				ATTEMPT("4", "192.0.2.4:80", "\"x\\n\\u001b[2J\\\"]\"",
					"") ATTEMPT("5", "192.0.2.5:80",
						    "\"c.test,d.test\"", "")
					ATTEMPT("6", "192.0.2.6:80", "\"e.test:1\"", "")
						ANSWER("@/proc/sys/kernel/ostype", ""),
		HEAD ADDRESSES "    \"tcp://192.0.2.1:80\", # 1 flow, 1 B received, 1 B "
			       "sent; it was _odd.test\n"
			       "    \"tcp://192.0.2.2:80\", # 1 flow, 0 B received, 0 B "
			       "sent; it was a.test:1,@/etc/passwd\n"
			       "    \"tcp://192.0.2.3:80\", # 1 flow, 0 B received, 0 B "
			       "sent; it was 192.0.2.99\n"
			       "    \"tcp://192.0.2.4:80\", # 1 flow, 0 B received, 0 B "
			       "sent; it was x\\x0a\\x1b[2J\"]\n"
			       "    \"tcp://192.0.2.5:80\", # 1 flow, 0 B received, 0 B "
			       "sent; it was c.test,d.test\n"
			       "    \"tcp://192.0.2.6:80\", # 1 flow, 0 B received, 0 B "
			       "sent; it was e.test:1\n]\n");
}

/* A process that hasn't asked for the name may have been given the address. */
static void whoever_has_not_asked_may_go_by_the_address(void **state)
{
	(void)state;
	assert_learned(ASKED_BY("5", "a.test")
			       ATTEMPT("1", "192.0.2.1:80", "\"b.test\",\"a.test\"", CURL)
				       END("1", "1", "1"),
		       HEAD NAMES
		       "    \"a.test:80\", # curl: 1 flow, 1 B received, 1 B sent\n"
		       "    \"b.test:80\", # curl: 1 flow, 1 B received, 1 B "
		       "sent\n]\n");
	assert_learned(
		ASKED_BY("5", "a.test") ATTEMPT("1", "192.0.2.1:80", "\"a.test\"", GIT)
			END("1", "1", "1"),
		HEAD NAMES
		"    \"a.test:80\", # git: 1 flow, 1 B received, 1 B sent\n]\n" ADDRESSES
		"    \"tcp://192.0.2.1:80\", # git: 1 flow, 1 B "
		"received, 1 B sent; it was a.test\n]\n");
}

/* A log may be anybody's: what is no address must not become a rule. */
static void what_is_no_target_is_no_rule(void **state)
{
	(void)state;
	assert_learned(ATTEMPT("1", "192.0.2.1", "", "") ATTEMPT("2", "0.0.0.0/0:80", "",
								 "")
			       ATTEMPT("3", "192.0.2.1:0", "", "")
				       ATTEMPT("4", "", "\"a.test\"", "")
					       START("5", "sctp", "192.0.2.1:1", ""),
		       HEAD);
}

static void commands_and_processes_stay_in_their_comments(void **state)
{
	static const char *const command[] = { "a\nb = 1", "\x1b", NULL };
	struct learned_run run = { command, 7, "1", 3 };
	char *text = learn(ATTEMPT("1", "192.0.2.1:80", "", ",\"comm\":\"x\\ny = 1\"")
				   END("1", "0", "0"),
			   &run);

	(void)state;
	assert_string_equal(
		text,
		"# Learned by childflow 1 from a run of: a\\x0ab = 1 \\x1b\n"
		"# It ended with exit status 7.\n"
		"# Incomplete: 3 events could not be recorded.\n"
		"#\n# What it has reached is allowed, and nothing else:\n"
		"default_policy = \"deny\"\n" ADDRESSES
		"    \"tcp://192.0.2.1:80\", # x\\x0ay = 1: 1 flow, 0 B received, 0 B "
		"sent\n]\n");
	free(text);
}

static void many_ports_are_all_ports(void **state)
{
	char *lines = NULL, *text;
	size_t len;
	FILE *out = open_memstream(&lines, &len);

	(void)state;
	for (int i = 0; i < 65; i++)
		fprintf(out, ATTEMPT("%d", "192.0.2.1:%d", "", ""), i + 1, 2 * i + 1);
	fclose(out);
	text = learn(lines, NULL);
	assert_non_null(strstr(text, "\"tcp://192.0.2.1:1-65535\","));
	free(text);
	free(lines);
}

/* The tables are bounded, and it is said when that mattered. */
static void more_than_is_kept_apart_is_said(void **state)
{
	char line[128], *text = NULL;
	struct tally tally;
	struct reader *r;
	struct error err;
	size_t len;
	FILE *out;

	(void)state;
	assert_int_equal(tally_init_with_talks(&tally), 0);
	r = reader_new(&tally, false);
	for (int i = 0; i <= TABLE_KEYS_MAX; i++) {
		int n = snprintf(line, sizeof(line), REFUSED_ANSWER, i);

		assert_int_equal(reader_lines(r, line, n, "log", &err), 0);
	}
	tally_finish(&tally);
	out = open_memstream(&text, &len);
	assert_int_equal(learned_profile(&tally, &(struct learned_run){ .version = "1" },
					 out, &err),
			 0);
	fclose(out);
	assert_non_null(strstr(text,
			       "\n# Incomplete: there were more than 100000 names or "
			       "targets.\n"));
	free(text);
	reader_free(r);
	tally_free(&tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_allowed_that_was_not_used),
		cmocka_unit_test(names_are_allowed_at_their_ports),
		cmocka_unit_test(all_names_of_an_address_are_allowed),
		cmocka_unit_test(only_the_name_that_was_shown_is_allowed),
		cmocka_unit_test(who_shows_none_of_its_names_goes_by_address),
		cmocka_unit_test(nobody_knows_whether_it_went_by_the_name),
		cmocka_unit_test(names_count_that_were_known_at_the_start),
		cmocka_unit_test(what_stands_for_a_name_is_no_address),
		cmocka_unit_test(without_a_name_the_address_is),
		cmocka_unit_test(icmp_is_allowed_by_address),
		cmocka_unit_test(names_that_were_asked_for_may_be_again),
		cmocka_unit_test(quic_to_names_is_told),
		cmocka_unit_test(names_that_no_rule_can_bear),
		cmocka_unit_test(whoever_has_not_asked_may_go_by_the_address),
		cmocka_unit_test(what_is_no_target_is_no_rule),
		cmocka_unit_test(commands_and_processes_stay_in_their_comments),
		cmocka_unit_test(many_ports_are_all_ports),
		cmocka_unit_test(more_than_is_kept_apart_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
