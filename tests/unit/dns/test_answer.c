#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/answer.h"
#include "dns/octets.h"

#define BYTES(text) text, sizeof(text) - 1
#define IN "\0\1"
#define TTL "\0\0\1\x2c"
#define QUESTION \
	"\3wWw\7eXample\3cOm\0" /* at 12; 16 is "example", 24 is "com", end at 29 */
#define NO "\0\0"
/* A record with a two-octet owner, as upstreams write them. */
#define RECORD(owner, type, len, data) owner "\0" type IN TTL "\0" len data
#define OPT_RECORD "\0\0\x29\x04\xd0\0\0\0\0\0\0"

static struct msg_question question(uint16_t type, bool edns)
{
	struct msg_question q = {
		.id = 0x1234,
		.flags = MSG_RD,
		.type = type,
		.class = MSG_CLASS_IN,
		.edns = edns,
		.udp_size = 1232,
	};

	assert_true(name_from_text("WWW.example.com", &q.asked));
	q.name = name_lower(&q.asked);
	return q;
}

/* An upstream's message: flags, counts and what stands behind the question. */
struct upstream {
	uint8_t b[MSG_MAX];
	size_t len;
};

static struct upstream *upstream(uint16_t flags, uint16_t type, const uint16_t counts[3],
				 const char *records, size_t len)
{
	static struct upstream u;
	uint8_t *b = octets_put_u16(u.b, 0x9999);

	b = octets_put_u16(b, flags);
	b = octets_put_u16(b, 1);
	for (int i = 0; i < 3; i++)
		b = octets_put_u16(b, counts[i]);
	memcpy(b, QUESTION, sizeof(QUESTION) - 1);
	b = octets_put_u16(b + sizeof(QUESTION) - 1, type);
	b = octets_put_u16(b, MSG_CLASS_IN);
	memcpy(b, records, len);
	u.len = b + len - u.b;
	return &u;
}

static ssize_t reencode(const struct msg_question *q, const struct upstream *u,
			uint8_t *out, size_t max)
{
	/* Exact allocations, so that a sanitizer sees what goes over. */
	cleanup_free uint8_t *in = malloc(u->len), *tmp = malloc(max);
	ssize_t n;

	memcpy(in, u->b, u->len);
	n = answer_reencode(q, in, u->len, NULL, tmp, max);
	if (n > 0)
		memcpy(out, tmp, n);
	return n;
}

#define HEAD "\x12\x34\x81\x80\0\1"
#define ASKED(type) "\3WWW\7example\3com\0\0" type IN

static void test_chain_kept_and_spelt_as_asked(void **state)
{
	/* The second CNAME's owner is in the first one's data, at 33 + 12 = 45. */
	static const char records[] = RECORD("\xc0\x0c", "\5", "\6",
					     "\3cdn\xc0\x18")  /* at 33; cdn.cOm at 45 */
		RECORD("\xc0\x2d", "\5", "\5", "\2x1\xc0\x2d") /* x1.cdn.com at 63 */
		RECORD("\xc0\x3f", "\1", "\4", "\1\2\3\4")
			RECORD("\xc0\x3f", "\1", "\4", "\1\2\3\5");
	static const char want[] = HEAD "\0\4\0\0\0\0" ASKED("\1")
		RECORD("\xc0\x0c", "\5", "\6", "\3cdn\xc0\x18")
			RECORD("\xc0\x2d", "\5", "\5", "\2x1\xc0\x2d")
				RECORD("\xc0\x3f", "\1", "\4", "\1\2\3\4")
					RECORD("\xc0\x3f", "\1", "\4", "\1\2\3\5");
	struct msg_question q = question(MSG_TYPE_A, false);
	uint8_t out[MSG_UDP_PLAIN];
	ssize_t n = reencode(&q,
			     upstream(0x8180, 1, (uint16_t[]){ 4, 0, 0 }, BYTES(records)),
			     out, sizeof(out));

	(void)state;
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(out, want, n);
}

