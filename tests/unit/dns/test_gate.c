/* What an upstream's answer loses on its way to the child, and which names it teaches. */
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
#include "dns/octets.h"
#include "dns/svcb.h"

#define BYTES(text) text, sizeof(text) - 1
#define QUESTION "\3www\7example\3com\0" /* at 12 */
#define WWW "\xc0\x0c"
#define RECORD_TTL(owner, type, ttl, len, data) \
	owner "\0" type "\0\1\0\0" ttl "\0" len data
#define RECORD(owner, type, len, data) RECORD_TTL(owner, type, "\1\x2c", len, data)
#define A(owner, data) RECORD(owner, "\1", "\4", data)
#define AAAA(owner, data) RECORD(owner, "\x1c", "\x10", data)
#define CNAME_Y RECORD(WWW, "\5", "\3", "\1y\0")
#define BAD4 "\x0a\0\0\1"
#define GOOD4 "\1\2\3\4"
#define BAD6 "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
#define GOOD6 "\x2a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"

static char told[256];

static void tell(const char *text)
{
	if (*told)
		strcat(told, " ");
	strcat(told, text);
}

/* Bad are 10/8, fd00::/8 and aliases named "y". */
static bool admits(void *ctx, const struct addr *a)
{
	(void)ctx;
	return addr_is_v4(a) ? a->b[12] != 10 : a->b[0] != 0xfd;
}

static bool follows(void *ctx, const struct name *alias)
{
	char text[NAME_TEXT_MAX];

	(void)ctx;
	return strcmp(name_to_text(alias, text), "y") != 0;
}

static void stripped(void *ctx, const struct addr *addr, const struct name *alias)
{
	char text[NAME_TEXT_MAX];

	(void)ctx;
	assert_true(!addr != !alias);
	tell(addr ? addr_format(addr, text) : name_to_text(alias, text));
}

static const struct answer_gate gate = { .admits = admits, .stripped = stripped };

static struct msg_question question(uint16_t type)
{
	struct msg_question q = { .id = 0x1234,
				  .flags = MSG_RD,
				  .type = type,
				  .class = MSG_CLASS_IN,
				  .edns = true,
				  .udp_size = 1232 };

	assert_true(name_from_text("www.example.com", &q.asked));
	q.name = name_lower(&q.asked);
	return q;
}

struct answer {
	uint8_t b[4096];
	ssize_t len;
};

/* Passes an answer with those records through the gate; `records` begins with the three
 * counts. */
static struct answer pass(const struct answer_gate *g, uint16_t type, const char *records,
			  size_t len)
{
	/* On the heap, so that a sanitizer sees a read past the end. */
	size_t head = sizeof(QUESTION) - 1 + 4;
	cleanup_free uint8_t *in = malloc(MSG_HEADER + head + len - 3);
	struct msg_question q = question(type);
	struct answer out;

	assert_non_null(in);
	memset(in, 0, MSG_HEADER);
	octets_put_u16(in + 2, 0x81a0); /* QR RD RA AD */
	in[5] = 1;
	for (int i = 0; i < 3; i++)
		in[7 + 2 * i] = records[i];
	memcpy(in + MSG_HEADER, QUESTION, sizeof(QUESTION) - 1);
	octets_put_u16(in + MSG_HEADER + head - 4, type);
	octets_put_u16(in + MSG_HEADER + head - 2, MSG_CLASS_IN);
	memcpy(in + MSG_HEADER + head, records + 3, len - 3);
	*told = '\0';
	out.len = answer_reencode(&q, in, MSG_HEADER + head + len - 3, g, out.b,
				  sizeof(out.b));
	return out;
}

#define PASS(g, type, counts, records) pass(g, type, BYTES(counts records))

/* What an answer holds, as text: the types of its records, "ede N" behind them. */
static const char *shape(const struct answer *a)
{
	static char out[256];
	static const char *const marks[] = { "", "/", "+" };
	struct answer_walk w;
	struct answer_record r;
	char *to = out;

	assert_true(a->len >= MSG_HEADER);
	*to = '\0';
	answer_walk_init(&w, a->b, a->len);
	while (answer_walk_next(&w, &r)) {
		if (r.type != MSG_TYPE_OPT)
			to += sprintf(to, "%s%u ", marks[r.section], r.type);
		else if (r.rdata_len)
			to += sprintf(to, "ede %u ", octets_u16(a->b + r.rdata + 4));
	}
	assert_false(w.malformed);
	if (to > out)
		to[-1] = '\0';
	return out;
}

