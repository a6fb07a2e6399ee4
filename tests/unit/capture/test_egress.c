#include "frames.h"

#include "capture/capture_internal.h"

static uint8_t out[CUT_FRAME_MAX + 20];

static struct known_flow flow_between(const char *local, const char *peer)
{
	struct known_flow f = { .local.port = 40000,
				.peer.port = 3128,
				.has_socket = true };

	assert_true(addr_parse(local, &f.local.addr));
	assert_true(addr_parse(peer, &f.peer.addr));
	return f;
}

/* With a checksum that is complete. */
static size_t build_sent(bool v4, uint8_t protocol, size_t payload)
{
	size_t len = build(v4, protocol, payload);
	struct shape s = cut_shape(frame, len);

	cut_checksums(frame, len, &s);
	return len;
}

static size_t rewrite(size_t len, bool from_child, const struct known_flow *f)
{
	struct shape s = cut_shape(frame, len);

	return egress_rewrite(out, frame, len, &s, from_child, f);
}

static void check(bool v4, uint8_t protocol, bool from_child, const struct known_flow *f)
{
	size_t len = build_sent(v4, protocol, 101), n = rewrite(len, from_child, f);
	bool v4_out = addr_is_v4(&f->local.addr);
	size_t hlen = v4 ? 20 : 40, hlen_out = v4_out ? 20 : 40;
	const struct endpoint *src = from_child ? &f->local : &f->peer;
	struct shape s = cut_shape(out, n);
	struct endpoint from, to;

	assert_int_equal(n, len - hlen + hlen_out);
	assert_sums(out, n, v4_out, protocol);
	assert_int_equal(s.protocol, protocol);
	assert_true(cut_endpoints(out, &s, &from, &to));
	assert_true(endpoint_eq(&from, src));
	assert_true(endpoint_eq(&to, from_child ? &f->peer : &f->local));
	/* All behind ports and checksum is the child's. */
	assert_memory_equal(out + n - 101, frame + len - 101, 101);
	if (protocol == IPPROTO_TCP)
		assert_memory_equal(out + 14 + hlen_out + 4, frame + 14 + hlen + 4, 12);
}

static void test_addresses(void **state)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	const struct known_flow flows[] = {
		flow_between("192.168.1.5", "203.0.113.9"),
		flow_between("2001:db8::5", "2001:db8:1::9"),
	};

	for (unsigned i = 0; i < 16; i++)
		check(i & 1, protocols[i >> 1 & 1], i >> 2 & 1, &flows[i >> 3 & 1]);
}

/* What was wrong stays wrong, and a datagram without a checksum has none later. */
static void test_wrong_sums(void **state)
{
	const struct known_flow f = flow_between("192.168.1.5", "203.0.113.9");
	size_t len = build_sent(true, IPPROTO_TCP, 10), n;

	frame[14 + 20 + 16] ^= 0x55;
	n = rewrite(len, true, &f);
	assert_int_not_equal(
		slow_sum(out + 26, 8, slow_sum(out + 34, n - 34, 6 + n - 34)), 0xffff);
	len = build_sent(true, IPPROTO_UDP, 10);
	memset(frame + 34 + 6, 0, 2);
	rewrite(len, true, &f);
	assert_int_equal(out[34 + 6] | out[34 + 7], 0);
}

static void test_echo(void **state)
{
	struct known_flow f = flow_between("2001:db8::5", "2001:db8:1::9");
	size_t len = build(false, IPPROTO_UDP, 20), n;
	struct shape s;

	frame[14 + 6] = IPPROTO_ICMPV6;
	memcpy(frame + 54, "\x80\0\0\0\x12\x34\0\1", 8);
	s = cut_shape(frame, len);
	assert_int_equal(s.protocol, IPPROTO_ICMPV6);
	cut_checksums(frame, len, &s);
	n = rewrite(len, true, &f);
	assert_int_equal(n, len);
	assert_sums(out, n, false, IPPROTO_ICMPV6);
	assert_memory_equal(out + 58, "\x9c\x40\0\1", 4); /* 40000 */
	/* There is no echo of the other family. */
	f = flow_between("192.168.1.5", "203.0.113.9");
	assert_int_equal(rewrite(len, true, &f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_wrong_sums),
		cmocka_unit_test(test_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