static void test_strangers_are_left_out(void **state)
{
	static const char records[] = RECORD("\xc0\x10", "\1", "\4",
					     "\6\6\6\6")  /* example.com's address */
		RECORD("\xc0\x18", "\x27", "\3", "\1x\0") /* DNAME of com */
		RECORD("\xc0\x0c", "\5", "\3", "\1y\0")
			RECORD("\1y\0", "\1", "\4", "\1\2\3\4")
				RECORD("\1z\0", "\1", "\4", "\6\6\6\6")
					RECORD("\1z\0", "\x27", "\3", "\1x\0")
						RECORD("\1z\0", "\5", "\3", "\1y\0");
	static const char want[] = HEAD "\0\3\0\0\0\0" ASKED("\1")
		RECORD("\xc0\x18", "\x27", "\3", "\1x\0")
			RECORD("\xc0\x0c", "\5", "\3", "\1y\0")
				RECORD("\xc0\x3c", "\1", "\4", "\1\2\3\4");
	struct msg_question q = question(MSG_TYPE_A, false);
	uint8_t out[MSG_UDP_PLAIN];
	ssize_t n = reencode(&q,
			     upstream(0x8180, 1, (uint16_t[]){ 7, 0, 0 }, BYTES(records)),
			     out, sizeof(out));

	(void)state;
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(out, want, n);
}

static void test_endless_chain_is_cut(void **state)
{
	uint8_t out[4096];
	struct msg_question q = question(MSG_TYPE_A, false);
	static char records[20 * 18];
	char *to = records;

	(void)state;
	for (int i = 0; i < 20; i++) {
		/* "a" -> "b" -> "c" … */
		char owner[] = { 1, 'a' + i, 0 }, target[] = { 1, 'b' + i, 0 };

		to = mempcpy(to, i ? owner : "\xc0\x0c", i ? 3 : 2);
		to = mempcpy(to, "\0\5" IN TTL "\0\3", 10);
		to = mempcpy(to, target, 3);
	}
	assert_int_equal(reencode(&q,
				  upstream(0x8180, 1, (uint16_t[]){ 20, 0, 0 }, records,
					   to - records),
				  out, sizeof(out)) > 0,
			 1);
	/* 16 aliases are followed; the 17th record belongs to the last of them. */
	assert_int_equal(octets_u16(out + 6), 17);
}

/* Names in data are taken out of compression; only those of RFC 1035 go back into it. */
static void test_names_in_data(void **state)
{
	static const struct {
		const char *what, *in;
		size_t in_len;
		const char *want;
		size_t want_len;
		uint8_t type;
	} rows[] = {
		{ "NS", BYTES("\2ns\xc0\x18"), BYTES("\2ns\xc0\x18"), 2 },
		{ "SOA",
		  BYTES("\2ns\xc0\x18\1h\xc0\x18"
			"abcdefghijklmnopqrst"),
		  BYTES("\2ns\xc0\x18\1h\xc0\x18"
			"abcdefghijklmnopqrst"),
		  6 },
		{ "MX, whole", BYTES("\0\x0a\4mail\7example\3com\0"),
		  BYTES("\0\x0a\4mail\xc0\x10"), 15 },
		{ "TXT", BYTES("\3abc\2de"), BYTES("\3abc\2de"), 16 },
		{ "AAAA", BYTES("0123456789abcdef"), BYTES("0123456789abcdef"), 28 },
		{ "SRV", BYTES("\0\1\0\2\0\x50\xc0\x18"), BYTES("\0\1\0\2\0\x50\3cOm\0"),
		  33 },
		{ "NAPTR", BYTES("\0\1\0\2\1u\3sip\4!x!!\xc0\x18"),
		  BYTES("\0\1\0\2\1u\3sip\4!x!!\3cOm\0"), 35 },
		{ "DNAME", BYTES("\xc0\x18"), BYTES("\3cOm\0"), 39 },
		{ "RRSIG", BYTES("123456789012345678\3com\0signature"),
		  BYTES("123456789012345678\3com\0signature"), 46 },
		{ "NSEC", BYTES("\xc0\x18\0\1\x40"), BYTES("\3cOm\0\0\1\x40"), 47 },
		{ "DS", BYTES("\xc0\x0c\xff"), BYTES("\xc0\x0c\xff"), 43 },
		{ "SVCB", BYTES("\0\1\0\0\4\0\4\1\2\3\4"),
		  BYTES("\0\1\0\0\4\0\4\1\2\3\4"), 64 },
		{ "HTTPS", BYTES("\0\1\0\0\4\0\4\1\2\3\4"),
		  BYTES("\0\1\0\0\4\0\4\1\2\3\4"), 65 },
		{ "unknown", BYTES("\xc0\x0c\xff"), BYTES("\xc0\x0c\xff"), 200 },
		{ "unknown, empty", BYTES(""), BYTES(""), 200 },
	};
	struct msg_question q = question(MSG_TYPE_ANY, false);
	uint8_t out[MSG_UDP_PLAIN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char record[128] = { 0xc0, 0x0c, 0, rows[i].type, 0, 1, 0, 0, 1, 0x2c };
		ssize_t n;

		record[11] = rows[i].in_len;
		memcpy(record + 12, rows[i].in, rows[i].in_len);
		n = reencode(&q,
			     upstream(0x8180, 255, (uint16_t[]){ 1, 0, 0 }, record,
				      12 + rows[i].in_len),
			     out, sizeof(out));
		if (n != 33 + 12 + (ssize_t)rows[i].want_len ||
		    octets_u16(out + 33 + 10) != rows[i].want_len ||
		    memcmp(out + 45, rows[i].want, rows[i].want_len))
			fail_msg("%s", rows[i].what);
	}
}