static void test_addresses(void **state)
{
	struct answer a;

	(void)state;
	a = PASS(&gate, MSG_TYPE_A, "\2\0\0", A(WWW, BAD4) A(WWW, GOOD4));
	assert_string_equal(shape(&a), "1");
	assert_memory_equal(a.b + 33 + 12, GOOD4, 4);
	assert_string_equal(told, "10.0.0.1");
	assert_false(octets_u16(a.b + 2) & MSG_AD);

	a = PASS(&gate, MSG_TYPE_AAAA, "\3\0\0",
		 AAAA(WWW, GOOD6) AAAA(WWW, BAD6) AAAA(WWW, GOOD6));
	assert_string_equal(shape(&a), "28 28");
	assert_string_equal(told, "fd00::1");

	a = PASS(&gate, MSG_TYPE_A, "\1\0\0", A(WWW, GOOD4));
	assert_string_equal(shape(&a), "1");
	assert_string_equal(told, "");
	assert_true(octets_u16(a.b + 2) & MSG_AD);

	/* Another class has other addresses. */
	a = PASS(&gate, MSG_TYPE_AAAA, "\1\0\0", WWW "\0\x1c\0\3\0\0\1\x2c\0\x10" BAD6);
	assert_string_equal(shape(&a), "28");
	assert_string_equal(told, "");

	/* Nobody says no. */
	a = PASS(&(struct answer_gate){ 0 }, MSG_TYPE_A, "\1\0\0", A(WWW, BAD4));
	assert_string_equal(shape(&a), "1");
	a = PASS(NULL, MSG_TYPE_A, "\1\0\0", A(WWW, BAD4));
	assert_string_equal(shape(&a), "1");
}

static void test_all_addresses(void **state)
{
	struct answer a = PASS(&gate, MSG_TYPE_A, "\3\1\0",
			       CNAME_Y A("\1y\0", BAD4) A("\1y\0", "\x0a\1\1\1")
				       RECORD("\0", "\2", "\3", "\1n\0"));

	(void)state;
	assert_string_equal(shape(&a), "ede 15");
	assert_string_equal(told, "10.0.0.1 10.1.1.1");
	assert_int_equal(msg_header_rcode(a.b), MSG_NOERROR);
	assert_int_equal(octets_u16(a.b + 2), MSG_QR | MSG_RD | MSG_RA);
	a = PASS(&gate, MSG_TYPE_ANY, "\2\0\0",
		 A(WWW, BAD4) RECORD(WWW, "\x10", "\2", "\1x"));
	assert_string_equal(shape(&a), "ede 15");
	/* An answer that never had one is as it was. */
	a = PASS(&gate, MSG_TYPE_A, "\1\0\0", CNAME_Y);
	assert_string_equal(shape(&a), "5");
}

static void test_other_sections(void **state)
{
	struct answer_gate only = gate;
	struct answer a;

#define SECTIONS                          \
	A(WWW, GOOD4)                     \
	RECORD("\0", "\2", "\3", "\1n\0") \
	RECORD("\0", "\6", "\x16",        \
	       "\0\0"                     \
	       "abcdefghijklmnopqrst")    \
	RECORD("\0", "\x32", "\1", "x") A("\1n\0", BAD4) A("\1n\0", GOOD4)

	(void)state;
	a = PASS(&gate, MSG_TYPE_A, "\1\3\2", SECTIONS);
	assert_string_equal(shape(&a), "1 /2 /6 /50 +1");
	assert_string_equal(told, "10.0.0.1");
	only.answers_only = true;
	a = PASS(&only, MSG_TYPE_A, "\1\3\2", SECTIONS);
	assert_string_equal(shape(&a), "1 /6 /50");
	/* A proof of absence stands in the authority section. */
	a = PASS(&only, MSG_TYPE_A, "\1\0\1",
		 A(WWW, GOOD4) RECORD("\0", "\x32", "\1", "x"));
	assert_string_equal(shape(&a), "1");
	/* An address that would be glue doesn't make the answer an empty one. */
	a = PASS(&gate, MSG_TYPE_A, "\0\1\1",
		 RECORD("\0", "\2", "\3", "\1n\0") A("\1n\0", BAD4));
	assert_string_equal(shape(&a), "/2");
}

