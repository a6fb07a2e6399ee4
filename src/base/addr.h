/*
 * One address type: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2).
 *
 * Unwrapped once, where it is parsed: an IPv4-mapped address that came over the wire in an
 * IPv6 header is refused before it becomes a struct addr, so "is_v4" always means IPv4.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct addr {
	uint8_t b[16];
};

struct addr_range {
	struct addr first, last; /* both belong to it */
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order */
};

#define ADDR_TEXT_MAX 46     /* INET6_ADDRSTRLEN */
#define ENDPOINT_TEXT_MAX 56 /* "[addr]:65535" */

static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_eq(&a->addr, &b->addr);
}

/* For a hash table: its upper bits are the good ones. Not for what a child may aim at. */
static inline uint64_t addr_hash(const struct addr *a, uint64_t seed)
{
	uint64_t w[2];

	memcpy(w, a->b, 16);
	seed = (seed ^ w[0]) * 0x9e3779b97f4a7c15u;
	return (seed ^ (seed >> 32) ^ w[1]) * 0x9e3779b97f4a7c15u;
}

/* The first bits are the same; of an IPv4 address, 96 + n are. */
bool addr_prefix_eq(const struct addr *a, const struct addr *b, unsigned bits);

/* All addresses that begin like it. */
struct addr_range addr_prefix_range(const struct addr *a, unsigned bits);

/* From the four bytes of an IPv4 header, the sixteen of an IPv6 header. */
struct addr addr_from_v4(const void *four_bytes);
struct addr addr_from_v6(const void *sixteen_bytes);

/* The four bytes of an IPv4 address, in network order. */
static inline uint32_t addr_v4(const struct addr *a)
{
	uint32_t v;

	memcpy(&v, a->b + 12, 4);
	return v;
}

/* Strict: dotted quad or RFC 4291 text, no scope, no port; mapped text becomes IPv4.
 * Returns false when text is neither. */
bool addr_parse(const char *text, struct addr *out);

/* Writes RFC 5952 text to out and returns out. */
const char *addr_format(const struct addr *a, char out[static ADDR_TEXT_MAX]);
/* "a.b.c.d:port" or "[v6]:port". */
const char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_TEXT_MAX]);

/* Returns the length of the socket address written. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);
/* Returns false when the family is neither IPv4 nor IPv6. */
bool endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out);

#endif
