/* What became of a packet, as a router or its target has told. */
#ifndef BASE_NETERROR_H
#define BASE_NETERROR_H

#include "base/addr.h"

struct neterror {
	int err; /* a call of ours has failed with this errno; 0: an ICMP message came */
	uint8_t type, code; /* of the message; ICMPv6's for an IPv6 packet */
	uint8_t ttl;	    /* that it had left when it came, or 0: not known */
	uint32_t info;	    /* MTU, or the pointer of a parameter problem */
	struct addr router; /* who sent it; zeros: nobody but ourselves */
};

/* A TTL that no kernel begins with, nor one next door: somebody counts hops. */
static inline bool ttl_is_probe(uint8_t ttl)
{
	return ttl < 58 || (ttl > 64 && ttl < 122) || (ttl > 128 && ttl < 249);
}

#endif
