#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/msg.h"
#include "dns/octets.h"
#include "queries.h"

static enum msg_verdict parse(const char *msg, size_t len, struct msg_question *q)
{
	/* On the heap, so that a sanitizer sees a read past the end. */
	cleanup_free uint8_t *copy = malloc(MAX(len, 1u));

	memcpy(copy, msg, len);
	return msg_parse_query(copy, len, q);
}

static void test_table(void **state)
{
	struct msg_question q;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
		if (parse(queries[i].msg, queries[i].len, &q) != queries[i].verdict)
			fail_msg("%s: not verdict %d", queries[i].what,
				 queries[i].verdict);
}

/* Whatever upstream is sent is one plain question: the parser takes it, and as the same. */
static void test_built_queries_are_plain(void **state)
{
	struct msg_question q, again;
	uint8_t out[MSG_QUERY_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		if (parse(queries[i].msg, queries[i].len, &q) != MSG_PLAIN)
			continue;
		for (int edns = 0; edns < 2; edns++) {
			size_t n = msg_build_query(&q, 77, 0x5555555555555555, edns, out);

			assert_int_equal(msg_parse_query(out, n, &again), MSG_PLAIN);
			assert_int_equal(again.id, 77);
			assert_int_equal(again.type, q.type);
			assert_int_equal(again.class, q.class);
			assert_int_equal(again.flags, q.flags);
			assert_true(name_eq(&again.name, &q.name));
			assert_int_equal(again.edns, edns);
			assert_int_equal(again.dnssec_ok, edns && q.dnssec_ok);
		}
	}
}

static void test_what_is_read(void **state)
{
	struct msg_question q;

	(void)state;
	assert_int_equal(
		parse(BYTES("\xab\xcd\x01\x30" ONE NONE NONE ONE
			    "\3WwW\0\0\x1c" IN OPT("\x10\0", "\0", "\x80\0", NONE)),
		      &q),
		MSG_PLAIN);
	assert_int_equal(q.id, 0xabcd);
	assert_int_equal(q.flags, MSG_RD | MSG_AD | MSG_CD);
	assert_memory_equal(q.asked.b, "\3WwW", 5);
	assert_memory_equal(q.name.b, "\3www", 5);
	assert_int_equal(q.type, MSG_TYPE_AAAA);
	assert_int_equal(q.class, MSG_CLASS_IN);
	assert_true(q.edns && q.dnssec_ok);
	assert_int_equal(q.udp_size, 4096);
	assert_int_equal(msg_udp_limit(&q), 1232);
	q.udp_size = 100;
	assert_int_equal(msg_udp_limit(&q), 512);
	q.udp_size = 1000;
	assert_int_equal(msg_udp_limit(&q), 1000);
	q.edns = false;
	assert_int_equal(msg_udp_limit(&q), 512);
}

static void test_query_bytes(void **state)
{
	static const char want[] = "\x00\x07\x01\x30" ONE NONE NONE ONE
				   "\3wWw\0\0\x1c" IN OPT("\x04\xd0", "\0", "\x80\0",
							  NONE);
	struct msg_question q;
	uint8_t out[MSG_QUERY_MAX];

	(void)state;
	/* The options and the child's spelling don't go along. */
	parse(BYTES("\xab\xcd\x01\x30" ONE NONE NONE ONE
		    "\3WWW\0\0\x1c" IN OPT("\x10\0", "\0", "\x80\0", "\0\4\0\x0a\0\0")),
	      &q);
	assert_int_equal(msg_build_query(&q, 7, 1 << 2, true, out), sizeof(want) - 1);
	assert_memory_equal(out, want, sizeof(want) - 1);
	assert_int_equal(msg_build_query(&q, 7, 0, false, out),
			 sizeof(want) - 1 - MSG_OPT);
	assert_memory_equal(out + 8, "\0\0\0\0\3www\0\0\x1c\0\1", 13);
}

