/* Numbers in network order; the caller knows that the octets are there. */
#ifndef DNS_OCTETS_H
#define DNS_OCTETS_H

#include <stdint.h>

static inline uint16_t octets_u16(const uint8_t *b)
{
	return b[0] << 8 | b[1];
}

static inline uint32_t octets_u32(const uint8_t *b)
{
	return (uint32_t)octets_u16(b) << 16 | octets_u16(b + 2);
}

/* Returns the place behind it. */
static inline uint8_t *octets_put_u16(uint8_t *b, uint16_t v)
{
	b[0] = v >> 8;
	b[1] = v & 0xff;
	return b + 2;
}

#endif