static void test_aliases(void **state)
{
	struct answer_gate strict = { .follows = follows, .stripped = stripped };
	struct answer a;

	(void)state;
	a = PASS(&strict, MSG_TYPE_A, "\2\0\0", CNAME_Y A("\1y\0", GOOD4));
	assert_string_equal(shape(&a), "ede 15");
	assert_string_equal(told, "y");
	/* In the middle of a chain, too. */
	a = PASS(&strict, MSG_TYPE_A, "\3\0\0",
		 CNAME_Y RECORD("\1y\0", "\5", "\3", "\1z\0") A("\1z\0", GOOD4));
	assert_string_equal(shape(&a), "ede 15");
	a = PASS(&strict, MSG_TYPE_A, "\3\0\0",
		 RECORD(WWW, "\5", "\3", "\1z\0") RECORD("\1z\0", "\5", "\3", "\1y\0")
			 A("\1y\0", GOOD4));
	assert_string_equal(shape(&a), "ede 15");
	a = PASS(&strict, MSG_TYPE_A, "\2\0\0",
		 RECORD(WWW, "\5", "\3", "\1z\0") A("\1z\0", GOOD4));
	assert_string_equal(shape(&a), "5 1");
	/* An alias elsewhere makes nobody part of the answer. */
	a = PASS(&gate, MSG_TYPE_A, "\1\1\0", A("\1y\0", GOOD4) CNAME_Y);
	assert_string_equal(shape(&a), "/5");
	/* Who is no part of the chain doesn't count. */
	a = PASS(&strict, MSG_TYPE_A, "\2\0\0",
		 RECORD("\1z\0", "\5", "\3", "\1y\0") A(WWW, GOOD4));
	assert_string_equal(shape(&a), "1");
}

/* A parameter: key, length, value. */
#define P(key, len, value) "\0" key "\0" len value
#define ALPN P("\1", "\3", "\2h2")
#define V4(len, addrs) P("\4", len, addrs)
#define V6(len, addrs) P("\6", len, addrs)
#define ECH P("\5", "\3", "ech")
#define HEAD "\0\1\0" /* priority 1, target "." */

struct binding {
	const char *what, *in;
	size_t in_len;
	const char *want; /* NULL: the record is left out */
	size_t want_len;
	const char *told;
	bool keeps_ech;
};

static void check_binding(const struct binding *row, uint16_t type)
{
	struct answer_gate g = gate;
	char records[256] = "\1\0\0" WWW "\0\0\0\1\0\0\1\x2c", wanted[8] = "";
	bool whole = row->want && row->want_len == row->in_len;
	struct answer a;

	g.hides_ech = !row->keeps_ech;
	records[3 + 3] = type;
	records[3 + 11] = row->in_len;
	memcpy(records + 3 + 12, row->in, row->in_len);
	a = pass(&g, type, records, 15 + row->in_len);
	if (a.len < 0)
		fail_msg("%s: is malformed", row->what);
	if (strcmp(told, row->told))
		fail_msg("%s: told of \"%s\"", row->what, told);
	if (row->want)
		snprintf(wanted, sizeof(wanted), "%u", type);
	if (strcmp(shape(&a), wanted))
		fail_msg("%s: is %s", row->what, shape(&a));
	if (!(octets_u16(a.b + 2) & MSG_AD) != !whole)
		fail_msg("%s: AD", row->what);
	if (row->want && (octets_u16(a.b + 33 + 10) != row->want_len ||
			  memcmp(a.b + 33 + 12, row->want, row->want_len)))
		fail_msg("%s: other data", row->what);
}

