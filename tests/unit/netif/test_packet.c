/* Strict reading of IP packets: what contradicts itself goes no further. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "netif/packet.h"

static struct addr addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static size_t header(uint8_t *out, const char *from, const char *to, uint8_t protocol,
		     size_t l4_len)
{
	struct addr src = addr(from), dst = addr(to);

	return packet_ip_header(out, &src, &dst, protocol, 64, l4_len);
}

static void resum(uint8_t *ip)
{
	uint16_t sum;

	memset(ip + 10, 0, 2);
	sum = ~packet_sum(ip, (ip[0] & 15) * 4u, 0);
	memcpy(ip + 10, &sum, 2);
}

static void reads_v4(void **state)
{
	uint8_t ip[64] = { 0 };
	size_t hlen = header(ip, "10.0.0.1", "203.0.113.9", IPPROTO_UDP, 12);
	struct packet pkt;

	(void)state;
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_OK);
	assert_true(pkt.v4);
	assert_int_equal(pkt.protocol, IPPROTO_UDP);
	assert_ptr_equal(pkt.l4, ip + hlen);
	assert_int_equal(pkt.l4_len, 12); /* the frame's padding is not the packet's */
	assert_int_equal(pkt.ip_len, 32);
	assert_true(addr_is_v4(&pkt.dst));
	assert_int_equal(pkt.dst.b[15], 9);
}

static void skips_v4_options(void **state)
{
	uint8_t ip[64] = { 0 };
	struct packet pkt;

	(void)state;
	header(ip, "10.0.0.1", "203.0.113.9", IPPROTO_UDP, 12);
	ip[0] = 0x46;
	resum(ip);
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_OK);
	assert_ptr_equal(pkt.l4, ip + 24);
	assert_int_equal(pkt.l4_len, 8);
}

static void refuses_bad_v4(void **state)
{
	uint8_t good[64] = { 0 }, ip[64];
	struct packet pkt;

	(void)state;
	header(good, "10.0.0.1", "203.0.113.9", IPPROTO_UDP, 12);
#define EXPECT_BAD(change, len)       \
	memcpy(ip, good, sizeof(ip)); \
	change;                       \
	assert_int_equal(packet_parse(ip, len, &pkt), PACKET_MALFORMED)
	EXPECT_BAD((void)0, 0);
	EXPECT_BAD((void)0, 19);
	EXPECT_BAD((void)0, 31);		 /* shorter than it says */
	EXPECT_BAD(ip[0] = 0x44; resum(ip), 64); /* header of 16 bytes */
	EXPECT_BAD(ip[0] = 0x4f; resum(ip), 64); /* header longer than the packet */
	EXPECT_BAD(ip[3] = 19; resum(ip), 64);	 /* total shorter than the header */
	EXPECT_BAD(ip[11] ^= 1, 64);		 /* checksum */
	EXPECT_BAD(ip[0] = 0x75, 64);		 /* version 7 */
	memcpy(ip, good, sizeof(ip));
	ip[6] = 0x20; /* more fragments */
	resum(ip);
	assert_int_equal(packet_parse(ip, 64, &pkt), PACKET_FRAGMENT);
	ip[6] = 0;
	ip[7] = 1; /* an offset */
	resum(ip);
	assert_int_equal(packet_parse(ip, 64, &pkt), PACKET_FRAGMENT);
}

static void reads_v6_behind_extensions(void **state)
{
	uint8_t ip[128] = { 0 };
	struct packet pkt;

	(void)state;
	header(ip, "fd42::2", "2001:db8::9", IPPROTO_HOPOPTS, 8 + 16 + 20);
	ip[40] = IPPROTO_DSTOPTS;
	ip[48] = IPPROTO_TCP;
	ip[49] = 1; /* 16 bytes */
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_OK);
	assert_int_equal(pkt.protocol, IPPROTO_TCP);
	assert_ptr_equal(pkt.l4, ip + 64);
	assert_int_equal(pkt.l4_len, 20);
}

static void bounds_v6_extensions(void **state)
{
	uint8_t ip[200] = { 0 };
	struct packet pkt;

	(void)state;
	header(ip, "fd42::2", "2001:db8::9", IPPROTO_HOPOPTS, 8);
	ip[40] = IPPROTO_TCP;
	ip[41] = 1; /* 16 bytes of 8 */
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_MALFORMED);

	header(ip, "fd42::2", "2001:db8::9", IPPROTO_DSTOPTS, 100);
	memset(ip + 40, 0, 100);
	for (int i = 0; i < 12; i++)
		ip[40 + 8 * i] = IPPROTO_DSTOPTS; /* a chain without end */
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_MALFORMED);

	header(ip, "fd42::2", "2001:db8::9", IPPROTO_ROUTING, 24);
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_MALFORMED);
	header(ip, "fd42::2", "2001:db8::9", IPPROTO_FRAGMENT, 24);
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_FRAGMENT);
	header(ip, "fd42::2", "2001:db8::9", IPPROTO_TCP, 200);
	assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_MALFORMED);
}

