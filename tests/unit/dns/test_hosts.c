#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/answer.h"
#include "dns/hosts.h"

static struct hosts *parse(const char *text, struct hosts_bad *bad)
{
	struct hosts_bad ignored;
	struct error err;
	struct hosts *h = hosts_parse(text, strlen(text), bad ? bad : &ignored, &err);

	assert_non_null(h);
	return h;
}

/* Asks and gives the records as text, in a static buffer: "" for an empty answer, NULL when
 * upstream is to be asked. */
static const char *ask(const struct hosts *h, const char *text, uint16_t type)
{
	static char found[8192];
	struct msg_question q = { .type = type, .class = MSG_CLASS_IN };
	uint8_t out[MSG_MAX];
	struct answer_walk w;
	struct answer_record r;
	size_t n;

	assert_true(name_from_text(text, &q.asked));
	q.name = name_lower(&q.asked);
	n = hosts_answer(h, &q, out, sizeof(out));
	if (!n)
		return NULL;
	found[0] = '\0';
	answer_walk_init(&w, out, n);
	while (answer_walk_next(&w, &r)) {
		char addr[ADDR_TEXT_MAX], name[NAME_TEXT_MAX];
		struct addr a;
		struct name target;
		size_t off = r.rdata;

		assert_true(name_eq(&r.owner, &q.name));
		assert_int_equal(r.ttl_s, HOSTS_TTL_S);
		strcat(found, found[0] ? " " : "");
		if (answer_address(&w, &r, &a))
			strcat(found, addr_format(&a, addr));
		else if (name_read(out, n, &off, &target))
			strcat(found, name_to_text(&target, name));
	}
	assert_false(w.malformed);
	assert_int_equal(msg_header_rcode(out), MSG_NOERROR);
	return found;
}

static void test_lookup(void **state)
{
	struct hosts *h = parse("# a comment\n"
				"192.0.2.1 one.example One alias # two.example\n"
				"\t2001:db8::1\tONE.example.\r\n"
				"192.0.2.2 one.example\n"
				"192.0.2.3 other\n",
				NULL);

	(void)state;
	assert_string_equal(ask(h, "one.example", MSG_TYPE_A), "192.0.2.1 192.0.2.2");
	assert_string_equal(ask(h, "ONE.eXample", MSG_TYPE_AAAA), "2001:db8::1");
	assert_string_equal(ask(h, "one.example", MSG_TYPE_ANY),
			    "192.0.2.1 2001:db8::1 192.0.2.2");
	assert_string_equal(ask(h, "one", MSG_TYPE_A), "192.0.2.1");
	assert_string_equal(ask(h, "alias", MSG_TYPE_A), "192.0.2.1");
	assert_null(ask(h, "two.example", MSG_TYPE_A));
	assert_null(ask(h, "example", MSG_TYPE_A));
	assert_null(ask(h, "a.one.example", MSG_TYPE_A));
	assert_null(ask(h, "one\\.example", MSG_TYPE_A));
	assert_null(ask(h, ".", MSG_TYPE_A));
	hosts_free(h);
}

static void test_overridden_names_have_nothing_else(void **state)
{
	struct hosts *h = parse("192.0.2.1 one\n", NULL);
	struct msg_question q = { .type = MSG_TYPE_A, .class = MSG_CLASS_CH };
	uint8_t out[MSG_UDP_PLAIN];

	(void)state;
	assert_string_equal(ask(h, "one", MSG_TYPE_AAAA), "");
	assert_string_equal(ask(h, "one", MSG_TYPE_HTTPS), "");
	assert_string_equal(ask(h, "one", MSG_TYPE_SVCB), "");
	assert_null(ask(h, "one", 15)); /* MX: no address */
	assert_true(name_from_text("one", &q.asked));
	q.name = q.asked;
	assert_int_equal(hosts_answer(h, &q, out, sizeof(out)), 0);
	hosts_free(h);
}