static void test_bindings(void **state)
{
	static const struct binding rows[] = {
		{ "nothing bad", BYTES(HEAD ALPN V4("\4", GOOD4) V6("\x10", GOOD6)),
		  BYTES(HEAD ALPN V4("\4", GOOD4) V6("\x10", GOOD6)), "", false },
		{ "one of two", BYTES(HEAD V4("\x8", BAD4 GOOD4)),
		  BYTES(HEAD V4("\4", GOOD4)), "10.0.0.1", false },
		{ "the last of three", BYTES(HEAD ALPN V4("\xc", GOOD4 GOOD4 BAD4)),
		  BYTES(HEAD ALPN V4("\x8", GOOD4 GOOD4)), "10.0.0.1", false },
		{ "one of each", BYTES(HEAD V4("\x8", GOOD4 BAD4) V6("\x20", BAD6 GOOD6)),
		  BYTES(HEAD V4("\4", GOOD4) V6("\x10", GOOD6)), "10.0.0.1 fd00::1",
		  false },
		{ "all",
		  BYTES(HEAD ALPN V4("\4", BAD4) V6("\x10", BAD6) P("\7", "\1", "p")),
		  BYTES(HEAD ALPN P("\7", "\1", "p")), "10.0.0.1 fd00::1", false },
		{ "ech", BYTES(HEAD ALPN V4("\4", GOOD4) ECH),
		  BYTES(HEAD ALPN V4("\4", GOOD4)), "", false },
		{ "ech, which may stay", BYTES(HEAD ALPN ECH), BYTES(HEAD ALPN ECH), "",
		  true },
		{ "mandatory hints", BYTES(HEAD P("\0", "\2", "\0\4") V4("\4", BAD4)),
		  NULL, 0, "10.0.0.1", false },
		{ "mandatory hints, one of two",
		  BYTES(HEAD P("\0", "\2", "\0\4") V4("\x8", BAD4 GOOD4)),
		  BYTES(HEAD P("\0", "\2", "\0\4") V4("\4", GOOD4)), "10.0.0.1", false },
		{ "mandatory ech", BYTES(HEAD P("\0", "\4", "\0\1\0\5") ALPN ECH), NULL,
		  0, "", false },
		{ "mandatory alpn", BYTES(HEAD P("\0", "\2", "\0\1") ALPN ECH),
		  BYTES(HEAD P("\0", "\2", "\0\1") ALPN), "", false },
		{ "another target", BYTES("\0\1\3svc\7example\3net\0" V4("\4", BAD4)),
		  BYTES("\0\1\3svc\7example\3net\0"), "10.0.0.1", false },
		{ "an alias", BYTES("\0\0\3svc\7example\3net\0"),
		  BYTES("\0\0\3svc\7example\3net\0"), "", false },
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++)
		check_binding(&rows[i / 2], i % 2 ? MSG_TYPE_SVCB : MSG_TYPE_HTTPS);
}

static void on_hint(void *ctx, const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];

	(void)ctx;
	fail_msg("%s was learned", addr_format(addr, text));
}

