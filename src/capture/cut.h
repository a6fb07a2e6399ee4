/*
 * Frames as they would be on a wire: super-segments cut, checksums filled in. Pure but for
 * a buffer of its own.
 */
#ifndef CAPTURE_CUT_H
#define CAPTURE_CUT_H

#include "base/addr.h"
#include "base/frame.h"

#define CUT_ETH_LEN 14
#define CUT_FRAME_MAX (65535 + CUT_ETH_LEN + 4)

/* Where the headers of a packet are. */
struct shape {
	bool ip, v4;
	uint8_t protocol; /* 0: not known, or not to be found behind extension headers */
	bool fragment;
	uint16_t l4;   /* offset in the frame; header and lengths are there whole */
	uint16_t data; /* of TCP and UDP: offset of the payload */
};

/* Reads the headers of a frame, of which the first len bytes are there. */
struct shape cut_shape(const uint8_t *frame, size_t len);

/* The packet's two ends; ports of ICMP echo: its identifier, twice. False without ports. */
bool cut_endpoints(const uint8_t *frame, const struct shape *s, struct endpoint *from,
		   struct endpoint *to);

/* Each packet of the frame, in order. data may be changed until the call returns. */
typedef void (*cut_fn)(void *ctx, uint8_t *data, size_t len, struct shape *shape);

/* Calls fn for the one packet that the frame is, or with `cut` for each it stands for. */
void cut_frame(const struct frame *frame, bool cut, cut_fn fn, void *ctx);

/* The sum of RFC 1071 over data, in memory order; not complemented, not folded. */
uint64_t cut_sum(const uint8_t *data, size_t len, uint64_t sum);
uint16_t cut_fold(uint64_t sum);

/* Fills in a transport checksum that a device was to fill in: one that is the sum of the
 * pseudo-header only. */
void cut_complete(uint8_t *frame, size_t len, const struct shape *s);

/* Writes the checksums of IP header and of TCP, UDP or ICMP anew. */
void cut_checksums(uint8_t *frame, size_t len, const struct shape *s);

#endif