static void test_pointers(void **state)
{
	struct hosts *h = parse("192.0.2.1 one alias\n192.0.2.1 later\n::1 me\n", NULL);

	(void)state;
	assert_string_equal(ask(h, "1.2.0.192.in-addr.arpa", MSG_TYPE_PTR), "one");
	assert_string_equal(ask(h,
				"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
				"0.0.0.0.ip6.arpa",
				MSG_TYPE_PTR),
			    "me");
	assert_null(ask(h, "2.2.0.192.in-addr.arpa", MSG_TYPE_PTR));
	assert_null(ask(h, "one", MSG_TYPE_PTR));
	hosts_free(h);
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{ "one 192.0.2.1", "does not begin with an IP address" },
		{ "fe80::1%lo0 local", "does not begin with an IP address" },
		{ "192.0.2.1", "an address without a name" },
		{ "192.0.2.1 #one", "an address without a name" },
		{ "192.0.2.1 a..b", "not a host name" },
		{ "192.0.2.1 a\\.b", "not a host name" },
		{ "192.0.2.1 .", "not a host name" },
		{ "192.0.2.1 b\xc3\xbc"
		  "cher",
		  "not a host name" },
	};
	struct hosts_bad bad;
	struct hosts *h;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), "\n192.0.2.2 good\n%s\n%s\n192.0.2.3 better",
			 rows[i].line, rows[i].line);
		h = parse(text, &bad);
		assert_int_equal(bad.count, 2);
		assert_int_equal(bad.line, 3);
		assert_string_equal(bad.why, rows[i].why);
		assert_string_equal(ask(h, "good", MSG_TYPE_A), "192.0.2.2");
		assert_string_equal(ask(h, "better", MSG_TYPE_A), "192.0.2.3");
		hosts_free(h);
	}
	/* A bad name doesn't spoil its neighbours. */
	h = parse("192.0.2.1 a..b one", &bad);
	assert_int_equal(bad.count, 1);
	assert_string_equal(ask(h, "one", MSG_TYPE_A), "192.0.2.1");
	hosts_free(h);
	h = parse("", &bad);
	assert_int_equal(bad.count, 0);
	assert_null(ask(h, "one", MSG_TYPE_A));
	hosts_free(h);
}

static void test_long_list(void **state)
{
	size_t len = 0, size = 4 << 20;
	char *text = malloc(size), name[32];
	struct hosts *h;

	(void)state;
	for (int i = 0; i < 100000; i++)
		len += snprintf(text + len, size - len, "10.%d.%d.%d h%d.example\n",
				i >> 16, i >> 8 & 255, i & 255, i * 7919 % 100003);
	h = parse(text, NULL);
	for (int i = 0; i < 100000; i += 997) {
		char want[ADDR_TEXT_MAX];

		snprintf(name, sizeof(name), "h%d.example", i * 7919 % 100003);
		snprintf(want, sizeof(want), "10.%d.%d.%d", i >> 16, i >> 8 & 255,
			 i & 255);
		assert_string_equal(ask(h, name, MSG_TYPE_A), want);
	}
	hosts_free(h);
	free(text);
}

static void test_too_big(void **state)
{
	char *text = calloc(1, HOSTS_FILE_MAX + 1);
	struct hosts_bad bad;
	struct error err;

	(void)state;
	assert_null(hosts_parse(text, HOSTS_FILE_MAX + 1, &bad, &err));
	assert_int_equal(err.code, EFBIG);
	free(text);
}

static void expect_file(const char *text, const char *host, const char *want)
{
	struct hosts *h = parse(text, NULL);
	size_t len;
	char *out = hosts_render(h, text, strlen(text), host, strlen(host), &len);

	assert_non_null(out);
	assert_string_equal(out, want);
	assert_int_equal(len, strlen(want));
	free(out);
	hosts_free(h);
}

static void test_render(void **state)
{
	(void)state;
	expect_file("", "", "");
	expect_file("", "127.0.0.1 localhost", "127.0.0.1 localhost\n");
	expect_file("192.0.2.1 one", "", "192.0.2.1 one\n");
	/* Ours verbatim; of the host's what shares no name with it. */
	expect_file("# mine\n192.0.2.1 One.example\n\nnonsense",
		    "127.0.0.1 localhost\n\n# one.example\n"
		    "10.0.0.1 web ONE.EXAMPLE. www\n"
		    "10.0.0.2 two.example # one.example\n"
		    "10.0.0.3\tone.example\r\n"
		    "10.0.0.4 one.example.org nonsense\n"
		    "10.0.0.5 x one.example",
		    "# mine\n192.0.2.1 One.example\n\nnonsense\n"
		    "127.0.0.1 localhost\n\n# one.example\n"
		    "10.0.0.2 two.example # one.example\n"
		    "10.0.0.4 one.example.org nonsense\n");
	expect_file("::1 localhost\n", "127.0.0.1 localhost\n127.0.1.1 box\n",
		    "::1 localhost\n127.0.1.1 box\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_overridden_names_have_nothing_else),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_render),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
