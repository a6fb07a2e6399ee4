/* Builds frames, and adds up their checksums, for tests of who reads and changes them. */
#ifndef TESTS_CAPTURE_FRAMES_H
#define TESTS_CAPTURE_FRAMES_H

#include "blocks.h"

#include <arpa/inet.h>

#include "base/util.h"
#include "capture/cut.h"

static uint8_t frame[CUT_FRAME_MAX];

/* The checksum that is added up the slow way, with the field in it, is all ones. */
static inline uint16_t slow_sum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline void assert_sums(const uint8_t *data, size_t len, bool v4, uint8_t protocol)
{
	size_t hlen = v4 ? 20 : 40, l4_len = len - 14 - hlen;
	const uint8_t *ip = data + 14;

	if (v4)
		assert_int_equal(slow_sum(ip, 20, 0), 0xffff);
	assert_int_equal(slow_sum(ip + (v4 ? 12 : 8), v4 ? 8 : 32,
				  slow_sum(ip + hlen, l4_len, protocol + l4_len)),
			 0xffff);
}

/* A frame with `payload` bytes; its transport checksum is the pseudo-header's sum. */
static inline size_t build(bool v4, uint8_t protocol, size_t payload)
{
	size_t hlen = v4 ? 20 : 40, l4_hlen = protocol == IPPROTO_TCP ? 32 : 8;
	size_t l4_len = l4_hlen + payload, at = protocol == IPPROTO_TCP ? 16 : 6;
	uint8_t *ip = frame + 14, *l4 = ip + hlen;
	uint16_t sum;

	memset(frame, 0, 14 + hlen + l4_hlen);
	frame[12] = v4 ? 8 : 0x86;
	frame[13] = v4 ? 0 : 0xdd;
	ip[0] = v4 ? 0x45 : 0x60;
	if (v4) {
		ip[2] = (20 + l4_len) >> 8;
		ip[3] = (20 + l4_len) & 255;
		ip[5] = 0xff;
		ip[8] = 64;
		ip[9] = protocol;
		memcpy(ip + 12, "\x0a\0\0\2\xc6\x33\x64\1", 8);
	} else {
		ip[4] = l4_len >> 8;
		ip[5] = l4_len & 255;
		ip[6] = protocol;
		ip[8] = ip[24] = 0x20;
		ip[23] = 1;
		ip[39] = 2;
	}
	memcpy(l4, "\x12\x34\x00\x50", 4);
	if (protocol == IPPROTO_TCP) {
		memcpy(l4 + 4, "\xff\xff\xff\xf0\0\0\0\1\x80\x89\x10\0", 12);
	} else {
		l4[4] = l4_len >> 8;
		l4[5] = l4_len & 255;
	}
	for (size_t i = 0; i < payload; i++)
		l4[l4_hlen + i] = i * 7 + (i >> 8);
	sum = htons(slow_sum(ip + (v4 ? 12 : 8), v4 ? 8 : 32, protocol + l4_len));
	memcpy(l4 + at, &sum, 2);
	return 14 + hlen + l4_len;
}

#endif
