#include "frames.h"

#include <stdlib.h>

#define FRAMES 64

static struct {
	size_t len;
	uint8_t data[2000];
} got[FRAMES];
static unsigned count;
static size_t longest;

static void take(void *ctx, uint8_t *data, size_t len, struct shape *s)
{
	(void)ctx;
	(void)s;
	assert_true(count < FRAMES);
	longest = MAX(longest, len);
	got[count].len = len;
	memcpy(got[count++].data, data, MIN(len, sizeof(got[0].data)));
}

static struct virtio_net_hdr offloads(bool v4, uint8_t protocol, uint8_t type,
				      uint16_t size)
{
	return (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = type,
					.gso_size = size,
					.csum_start = 14 + (v4 ? 20 : 40),
					.csum_offset = protocol == IPPROTO_TCP ? 16 : 6 };
}

/* In pieces of odd sizes, as a chain of buffers is. */
static void run(const struct virtio_net_hdr *vh, size_t len, bool cut)
{
	struct iovec iov[] = { { frame, 14 },
			       { frame + 14, MIN(len, 75u) - 14 },
			       { frame + 75, len > 75 ? MIN(len, 1076u) - 75 : 0 },
			       { frame + 1076, len > 1076 ? len - 1076 : 0 } };
	const struct frame f = { .vh = vh, .iov = iov, .iov_count = 4 };

	count = 0;
	longest = 0;
	cut_frame(&f, cut, take, NULL);
}

static uint8_t gso_of(bool v4, uint8_t protocol)
{
	return protocol == IPPROTO_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4 :
	       v4		       ? VIRTIO_NET_HDR_GSO_TCPV4 :
					 VIRTIO_NET_HDR_GSO_TCPV6;
}

static void check_cut(bool v4, uint8_t protocol)
{
	size_t len = build(v4, protocol, 30001), hlen = v4 ? 20 : 40;
	size_t l4_hlen = protocol == IPPROTO_TCP ? 32 : 8, head = 14 + hlen + l4_hlen;
	struct virtio_net_hdr vh = offloads(v4, protocol, gso_of(v4, protocol), 1400);

	vh.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	run(&vh, len, true);
	assert_int_equal(count, 22);
	for (unsigned i = 0; i < count; i++) {
		size_t want = i < 21 ? 1400 : 30001 - 21 * 1400;
		const uint8_t *d = got[i].data, *l4 = d + 14 + hlen;
		uint32_t seq = htonl(UINT32_C(0xfffffff0) + i * 1400);

		assert_int_equal(got[i].len, head + want);
		assert_memory_equal(d + head, frame + head + i * 1400, want);
		assert_sums(d, got[i].len, v4, protocol);
		if (v4) {
			assert_int_equal(d[16] << 8 | d[17], got[i].len - 14);
			assert_int_equal(d[18] << 8 | d[19], 0xff + i);
		} else {
			assert_int_equal(d[18] << 8 | d[19], got[i].len - 54);
		}
		if (protocol == IPPROTO_UDP) {
			assert_int_equal(l4[4] << 8 | l4[5], 8 + want);
			continue;
		}
		assert_memory_equal(l4 + 4, &seq, 4);
		/* CWR stays in the first, FIN and PSH in the last. */
		assert_int_equal(l4[13], i == 0 ? 0x80 : i == 21 ? 0x09 : 0);
	}
}

static void test_cut(void **state)
{
	check_cut(true, IPPROTO_TCP);
	check_cut(false, IPPROTO_TCP);
	check_cut(true, IPPROTO_UDP);
	check_cut(false, IPPROTO_UDP);
}

static void test_whole(void **state)
{
	size_t len = build(true, IPPROTO_TCP, 1900);
	struct virtio_net_hdr vh = offloads(true, IPPROTO_TCP, VIRTIO_NET_HDR_GSO_TCPV4,
					    1400);

	/* The IP header's is never left to others. */
	frame[24] = 0;
	frame[25] = 0;
	run(&vh, len, false);
	assert_int_equal(count, 1);
	assert_int_equal(got[0].len, len);
	assert_int_equal(got[0].data[24] | got[0].data[25], 0);
	assert_int_equal(slow_sum(got[0].data + 26, 8,
				  slow_sum(got[0].data + 34, len - 34, 6 + len - 34)),
			 0xffff);
	/* Without offloads every byte is as it was. */
	run(&(struct virtio_net_hdr){ 0 }, len, true);
	assert_int_equal(count, 1);
	assert_memory_equal(got[0].data, frame, len);
}