static void test_malformed_bindings(void **state)
{
	static const struct {
		const char *what, *data;
		size_t len;
	} rows[] = {
		{ "empty", BYTES("") },
		{ "half a priority", BYTES("\0") },
		{ "no target", BYTES("\0\1") },
		{ "a target that is compressed", BYTES("\0\1\xc0\x0c") },
		{ "half a parameter", BYTES(HEAD "\0\1\0") },
		{ "a parameter past the end", BYTES(HEAD "\0\1\0\4\2h2") },
		{ "a key twice", BYTES(HEAD ECH ECH) },
		{ "keys in disorder", BYTES(HEAD V4("\4", GOOD4) ALPN) },
		{ "no hint", BYTES(HEAD V4("\0", "")) },
		{ "a hint of 3 octets", BYTES(HEAD V4("\3", "\1\2\3")) },
		{ "a hint of 5 octets", BYTES(HEAD V4("\5", GOOD4 "\5")) },
		{ "a v6 hint of 4 octets", BYTES(HEAD V6("\4", GOOD4)) },
		{ "mandatory, odd", BYTES(HEAD P("\0", "\1", "\4")) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free uint8_t *copy = malloc(MAX(rows[i].len, 1u));

		memcpy(copy, rows[i].data, rows[i].len);
		*told = '\0';
		if (svcb_judge(copy, rows[i].len, &gate) != SVCB_MALFORMED)
			fail_msg("%s: was taken", rows[i].what);
	}
	/* None teaches anything, nor does the whole part of it. */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		svcb_each_hint((const uint8_t *)rows[i].data, rows[i].len, on_hint, NULL);
	svcb_each_hint((const uint8_t *)HEAD V4("\4", GOOD4) "\0\6\0\1x",
		       sizeof(HEAD V4("\4", GOOD4) "\0\6\0\1x") - 1, on_hint, NULL);
	/* The message falls with it. */
	assert_int_equal(
		PASS(&gate, MSG_TYPE_HTTPS, "\1\0\0", RECORD(WWW, "\x41", "\1", "x")).len,
		-EBADMSG);
}

static void on_found(void *ctx, const struct answer_found *found)
{
	char owner[NAME_TEXT_MAX], addr[ADDR_TEXT_MAX], text[NAME_TEXT_MAX + 80];

	(void)ctx;
	snprintf(text, sizeof(text), "%s=%s/%u", name_to_text(found->owner, owner),
		 addr_format(&found->addr, addr), found->ttl_s);
	tell(text);
}

static const char *found_in(uint16_t type, const struct answer *a)
{
	struct msg_question q = question(type);

	*told = '\0';
	answer_each_address(&q, a->b, a->len, on_found, NULL);
	return told;
}

static void test_what_is_learned(void **state)
{
	struct answer a;

	(void)state;
	a = PASS(&gate, MSG_TYPE_A, "\3\0\0",
		 A(WWW, GOOD4) A(WWW, BAD4) A(WWW, "\1\2\3\5"));
	assert_string_equal(found_in(MSG_TYPE_A, &a),
			    "www.example.com=1.2.3.4/300 www.example.com=1.2.3.5/300");
	/* The chain's least TTL counts. */
	a = PASS(&gate, MSG_TYPE_A, "\3\0\0",
		 RECORD_TTL(WWW, "\5", "\0\x0a", "\3", "\1y\0")
			 RECORD_TTL("\1y\0", "\5", "\0\x14", "\3", "\1z\0")
				 A("\1z\0", GOOD4));
	assert_string_equal(found_in(MSG_TYPE_A, &a), "z=1.2.3.4/10");
	a = PASS(&gate, MSG_TYPE_A, "\2\0\0",
		 CNAME_Y RECORD_TTL("\1y\0", "\1", "\0\5", "\4", GOOD4));
	assert_string_equal(found_in(MSG_TYPE_A, &a), "y=1.2.3.4/5");
	/* Types that were not asked for, other sections, other names. */
	a = PASS(&gate, MSG_TYPE_AAAA, "\1\0\0", A(WWW, GOOD4));
	assert_string_equal(found_in(MSG_TYPE_AAAA, &a), "");
	a = PASS(&gate, MSG_TYPE_A, "\0\1\1", A(WWW, GOOD4) A(WWW, GOOD4));
	assert_string_equal(found_in(MSG_TYPE_A, &a), "");
	a = PASS(&gate, MSG_TYPE_A, "\1\0\0", A("\1z\0", GOOD4));
	assert_string_equal(found_in(MSG_TYPE_A, &a), "");
	a = PASS(&gate, MSG_TYPE_A, "\1\0\0", A(WWW, GOOD4));
	a.b[34] = 16; /* the owner is example.com now */
	assert_string_equal(found_in(MSG_TYPE_A, &a), "");
	/* Hints. */
	a = PASS(&gate, MSG_TYPE_HTTPS, "\1\0\0",
		 RECORD(WWW, "\x41", "\x23",
			HEAD V4("\x8", GOOD4 BAD4) V6("\x10", GOOD6)));
	assert_string_equal(found_in(MSG_TYPE_HTTPS, &a),
			    "www.example.com=1.2.3.4/300 www.example.com=2a00::1/300");
	a = PASS(&gate, MSG_TYPE_ANY, "\2\0\0", A(WWW, GOOD4) AAAA(WWW, GOOD6));
	assert_string_equal(found_in(MSG_TYPE_ANY, &a),
			    "www.example.com=1.2.3.4/300 www.example.com=2a00::1/300");
	/* Not of what is malformed, and not of half of it. */
	a.len -= MSG_OPT + 1;
	assert_string_equal(found_in(MSG_TYPE_ANY, &a), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_all_addresses),
		cmocka_unit_test(test_other_sections),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_malformed_bindings),
		cmocka_unit_test(test_what_is_learned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