/* Chains of extension headers; what is behind them is 8 bytes that nobody may look at unless
 * the row says so. */
static void every_v6_extension_has_its_bound(void **state)
{
	enum {
		HOP = IPPROTO_HOPOPTS,
		DST = IPPROTO_DSTOPTS,
		RT = IPPROTO_ROUTING
	};
	enum {
		FRAG = IPPROTO_FRAGMENT,
		UDP = IPPROTO_UDP
	};
	static const struct {
		const char *what;
		uint8_t headers[10],
			words; /* their protocols; of each, 8 bytes less one */
		size_t cut;    /* bytes missing at the packet's end */
		enum packet_status status;
		uint8_t protocol;
		size_t l4;
	} rows[] = {
		{ "hop-by-hop", { HOP, UDP }, 0, 0, PACKET_OK, UDP, 48 },
		{ "destination options", { DST, UDP }, 0, 0, PACKET_OK, UDP, 48 },
		{ "repeated", { HOP, DST, HOP, DST, UDP }, 0, 0, PACKET_OK, UDP, 72 },
		{ "the longest", { DST, UDP }, 255, 0, PACKET_OK, UDP, 40 + 2048 },
		{ "longer than the packet", { DST, UDP }, 255, 9, PACKET_MALFORMED },
		{ "nothing behind", { DST, UDP }, 1, 8, PACKET_OK, UDP, 56 },
		{ "cut", { HOP, DST, UDP }, 0, 9, PACKET_MALFORMED },
		{ "not even begun", { HOP, UDP }, 0, 16, PACKET_MALFORMED },
		{ "seven",
		  { HOP, DST, DST, DST, DST, DST, DST, UDP },
		  0,
		  0,
		  PACKET_OK,
		  UDP,
		  96 },
		{ "eight",
		  { HOP, DST, DST, DST, DST, DST, DST, DST, UDP },
		  0,
		  0,
		  PACKET_MALFORMED },
		{ "routing", { RT, UDP }, 0, 0, PACKET_MALFORMED },
		{ "routing behind another", { HOP, RT, UDP }, 0, 0, PACKET_MALFORMED },
		{ "fragment", { FRAG, UDP }, 0, 0, PACKET_FRAGMENT, UDP, 48 },
		{ "fragment behind another",
		  { HOP, FRAG, UDP },
		  0,
		  0,
		  PACKET_FRAGMENT,
		  UDP,
		  56 },
		{ "cut fragment header", { FRAG, UDP }, 0, 9, PACKET_MALFORMED },
		/* A piece of a packet that is itself in pieces: found out once it is whole. */
		{ "fragment of a fragment",
		  { FRAG, FRAG, UDP },
		  0,
		  0,
		  PACKET_FRAGMENT,
		  FRAG,
		  48 },
		/* What is no extension we know is a transport nobody serves. */
		{ "AH", { IPPROTO_AH, UDP }, 0, 0, PACKET_OK, IPPROTO_AH, 40 },
		{ "AH behind another",
		  { DST, IPPROTO_AH, UDP },
		  0,
		  0,
		  PACKET_OK,
		  IPPROTO_AH,
		  48 },
		{ "ESP", { IPPROTO_ESP, UDP }, 0, 0, PACKET_OK, IPPROTO_ESP, 40 },
		{ "mobility", { IPPROTO_MH, UDP }, 0, 0, PACKET_OK, IPPROTO_MH, 40 },
		{ "no next header",
		  { IPPROTO_NONE, UDP },
		  0,
		  0,
		  PACKET_OK,
		  IPPROTO_NONE,
		  40 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t ip[4096] = { 0 }, *exact;
		size_t size = (rows[i].words + 1u) * 8, len = 40;
		struct packet pkt = { 0 };

		for (const uint8_t *h = rows[i].headers; *h != UDP; h++, len += size) {
			ip[len] = h[1];
			ip[len + 1] = rows[i].words;
		}
		len += 8 - rows[i].cut;
		header(ip, "fd42::2", "2001:db8::9", rows[i].headers[0], len - 40);
		/* Not a byte more: the sanitizers see who looks at the next one. */
		exact = malloc(len);
		memcpy(exact, ip, len);
		if (packet_parse(exact, len, &pkt) != rows[i].status)
			fail_msg("%s", rows[i].what);
		if (rows[i].status != PACKET_MALFORMED &&
		    (pkt.protocol != rows[i].protocol || pkt.l4 != exact + rows[i].l4 ||
		     pkt.l4_len != len - rows[i].l4))
			fail_msg("%s: %u at %td", rows[i].what, pkt.protocol,
				 pkt.l4 - exact);
		free(exact);
	}
}

static void v4_in_v6_is_martian(void **state)
{
	static const char *const mapped[] = { "::ffff:127.0.0.1", "::ffff:203.0.113.9",
					      "::127.0.0.1", "::10.0.0.1" };
	uint8_t ip[64] = { 0 };
	struct packet pkt;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mapped); i++) {
		struct addr dst = addr(mapped[i]);

		header(ip, "fd42::2", "2001:db8::9", IPPROTO_TCP, 20);
		memcpy(ip + 24, dst.b, 16);
		assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_MARTIAN);
	}
}