static void test_flags_and_opt(void **state)
{
	static const char opt[] = "\0\0\x29\x10\0\1\0\x80\0\0\6\0\x0f\0\2\0\1";
	struct msg_question q = question(MSG_TYPE_A, true);
	uint8_t out[MSG_UDP_PLAIN];
	ssize_t n;

	(void)state;
	/* AA, TC, RA, AD and NXDOMAIN come through, Z doesn't; the rcode's upper bits and the
	 * Extended DNS Error are in OPT. */
	n = reencode(&q, upstream(0x86e3, 1, (uint16_t[]){ 0, 0, 1 }, BYTES(opt)), out,
		     sizeof(out));
	assert_int_equal(n, 33 + MSG_OPT + 6);
	assert_int_equal(octets_u16(out + 2), 0x87a3);
	assert_memory_equal(out + 33, "\0\0\x29\x04\xd0\1\0\0\0\0\6\0\x0f\0\2\0\1",
			    MSG_OPT + 6);
	assert_int_equal(octets_u16(out + 10), 1);

	/* A child without EDNS gets none, and no half of an rcode. */
	q.edns = false;
	n = reencode(&q, upstream(0x8180, 1, (uint16_t[]){ 0, 0, 1 }, BYTES(opt)), out,
		     sizeof(out));
	assert_int_equal(n, 33);
	assert_int_equal(octets_u16(out + 2), 0x8182);
	assert_int_equal(octets_u16(out + 10), 0);

	/* A child with EDNS has it even if upstream hasn't. */
	q.edns = true;
	n = reencode(&q, upstream(0x8180, 1, (uint16_t[]){ 0, 0, 0 }, BYTES("")), out,
		     sizeof(out));
	assert_int_equal(n, 33 + MSG_OPT);
}

static void test_extended_error_of_upstream(void **state)
{
	static const struct {
		const char *what, *opt;
		size_t len;
		int ede;
	} rows[] = {
		{ "none", BYTES("\0\0\x29\4\xd0\0\0\0\0\0\0"), -1 },
		{ "alone", BYTES("\0\0\x29\4\xd0\0\0\0\0\0\6\0\x0f\0\2\1\2"), 0x102 },
		{ "with text, behind a cookie, before another",
		  BYTES("\0\0\x29\4\xd0\0\0\0\0\0\x17\0\x0a\0\1x"
			"\0\x0f\0\6\0\6text\0\x0f\0\4\0\7yz"),
		  6 },
		{ "too short", BYTES("\0\0\x29\4\xd0\0\0\0\0\0\5\0\x0f\0\1\1"), -1 },
		{ "longer than OPT", BYTES("\0\0\x29\4\xd0\0\0\0\0\0\6\0\x0f\0\3\1\2"),
		  -1 },
	};
	struct msg_question q = question(MSG_TYPE_A, true);
	uint8_t out[MSG_UDP_PLAIN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ssize_t n = reencode(&q,
				     upstream(0x8180, 1, (uint16_t[]){ 0, 0, 1 },
					      rows[i].opt, rows[i].len),
				     out, sizeof(out));

		if (n != 33 + MSG_OPT + (rows[i].ede < 0 ? 0 : 6) ||
		    (rows[i].ede >= 0 && octets_u16(out + n - 2) != rows[i].ede))
			fail_msg("%s", rows[i].what);
	}
}