static void test_match(void **state)
{
	struct msg_question q;
	uint8_t msg[MSG_QUERY_MAX];
	size_t n;

	(void)state;
	parse(BYTES(PLAIN NAME A IN), &q);
	n = msg_build_query(&q, 0x1234, ~0ull, false, msg);
	assert_int_equal(msg_match_answer(msg, n, &q, 0x1234, ~0ull), MSG_MISMATCH);
	msg[2] |= 0x80;
	assert_int_equal(msg_match_answer(msg, n, &q, 0x1234, ~0ull), MSG_MATCH);
	assert_int_equal(msg_match_answer(msg, n, &q, 0x1234, 0), MSG_MATCH_CASE);
	assert_int_equal(msg_match_answer(msg, n, &q, 0x1235, ~0ull), MSG_MISMATCH);
	assert_int_equal(msg_match_answer(msg, n - 1, &q, 0x1234, ~0ull), MSG_MISMATCH);
	assert_int_equal(msg_match_answer(msg, 11, &q, 0x1234, ~0ull), MSG_MISMATCH);
	/* Opcode, number of questions, name, type, class. */
	for (size_t i = 2; i < n; i++) {
		static const uint8_t flip[] = { 0x08, 0x00, 0x01, 0x01 };
		uint8_t bit = i < 6 ? flip[i - 2] : i < MSG_HEADER ? 0 : 0x02;

		msg[i] ^= bit;
		assert_int_equal(msg_match_answer(msg, n, &q, 0x1234, ~0ull),
				 bit ? MSG_MISMATCH : MSG_MATCH);
		msg[i] ^= bit;
	}
}

static void test_error_replies(void **state)
{
	struct msg_question q;
	uint8_t out[MSG_UDP_PLAIN];
	size_t n;

	(void)state;
	/* Unreadable: a header. */
	parse(BYTES(ID RD TWO NONE NONE NONE NAME A IN NAME A IN), &q);
	n = msg_reply(&q, MSG_FORMERR, MSG_NO_EDE, out, sizeof(out));
	assert_int_equal(n, MSG_HEADER);
	assert_memory_equal(out, ID "\x81\x81" NONE NONE NONE NONE, n);

	/* The opcode is echoed, but not AA, TC, AD. */
	parse(BYTES(ID "\x2e\x20" ONE NONE NONE NONE NAME "\0\6" IN), &q);
	n = msg_reply(&q, MSG_NOTIMP, MSG_NO_EDE, out, sizeof(out));
	assert_memory_equal(out, ID "\xa8\x84" NONE NONE NONE NONE, n);

	/* The question as it was spelt, and OPT with the rcode's upper bits. */
	parse(BYTES(EDNS "\3wWw\0" A IN OPT("\x04\xd0", "\1", "\x80\0", NONE)), &q);
	n = msg_reply(&q, MSG_BADVERS, MSG_NO_EDE, out, sizeof(out));
	assert_int_equal(n, MSG_HEADER + 9 + MSG_OPT);
	assert_memory_equal(out,
			    ID "\x81\x80" ONE NONE NONE ONE "\3wWw\0" A IN
			       "\0\0\x29\x04\xd0\1\0\x80\0\0\0",
			    n);

	/* Without OPT the upper bits have no place. */
	q.edns = false;
	n = msg_reply(&q, MSG_BADVERS, MSG_NO_EDE, out, sizeof(out));
	assert_int_equal(msg_header_rcode(out), MSG_SERVFAIL);
	assert_int_equal(n, MSG_HEADER + 9);
}

