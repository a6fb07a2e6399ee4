/* IP packets: strict reading of what the child sends, and the few we write ourselves. Pure. */
#ifndef NETIF_PACKET_H
#define NETIF_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define PACKET_ETH_LEN 14

enum packet_status {
	PACKET_OK,
	PACKET_MALFORMED, /* lengths, versions or checksums that contradict each other */
	PACKET_MARTIAN,	  /* an IPv4-mapped or -compatible address in an IPv6 header */
	PACKET_FRAGMENT,
};

struct packet {
	bool v4;
	uint8_t protocol; /* of what follows the last extension header */
	uint8_t ttl, tos;
	bool dont_fragment; /* IPv4's DF; IPv6 routers never fragment */
	uint16_t ip_id;	    /* IPv4's, as it stands there */
	bool sum_is_whole; /* the transport checksum is complete; the reader's business */
	struct addr src, dst;
	uint8_t *ip; /* the IP header */
	size_t ip_len;
	uint8_t *l4; /* what follows the IP headers */
	size_t l4_len;
	struct {
		uint32_t id;
		uint16_t offset; /* bytes */
		bool more;
	} fragment; /* on PACKET_FRAGMENT; l4 is its piece, protocol what it is a piece of */
};

/* Reads the IP packet in ip[0..len), aligned to 4; pkt points into it. On PACKET_MARTIAN and
 * PACKET_FRAGMENT the rest is filled in too. */
enum packet_status packet_parse(uint8_t *ip, size_t len, struct packet *pkt);

/* The Internet checksum (RFC 1071) over data, with sum folded in; not complemented. */
uint16_t packet_sum(const void *data, size_t len, uint32_t sum);
/* The pseudo-header's sum (RFC 9293 3.1, RFC 8200 8.1) in network order, not complemented. */
uint16_t packet_pseudo_sum(const struct addr *src, const struct addr *dst,
			   uint8_t protocol, size_t l4_len);
/* True when the TCP, UDP or ICMP checksum of a parsed packet is right. */
bool packet_l4_sum_ok(const struct packet *pkt);

/* Writes an IP header for l4_len bytes behind it; returns its length. */
size_t packet_ip_header(uint8_t *out, const struct addr *src, const struct addr *dst,
			uint8_t protocol, uint8_t ttl, size_t l4_len);

struct packet_marks {
	uint8_t ttl, tos;
	bool dont_fragment;
	uint16_t ip_id; /* network order; IPv6 has none */
};

/* The same with everything in it that a sender may choose. */
size_t packet_ip_header_marked(uint8_t *out, const struct addr *src,
			       const struct addr *dst, uint8_t protocol,
			       const struct packet_marks *marks, size_t l4_len);

/* ICMP error types and codes for an errno (RFC 792, 1122, 1812, 4443); false when there is
 * none that would tell it. */
bool packet_icmp_code(bool v4, int err, uint8_t *type, uint8_t *code);

#define PACKET_ICMP_MAX (40 + 8 + 1232)
/* Writes an ICMP error about the packet quote[0..quote_len) from `router` to its sender.
 * `info` is the second word of the header (MTU). Returns the length, at most
 * PACKET_ICMP_MAX. */
size_t packet_icmp_error(uint8_t *out, const struct addr *router, const struct addr *to,
			 uint8_t ttl, uint8_t type, uint8_t code, uint32_t info,
			 const uint8_t *quote, size_t quote_len);

#endif