static void test_malformed(void **state)
{
	static const struct {
		const char *what, *records;
		size_t len;
		uint16_t counts[3];
	} rows[] = {
		{ "a record short", BYTES(""), { 1, 0, 0 } },
		{ "an authority record short",
		  BYTES(RECORD("\xc0\x0c", "\1", "\4", "\1\2\3\4")),
		  { 1, 1, 0 } },
		{ "65535 records",
		  BYTES(RECORD("\xc0\x0c", "\1", "\4", "\1\2\3\4")),
		  { 0xffff, 0, 0 } },
		{ "no owner", BYTES("\3ab"), { 1, 0, 0 } },
		{ "fixed part cut", BYTES("\xc0\x0c\0\1\0\1\0\0\0\0\0"), { 1, 0, 0 } },
		{ "data cut",
		  BYTES(RECORD("\xc0\x0c", "\1", "\4", "\1\2\3")),
		  { 1, 0, 0 } },
		{ "owner points to itself",
		  BYTES(RECORD("\xc0\x21", "\1", "\4", "\1\2\3\4")),
		  { 1, 0, 0 } },
		{ "A of 3", BYTES(RECORD("\xc0\x0c", "\1", "\3", "\1\2\3")), { 1, 0, 0 } },
		{ "A of 5",
		  BYTES(RECORD("\xc0\x0c", "\1", "\5", "\1\2\3\4\5")),
		  { 1, 0, 0 } },
		{ "AAAA of 4",
		  BYTES(RECORD("\xc0\x0c", "\x1c", "\4", "\1\2\3\4")),
		  { 1, 0, 0 } },
		{ "MX of 1", BYTES(RECORD("\xc0\x0c", "\x0f", "\1", "\1")), { 1, 0, 0 } },
		{ "MX without a name",
		  BYTES(RECORD("\xc0\x0c", "\x0f", "\2", "\0\1")),
		  { 1, 0, 0 } },
		{ "CNAME with a rest",
		  BYTES(RECORD("\xc0\x0c", "\5", "\3", "\xc0\x0cx")),
		  { 1, 0, 0 } },
		{ "CNAME reaching over its data",
		  BYTES(RECORD("\xc0\x0c", "\5", "\2", "\3a") "bc\0"),
		  { 1, 0, 0 } },
		{ "SOA cut",
		  BYTES(RECORD("\xc0\x0c", "\6", "\5", "\0\0abc")),
		  { 1, 0, 0 } },
		{ "NAPTR's string too long",
		  BYTES(RECORD("\xc0\x0c", "\x23", "\6", "\0\1\0\1\x09x")),
		  { 1, 0, 0 } },
		{ "NAPTR without strings",
		  BYTES(RECORD("\xc0\x0c", "\x23", "\4", "\0\1\0\1")),
		  { 1, 0, 0 } },
		{ "RRSIG without a signer",
		  BYTES(RECORD("\xc0\x0c", "\x2e", "\3", "123")),
		  { 1, 0, 0 } },
		{ "in authority",
		  BYTES(RECORD("\xc0\x0c", "\2", "\2", "\3a")),
		  { 0, 1, 0 } },
		{ "in additional",
		  BYTES(RECORD("\xc0\x0c", "\1", "\1", "x")),
		  { 0, 0, 1 } },
		{ "OPT cut", BYTES("\0\0\x29\4\xd0\0\0\0\0\0\4"), { 0, 0, 1 } },
	};
	struct msg_question q = question(MSG_TYPE_ANY, true);
	uint8_t out[MSG_UDP_PLAIN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (reencode(&q,
			     upstream(0x8180, 255, rows[i].counts, rows[i].records,
				      rows[i].len),
			     out, sizeof(out)) != -EBADMSG)
			fail_msg("%s: was taken", rows[i].what);
	assert_int_equal(answer_reencode(&q, (const uint8_t *)"123", 3, NULL, out,
					 sizeof(out)),
			 -EBADMSG);
	/* Questions that aren't one, though there is but one. */
	for (uint8_t count = 0; count < 3; count++) {
		struct upstream *u = upstream(
			0x8180, 255, (uint16_t[3]){ 1, 0, 0 },
			BYTES(RECORD("\xc0\x0c", "\1", "\4", "\1\2\3\4")));

		u->b[5] = count;
		assert_int_equal(reencode(&q, u, out, sizeof(out)) > 0, count == 1);
	}
	/* What stands behind the last record is dropped. */
	assert_int_equal(
		reencode(&q, upstream(0x8180, 255, (uint16_t[3]){ 0 }, BYTES("junk")),
			 out, sizeof(out)),
		33 + MSG_OPT);
}

/* n records of 16 octets, by the owner given. */
static size_t fill(char *to, const char *owner, uint8_t type, int n)
{
	for (int i = 0; i < n; i++, to += 16) {
		memcpy(to, RECORD("\xc0\x0c", "\1", "\4", "\0\0\0\0"), 16);
		memcpy(to, owner, 2);
		to[3] = type;
		to[15] = i;
	}
	return 16 * n;
}

static void test_cut_at_a_record(void **state)
{
	static char records[16 * 64];
	struct msg_question q = question(MSG_TYPE_A, true);
	uint8_t out[MSG_UDP_PLAIN];
	size_t len = fill(records, "\xc0\x0c", 1, 64);
	ssize_t n;

	(void)state;
	n = reencode(&q, upstream(0x8180, 1, (uint16_t[]){ 64, 0, 0 }, records, len), out,
		     sizeof(out));
	/* (512 - 33 - 11) / 16 */
	assert_int_equal(n, 33 + 29 * 16 + MSG_OPT);
	assert_int_equal(octets_u16(out + 6), 29);
	assert_int_equal(octets_u16(out + 10), 1);
	assert_true(octets_u16(out + 2) & MSG_TC);
	/* What fits exactly is not cut. */
	n = reencode(&q, upstream(0x8180, 1, (uint16_t[]){ 29, 0, 0 }, records, 29 * 16),
		     out, sizeof(out));
	assert_int_equal(octets_u16(out + 6), 29);
	assert_false(octets_u16(out + 2) & MSG_TC);
	/* Nor is anything in a buffer large enough for TCP. */
	n = reencode(&q, upstream(0x8180, 1, (uint16_t[]){ 64, 0, 0 }, records, len),
		     (uint8_t[2048]){ 0 }, 2048);
	assert_int_equal(n, 33 + 64 * 16 + MSG_OPT);
}

static void test_cut_in_authority(void **state)
{
	static char records[16 * 64];
	struct msg_question q = question(MSG_TYPE_A, false);
	uint8_t out[MSG_UDP_PLAIN];
	size_t len = fill(records, "\xc0\x0c", 1, 2);

	(void)state;
	len += fill(records + len, "\xc0\x18", 43, 60);
	assert_true(reencode(&q,
			     upstream(0x8180, 1, (uint16_t[]){ 2, 60, 0 }, records, len),
			     out, sizeof(out)) > 0);
	assert_int_equal(octets_u16(out + 6), 2);
	assert_int_equal(octets_u16(out + 8), 27); /* (512 - 33) / 16 - 2 */
	assert_true(octets_u16(out + 2) & MSG_TC);
}

static void test_cut_in_additional(void **state)
{
	static char records[16 * 64];
	struct msg_question q = question(MSG_TYPE_A, false);
	uint8_t out[MSG_UDP_PLAIN];
	size_t len = fill(records, "\xc0\x0c", 1, 2);

	(void)state;
	len += fill(records + len, "\xc0\x10", 1, 10);
	len += fill(records + len, "\xc0\x18", 1, 40);
	/* The set that doesn't fit is left out whole, and nobody needs it. */
	assert_true(reencode(&q,
			     upstream(0x8180, 1, (uint16_t[]){ 2, 0, 50 }, records, len),
			     out, sizeof(out)) == 33 + 12 * 16);
	assert_int_equal(octets_u16(out + 10), 10);
	assert_false(octets_u16(out + 2) & MSG_TC);
	/* In a referral it is glue, which is needed. */
	assert_true(reencode(&q,
			     upstream(0x8180, 1, (uint16_t[]){ 0, 2, 50 }, records, len),
			     out, sizeof(out)) == 33 + 12 * 16);
	assert_int_equal(octets_u16(out + 10), 10);
	assert_true(octets_u16(out + 2) & MSG_TC);
}

/* Decoded names can be far longer than what they were: 2,000 times a pointer to a name of
 * 250 octets that may not be compressed again. */
static void test_answer_that_grows(void **state)
{
	static char records[300 + 2000 * 14];
	static uint8_t out[MSG_MAX];
	struct msg_question q = question(MSG_TYPE_ANY, false);
	char *to = records;
	ssize_t n;

	(void)state;
	to = mempcpy(to, "\xc0\x0c\0\x27" IN TTL "\0\xfd", 12); /* DNAME of 253 at 45 */
	for (int i = 0; i < 4; i++) {
		*to++ = 62;
		to = mempcpy(
			to,
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
			62);
	}
	*to++ = 0;
	for (int i = 0; i < 2000; i++)
		to = mempcpy(to, RECORD("\xc0\x0c", "\x27", "\2", "\xc0\x2d"), 14);
	n = reencode(&q,
		     upstream(0x8180, 255, (uint16_t[]){ 2001, 0, 0 }, records,
			      to - records),
		     out, sizeof(out));
	/* (65535 - 33) / 265 */
	assert_int_equal(octets_u16(out + 6), 247);
	assert_int_equal(n, 33 + 247 * 265);
	assert_true(octets_u16(out + 2) & MSG_TC);
}

static void test_walk(void **state)
{
	static const char records[] = RECORD("\xc0\x0c", "\5", "\3", "\1y\0")
		RECORD("\1y\0", "\1", "\4", "\1\2\3\4")
			RECORD("\1y\0", "\x1c", "\x10",
			       "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")
				RECORD("\1y\0", "\2", "\2", "\xc0\x18") OPT_RECORD;
	const struct upstream *u = upstream(0x8180, 1, (uint16_t[]){ 3, 1, 1 },
					    BYTES(records));
	static const enum answer_section sections[] = { ANSWER_ANSWER, ANSWER_ANSWER,
							ANSWER_ANSWER, ANSWER_AUTHORITY,
							ANSWER_ADDITIONAL };
	static const uint16_t types[] = { MSG_TYPE_CNAME, MSG_TYPE_A, MSG_TYPE_AAAA, 2,
					  MSG_TYPE_OPT };
	struct answer_walk w;
	struct answer_record r;
	struct addr a;
	struct name n;
	char text[NAME_TEXT_MAX], addr[ADDR_TEXT_MAX];

	(void)state;
	answer_walk_init(&w, u->b, u->len);
	for (int i = 0; i < 5; i++) {
		assert_true(answer_walk_next(&w, &r));
		assert_int_equal(r.section, sections[i]);
		assert_int_equal(r.type, types[i]);
		assert_int_equal(answer_cname(&w, &r, &n), i == 0);
		assert_int_equal(answer_address(&w, &r, &a), i == 1 || i == 2);
		if (i == 0)
			assert_string_equal(name_to_text(&n, text), "y");
		if (i == 1)
			assert_string_equal(addr_format(&a, addr), "1.2.3.4");
		if (i == 2)
			assert_string_equal(addr_format(&a, addr), "2001:db8::1");
		if (i < 4)
			assert_int_equal(r.ttl_s, 300);
	}
	assert_false(answer_walk_next(&w, &r));
	assert_false(w.malformed);
	assert_false(answer_lacks_opt(u->b, u->len));
	assert_false(answer_lacks_opt(u->b, u->len - 1)); /* malformed */
	u = upstream(0x8181, 1, (uint16_t[]){ 0, 0, 0 }, "", 0);
	assert_true(answer_lacks_opt(u->b, u->len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_kept_and_spelt_as_asked),
		cmocka_unit_test(test_strangers_are_left_out),
		cmocka_unit_test(test_endless_chain_is_cut),
		cmocka_unit_test(test_names_in_data),
		cmocka_unit_test(test_flags_and_opt),
		cmocka_unit_test(test_extended_error_of_upstream),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_cut_at_a_record),
		cmocka_unit_test(test_cut_in_authority),
		cmocka_unit_test(test_cut_in_additional),
		cmocka_unit_test(test_answer_that_grows),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