static void sums_are_checked(void **state)
{
	static const char *const from[] = { "10.0.0.1", "fd42::2" };
	static const char *const to[] = { "203.0.113.9", "2001:db8::9" };

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t ip[64] = { 0 };
		size_t hlen = header(ip, from[v6], to[v6], IPPROTO_UDP, 11);
		struct addr src = addr(from[v6]), dst = addr(to[v6]);
		struct packet pkt;
		uint16_t sum;

		memcpy(ip + hlen, (uint8_t[]){ 0, 1, 0, 2, 0, 11, 0, 0, 'a', 'b', 'c' },
		       11);
		sum = ~packet_sum(ip + hlen, 11,
				  packet_pseudo_sum(&src, &dst, IPPROTO_UDP, 11));
		memcpy(ip + hlen + 6, &sum, 2);
		assert_int_equal(packet_parse(ip, sizeof(ip), &pkt), PACKET_OK);
		assert_true(packet_l4_sum_ok(&pkt));
		ip[hlen + 10] ^= 1;
		assert_false(packet_l4_sum_ok(&pkt));
		memset(ip + hlen + 6, 0, 2);
		/* no checksum: allowed by RFC 768, not by RFC 8200 */
		assert_int_equal(packet_l4_sum_ok(&pkt), !v6);
	}
}

static void icmp_errors_are_bounded(void **state)
{
	static uint8_t quote[3000], out[PACKET_ICMP_MAX];
	struct addr gw4 = addr("10.240.0.1"), me4 = addr("10.240.0.2");
	struct addr gw6 = addr("fd42::1"), me6 = addr("fd42::2");
	struct packet pkt;
	size_t n;

	(void)state;
	n = packet_icmp_error(out, &gw4, &me4, 64, 3, 1, 0, quote, sizeof(quote));
	assert_int_equal(n, 576);
	assert_int_equal(packet_parse(out, n, &pkt), PACKET_OK);
	assert_true(packet_l4_sum_ok(&pkt));
	n = packet_icmp_error(out, &gw6, &me6, 64, 1, 3, 0, quote, sizeof(quote));
	assert_int_equal(n, 1280);
	assert_int_equal(packet_parse(out, n, &pkt), PACKET_OK);
	assert_true(packet_l4_sum_ok(&pkt));
}

static void errno_has_an_icmp_code(void **state)
{
	uint8_t type, code;

	(void)state;
	assert_true(packet_icmp_code(true, EACCES, &type, &code));
	assert_int_equal(type << 8 | code, 3 << 8 | 13);
	assert_true(packet_icmp_code(false, EACCES, &type, &code));
	assert_int_equal(type << 8 | code, 1 << 8 | 1);
	assert_true(packet_icmp_code(false, ENETUNREACH, &type, &code));
	assert_int_equal(type << 8 | code, 1 << 8 | 0);
	assert_true(packet_icmp_code(false, EADDRNOTAVAIL, &type, &code));
	assert_int_equal(type << 8 | code, 1 << 8 | 0);
	assert_false(packet_icmp_code(true, ETIMEDOUT, &type, &code));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_v4),
		cmocka_unit_test(skips_v4_options),
		cmocka_unit_test(refuses_bad_v4),
		cmocka_unit_test(reads_v6_behind_extensions),
		cmocka_unit_test(bounds_v6_extensions),
		cmocka_unit_test(every_v6_extension_has_its_bound),
		cmocka_unit_test(v4_in_v6_is_martian),
		cmocka_unit_test(sums_are_checked),
		cmocka_unit_test(icmp_errors_are_bounded),
		cmocka_unit_test(errno_has_an_icmp_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
