/* Fragments: any order makes the whole, and nothing odd does. */
#include "netif/reass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static struct reass *r;
static uint8_t want[65600];
static uint8_t frame[66000];

static int setup(void **state)
{
	(void)state;
	r = reass_new();
	assert_non_null(r);
	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = i * 31 + i / 251;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	reass_free(r);
	return 0;
}

/* A piece of `want`, as a child would send it. */
static struct packet piece(bool v4, uint32_t id, size_t offset, size_t len, bool more)
{
	struct addr src, dst;
	struct packet pkt;
	size_t hlen;

	assert_true(addr_parse(v4 ? "10.240.0.2" : "fd42::2", &src));
	assert_true(addr_parse(v4 ? "203.0.113.9" : "2001:db8::9", &dst));
	hlen = packet_ip_header(frame, &src, &dst, v4 ? IPPROTO_UDP : IPPROTO_FRAGMENT,
				64, len + (v4 ? 0 : 8));
	if (v4) {
		uint16_t sum;

		memcpy(frame + 4, (uint8_t[]){ id >> 8, id }, 2);
		memcpy(frame + 6,
		       (uint8_t[]){ (more ? 0x20 : 0) | offset / 8 >> 8, offset / 8 }, 2);
		memset(frame + 10, 0, 2);
		sum = ~packet_sum(frame, hlen, 0);
		memcpy(frame + 10, &sum, 2);
	} else {
		memcpy(frame + hlen,
		       (uint8_t[]){ IPPROTO_UDP, 0, offset >> 8, (offset & 0xf8) | more,
				    0, 0, id >> 8, id },
		       8);
		hlen += 8;
	}
	memcpy(frame + hlen, want + offset, len);
	assert_int_equal(packet_parse(frame, hlen + len, &pkt), PACKET_FRAGMENT);
	assert_int_equal(pkt.fragment.offset, offset);
	assert_int_equal(pkt.fragment.more, more);
	return pkt;
}

static uint8_t *add(bool v4, uint32_t id, size_t offset, size_t len, bool more,
		    uint64_t now_ms, size_t *out)
{
	struct packet pkt = piece(v4, id, offset, len, more);

	return reass_add(r, &pkt, now_ms, out);
}

static void check(uint8_t *ip, const size_t *len, size_t data_len)
{
	struct packet pkt;

	assert_non_null(ip);
	assert_int_equal(packet_parse(ip, *len, &pkt), PACKET_OK);
	assert_int_equal(pkt.protocol, IPPROTO_UDP);
	assert_int_equal(pkt.l4_len, data_len);
	assert_memory_equal(pkt.l4, want, data_len);
	assert_false(pkt.v4 && pkt.dont_fragment);
}

static void in_order(void **state)
{
	size_t len;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		assert_null(add(v4, 1, 0, 1480, true, 0, &len));
		assert_null(add(v4, 1, 1480, 1480, true, 0, &len));
		check(add(v4, 1, 2960, 7, false, 0, &len), &len, 2967);
	}
}

static void backwards_and_interleaved(void **state)
{
	size_t len;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		for (int id = 1; id < 5; id++)
			assert_null(add(v4, id, 2960, id, false, 0, &len));
		for (int id = 1; id < 5; id++)
			assert_null(add(v4, id, 1480, 1480, true, 0, &len));
		for (int id = 1; id < 5; id++)
			check(add(v4, id, 0, 1480, true, 0, &len), &len, 2960 + id);
	}
}

static void the_largest_datagram(void **state)
{
	size_t len;
	uint8_t *ip = NULL;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		size_t total = v4 ? 65515 : 65535; /* IPv4 counts its header, too */

		for (size_t off = 0; off < total; off += 1480)
			ip = add(v4, 9, off, MIN(1480, total - off), off + 1480 < total,
				 0, &len);
		check(ip, &len, total);
	}
}

static void overlaps_void_the_datagram(void **state)
{
	size_t len;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		assert_null(add(v4, 1, 0, 1480, true, 0, &len));
		assert_null(add(v4, 1, 1472, 16, true, 0, &len));
		assert_null(add(v4, 1, 1480, 8, false, 0, &len));
		assert_null(add(v4, 2, 0, 8, true, 0, &len));
		assert_null(add(v4, 2, 0, 8, true, 0, &len)); /* twice */
		assert_null(add(v4, 2, 8, 8, false, 0, &len));
	}
}

static void contradictory_ends_void_the_datagram(void **state)
{
	size_t len;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		assert_null(add(v4, 1, 16, 8, false, 0, &len));
		assert_null(add(v4, 1, 24, 8, true, 0, &len)); /* behind the end */
		assert_null(add(v4, 2, 16, 8, false, 0, &len));
		assert_null(add(v4, 2, 8, 8, false, 0, &len)); /* a second end */
		assert_null(add(v4, 3, 32, 8, true, 0, &len));
		assert_null(add(v4, 3, 8, 8, false, 0, &len)); /* before what came */
		assert_null(add(v4, 3, 0, 8, true, 0, &len));
		assert_null(add(v4, 4, 0, 9, true, 0, &len)); /* not whole blocks */
		assert_null(add(v4, 4, 16, 8, false, 0, &len));
		assert_null(add(v4, 5, 65528, 16, false, 0, &len)); /* too large */
	}
}

static void stale_pieces_are_forgotten(void **state)
{
	size_t len;

	(void)state;
	for (int v4 = 0; v4 < 2; v4++) {
		assert_null(add(v4, 1, 0, 8, true, 1000, &len));
		assert_null(add(v4, 1, 8, 8, false, 31001, &len));
		check(add(v4, 1, 0, 8, true, 31002, &len), &len, 16);
	}
}

static void a_flood_evicts_the_oldest(void **state)
{
	size_t len;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_null(add(true, i, 0, 8, true, i, &len));
	assert_null(add(true, 1, 8, 8, false, 1000, &len));
	check(add(true, 999, 8, 8, false, 1001, &len), &len, 16);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(in_order),
		T(backwards_and_interleaved),
		T(the_largest_datagram),
		T(overlaps_void_the_datagram),
		T(contradictory_ends_void_the_datagram),
		T(stale_pieces_are_forgotten),
		T(a_flood_evicts_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
