#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/name.h"

#define HEADER_ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0"
#define LABEL63 "\077aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TEXT63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL61 "\075bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TEXT61 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct name name_of(const char *text)
{
	struct name n;

	assert_true(name_from_text(text, &n));
	return n;
}

static void test_text_and_back(void **state)
{
	static const struct {
		const char *text, *canonical;
		uint8_t len;
	} rows[] = {
		{ "example.com", NULL, 13 },
		{ "Example.COM.", "Example.COM", 13 },
		{ ".", NULL, 1 },
		{ "_sip._tcp.example", NULL, 19 },
		{ "a\\.b.c", NULL, 7 },
		{ "a\\\\b", NULL, 5 },
		{ "\\000\\255.x", NULL, 6 },
		{ "\\097", "a", 3 },
		{ "\\\"q", "\"q", 4 },
		{ "sp\\032ace", NULL, 8 },
		{ TEXT63 "." TEXT63 "." TEXT63 "." TEXT61, NULL, 255 },
	};
	char text[NAME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct name n = name_of(rows[i].text);

		assert_int_equal(n.len, rows[i].len);
		assert_string_equal(name_to_text(&n, text),
				    rows[i].canonical ? rows[i].canonical : rows[i].text);
	}
}

static void test_text_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"..",
		".a",
		"a..b",
		"\\",
		"a\\",
		"\\25",
		"\\256",
		"\\2x5",
		TEXT63 "a",
		TEXT63 "." TEXT63 "." TEXT63 "." TEXT61 "b",
		TEXT63 "." TEXT63 "." TEXT63 "." TEXT61 ".b",
	};
	struct name n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (name_from_text(rows[i], &n))
			fail_msg("\"%s\" was taken for a name", rows[i]);
}

static void test_longest_text_fits(void **state)
{
	struct name n = { .len = 0 };
	char text[NAME_TEXT_MAX];

	(void)state;
	while (n.len < 254) {
		uint8_t label = MIN(63, 253 - n.len);

		n.b[n.len++] = label;
		memset(n.b + n.len, 0xff, label);
		n.len += label;
	}
	n.b[n.len++] = 0;
	assert_int_equal(n.len, 255);
	assert_int_equal(strlen(name_to_text(&n, text)), 250 * 4 + 3);
}

#define READ(msg, off, out) name_read((const uint8_t *)(msg), sizeof(msg) - 1, off, out)

static void test_read_compressed(void **state)
{
	/* At 12 "b.c", at 17 "a" and a pointer to it, at 21 a pointer to that. */
	static const char msg[] = HEADER_ZEROS "\1b\1c\0"
					       "\1a\xc0\x0c"
					       "\xc0\x11"
					       "rest";
	size_t off = 17;
	struct name n;

	(void)state;
	assert_true(READ(msg, &off, &n));
	assert_int_equal(off, 21);
	assert_true(name_eq(&n, &(struct name){ 7, "\1a\1b\1c" }));
	assert_true(READ(msg, &off, &n));
	assert_int_equal(off, 23);
	assert_true(name_eq(&n, &(struct name){ 7, "\1a\1b\1c" }));
	off = 17;
	assert_false(name_read_plain((const uint8_t *)msg, sizeof(msg) - 1, &off, &n));
	off = 12;
	assert_true(name_read_plain((const uint8_t *)msg, sizeof(msg) - 1, &off, &n));
	assert_int_equal(off, 17);
}

static void test_read_refused(void **state)
{
#define ROW(text, off)                      \
	{                                   \
		text, sizeof(text) - 1, off \
	}
	static const struct {
		const char *msg;
		size_t len, off;
	} rows[] = {
		ROW(HEADER_ZEROS, 12),			  /* nothing there */
		ROW(HEADER_ZEROS "\3ab", 12),		  /* label cut */
		ROW(HEADER_ZEROS "\2ab", 12),		  /* no root */
		ROW(HEADER_ZEROS "\xc0", 12),		  /* pointer cut */
		ROW(HEADER_ZEROS "\xc0\x0c", 12),	  /* to itself */
		ROW(HEADER_ZEROS "\1a\xc0\x0c", 12),	  /* to its own beginning */
		ROW(HEADER_ZEROS "\xc0\x0e\0", 12),	  /* forwards */
		ROW(HEADER_ZEROS "\xc0\x0e\xc0\x0c", 14), /* there and back */
		ROW(HEADER_ZEROS "\1a\0\xc0\x05", 15),	  /* into the header */
		ROW(HEADER_ZEROS "\x41"
				 "a\0",
		    12), /* label types 01, 10 */
		ROW(HEADER_ZEROS "\x81"
				 "a\0",
		    12),
		ROW(HEADER_ZEROS LABEL63 LABEL63 LABEL63 "\076" TEXT61 "b\0",
		    12), /* 256 */
	};
	struct name n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t off = rows[i].off;

		if (name_read((const uint8_t *)rows[i].msg, rows[i].len, &off, &n))
			fail_msg("row %zu was taken for a name", i);
	}
}