static void test_extended_error(void **state)
{
	struct msg_question q;
	uint8_t out[MSG_UDP_PLAIN];
	size_t n;

	(void)state;
	parse(BYTES(EDNS "\1a\0" A IN OPT_PLAIN), &q);
	n = msg_reply(&q, MSG_NOERROR, MSG_EDE_NETWORK_ERROR, out, sizeof(out));
	assert_int_equal(n, MSG_HEADER + 7 + MSG_OPT + 6);
	assert_memory_equal(out,
			    ID "\x81\x80" ONE NONE NONE ONE "\1a\0" A IN
			       "\0\0\x29\x04\xd0\0\0\0\0\0\6\0\x0f\0\2\0\x17",
			    n);
	q.edns = false;
	assert_int_equal(msg_reply(&q, MSG_NOERROR, MSG_EDE_NETWORK_ERROR, out,
				   sizeof(out)),
			 MSG_HEADER + 7);
}

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static void test_address_replies(void **state)
{
	const struct addr addrs[] = { addr_of("192.0.2.1"), addr_of("2001:db8::1"),
				      addr_of("192.0.2.2") };
	struct msg_question q;
	uint8_t out[MSG_UDP_PLAIN];
	size_t n;

	(void)state;
	parse(BYTES(PLAIN "\1A\0" A IN), &q);
	n = msg_reply_addrs(&q, addrs, 3, 60, out, sizeof(out));
	assert_int_equal(n, MSG_HEADER + 7 + 2 * 16);
	assert_memory_equal(out,
			    ID "\x81\x80" ONE TWO NONE NONE "\1A\0" A IN "\xc0\x0c" A IN
			       "\0\0\0\x3c\0\4\xc0\0\2\1"
			       "\xc0\x0c" A IN "\0\0\0\x3c\0\4\xc0\0\2\2",
			    n);
	q.type = MSG_TYPE_AAAA;
	n = msg_reply_addrs(&q, addrs, 3, 60, out, sizeof(out));
	assert_int_equal(n, MSG_HEADER + 7 + 28);
	assert_memory_equal(out + MSG_HEADER + 7,
			    "\xc0\x0c\0\x1c\0\1\0\0\0\x3c\0\x10\x20\1\x0d\xb8", 16);
	q.type = MSG_TYPE_ANY;
	n = msg_reply_addrs(&q, addrs, 3, 60, out, sizeof(out));
	assert_int_equal(octets_u16(out + 6), 3);
	assert_int_equal(n, MSG_HEADER + 7 + 2 * 16 + 28);
	q.type = MSG_TYPE_HTTPS;
	n = msg_reply_addrs(&q, addrs, 3, 60, out, sizeof(out));
	assert_int_equal(octets_u16(out + 6), 0);
	assert_int_equal(n, MSG_HEADER + 7);
}

static void test_reply_is_cut(void **state)
{
	struct addr addrs[64];
	struct msg_question q;
	uint8_t out[MSG_UDP_PLAIN + 1];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++)
		addrs[i] = addr_of("192.0.2.1");
	out[MSG_UDP_PLAIN] = 0xee;
	parse(BYTES(EDNS "\1a\0" A IN OPT_PLAIN), &q);
	n = msg_reply_addrs(&q, addrs, 64, 60, out, MSG_UDP_PLAIN);
	/* (512 - 12 - 7 - 11) / 16 */
	assert_int_equal(octets_u16(out + 6), 30);
	assert_int_equal(n, MSG_HEADER + 7 + 30 * 16 + MSG_OPT);
	assert_true(octets_u16(out + 2) & MSG_TC);
	assert_int_equal(octets_u16(out + 10), 1);
	assert_int_equal(out[MSG_UDP_PLAIN], 0xee);
	n = msg_reply_addrs(&q, addrs, 30, 60, out, MSG_UDP_PLAIN);
	assert_false(octets_u16(out + 2) & MSG_TC);
}

static void test_ptr_reply(void **state)
{
	struct msg_question q;
	struct name target;
	uint8_t out[MSG_UDP_PLAIN];
	size_t n;

	(void)state;
	parse(BYTES(PLAIN "\3com\0\0\x0c" IN), &q);
	assert_true(name_from_text("a.com", &target));
	n = msg_reply_ptr(&q, &target, 60, out, sizeof(out));
	assert_memory_equal(out,
			    ID "\x81\x80" ONE ONE NONE NONE "\3com\0\0\x0c" IN
			       "\xc0\x0c\0\x0c" IN "\0\0\0\x3c\0\4\1a\xc0\x0c",
			    n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_built_queries_are_plain),
		cmocka_unit_test(test_what_is_read),
		cmocka_unit_test(test_query_bytes),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_error_replies),
		cmocka_unit_test(test_extended_error),
		cmocka_unit_test(test_address_replies),
		cmocka_unit_test(test_reply_is_cut),
		cmocka_unit_test(test_ptr_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