/* RFC 768: a sum of zero is written as ones, and zeros mean that there is none. */
static void test_zero_sum(void **state)
{
	struct virtio_net_hdr vh = offloads(true, IPPROTO_UDP, 0, 0);
	size_t len = build(true, IPPROTO_UDP, 2);
	uint16_t rest;

	frame[42] = frame[43] = 0;
	rest = htons(0xffff - slow_sum(frame + 34, len - 34, 0));
	memcpy(frame + 42, &rest, 2);
	run(&vh, len, true);
	assert_int_equal(got[0].data[40] << 8 | got[0].data[41], 0xffff);
}

/* Whatever the header says, no byte beyond the frame is read or written. */
static void test_odd_headers(void **state)
{
	static const struct virtio_net_hdr odd[] = {
		{ .flags = 1, .csum_start = 65535, .csum_offset = 65535 },
		{ .flags = 1, .csum_start = 1940, .csum_offset = 25 },
		{ .gso_type = 1, .gso_size = 0 },
		{ .gso_type = 1, .gso_size = 1 },
		{ .gso_type = 1, .gso_size = 65535 },
		{ .gso_type = 4, .gso_size = 65535 },
		{ .gso_type = 5, .gso_size = 1000 },
		{ .gso_type = 3, .gso_size = 1000 },
		{ .gso_type = 0x7f, .gso_size = 1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		size_t len = build(true, IPPROTO_TCP, 1900);

		run(&odd[i], len, true);
		assert_int_equal(count, 1);
		assert_int_equal(got[0].len, len);
		assert_memory_equal(got[0].data, frame, len);
	}
}

static void test_short_frames(void **state)
{
	for (int v4 = 0; v4 < 2; v4++) {
		size_t all = build(v4, IPPROTO_TCP, 300);

		for (size_t len = 0; len < all; len++) {
			uint8_t *copy = malloc(len ? len : 1);
			struct iovec iov = { copy, len };
			struct virtio_net_hdr vh = offloads(v4, IPPROTO_TCP,
							    gso_of(v4, IPPROTO_TCP), 100);

			memcpy(copy, frame, len);
			count = longest = 0;
			cut_frame(
				&(struct frame){ .vh = &vh, .iov = &iov, .iov_count = 1 },
				true, take, NULL);
			assert_true(count >= 1);
			assert_true(longest <= len);
			free(copy);
		}
	}
}

static void test_shapes(void **state)
{
	size_t len = build(true, IPPROTO_UDP, 10);
	struct endpoint from, to;
	char text[ENDPOINT_TEXT_MAX];
	struct shape s = cut_shape(frame, len);

	assert_true(s.ip && s.v4 && s.protocol == IPPROTO_UDP && s.l4 == 34 &&
		    s.data == 42);
	assert_true(cut_endpoints(frame, &s, &from, &to));
	assert_string_equal(endpoint_format(&from, text), "10.0.0.2:4660");
	assert_string_equal(endpoint_format(&to, text), "198.51.100.1:80");
	frame[20] = 0x20; /* more fragments */
	s = cut_shape(frame, len);
	assert_true(s.fragment && !s.protocol);
	assert_false(cut_endpoints(frame, &s, &from, &to));
	frame[20] = 0;
	frame[14] = 0x44;
	assert_false(cut_shape(frame, len).ip);
	build(true, IPPROTO_TCP, 0);
	frame[46] = 0x40;
	assert_int_equal(cut_shape(frame, len).protocol, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),	     cmocka_unit_test(test_whole),
		cmocka_unit_test(test_zero_sum),     cmocka_unit_test(test_odd_headers),
		cmocka_unit_test(test_short_frames), cmocka_unit_test(test_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