static void test_read_limits(void **state)
{
	static const char longest[] = HEADER_ZEROS LABEL63 LABEL63 LABEL63 LABEL61 "\0";
	uint8_t msg[12 + 2 + 2 * 200] = { 0 };
	size_t off = 12;
	struct name n;

	(void)state;
	assert_true(READ(longest, &off, &n));
	assert_int_equal(n.len, 255);

	/* A ladder of pointers, each to the one before: bounded. */
	for (size_t i = 0; i < 200; i++) {
		msg[14 + 2 * i] = 0xc0 | (12 + 2 * i) >> 8;
		msg[15 + 2 * i] = (12 + 2 * i) & 0xff;
	}
	off = 14 + 2 * 126;
	assert_true(name_read(msg, sizeof(msg), &off, &n));
	assert_int_equal(n.len, 1);
	off = 14 + 2 * 127;
	assert_false(name_read(msg, sizeof(msg), &off, &n));
}

static void test_compare(void **state)
{
	struct name host = name_of("WWW.Example.com"), same = name_of("www.eXAMPLE.COM");
	struct name parent = name_of("example.com"), sibling = name_of("xample.com");
	struct name root = name_of("."), dotted = name_of("www\\.example.com");
	struct name at = name_of("@.com"), backquote = name_of("`.com");

	(void)state;
	assert_true(name_eq(&host, &same));
	assert_false(name_eq(&host, &dotted));
	assert_false(name_eq(&at, &backquote)); /* 0x40 and 0x60 are no letters */
	assert_true(name_is_below(&host, &parent));
	assert_true(name_is_below(&parent, &parent));
	assert_true(name_is_below(&host, &root));
	assert_false(name_is_below(&parent, &host));
	assert_false(name_is_below(&host, &sibling));
	assert_false(name_is_below(&dotted, &parent));
	assert_false(name_is_below(&host, &(struct name){ .len = 0 }));
	same = name_lower(&host);
	assert_memory_equal(same.b, "\3www\7example\3com", same.len);
}

static void test_to_addr(void **state)
{
	static const struct {
		const char *name, *addr;
	} rows[] = {
		{ "4.3.2.1.in-addr.arpa", "1.2.3.4" },
		{ "0.255.0.10.IN-ADDR.ARPA", "10.0.255.0" },
		{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6."
		  "arpa",
		  "2001:db8::1" },
		{ "F.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6."
		  "arpa",
		  "2001:db8::f" },
		{ "3.2.1.in-addr.arpa", NULL },
		{ "5.4.3.2.1.in-addr.arpa", NULL },
		{ "256.3.2.1.in-addr.arpa", NULL },
		{ "01.3.2.1.in-addr.arpa", NULL },
		{ "x.3.2.1.in-addr.arpa", NULL },
		{ "1000.3.2.1.in-addr.arpa", NULL },
		{ "in-addr.arpa", NULL },
		{ "4.3.2.1.in-addr.example", NULL },
		{ "1.ip6.arpa", NULL },
		{ "g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6."
		  "arpa",
		  NULL },
		{ "11.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.22.ip6."
		  "arpa",
		  NULL },
	};
	char text[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct name n = name_of(rows[i].name);
		struct addr a;

		if (name_to_addr(&n, &a) != (rows[i].addr != NULL))
			fail_msg("%s", rows[i].name);
		if (rows[i].addr)
			assert_string_equal(addr_format(&a, text), rows[i].addr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_text_refused),
		cmocka_unit_test(test_longest_text_fits),
		cmocka_unit_test(test_read_compressed),
		cmocka_unit_test(test_read_refused),
		cmocka_unit_test(test_read_limits),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_to_addr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
