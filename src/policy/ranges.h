/* Address ranges with a meaning of their own. */
#ifndef POLICY_RANGES_H
#define POLICY_RANGES_H

#include <stddef.h>

#include "base/addr.h"

struct range {
	struct addr network;
	uint8_t prefix; /* of 128 bits: 96 + n for IPv4 */
	bool global;	/* reachable from everywhere, though within a range that is not */
};

struct range_table {
	const struct range *rows;
	size_t count;
};

/* Where clouds tell a machine about itself, and hand out its credentials. */
extern const struct range_table ranges_metadata_table;
/* Not of the public internet; the narrowest row that contains an address speaks for it. */
extern const struct range_table ranges_private_table;

/* 127/8, 0/8, ::1, ::, and IPv4 inside IPv6 notation: never an address of the wire. */
bool ranges_martian(const struct addr *a);
/* 224/4, 255.255.255.255, ff00::/8 (RFC 5771, 919, 4291 2.7). */
bool ranges_multicast(const struct addr *a);
bool ranges_metadata(const struct addr *a);
/* 169.254/16, fe80::/10 (RFC 3927, 4291 2.5.6). */
bool ranges_link_local(const struct addr *a);
/* Also true of the metadata addresses that have public numbers. */
bool ranges_private(const struct addr *a);
/* A name that stands for a metadata address wherever there is one. */
bool ranges_metadata_name(const char *name);

#define RANGES_EMBEDDED_MAX 5

/*
 * The IPv4 addresses inside an IPv6 address, to which a translator, relay or tunnel may send
 * what is sent to it: NAT64, SIIT, 6to4, Teredo (client and server), ISATAP. Returns how many.
 */
size_t ranges_embedded(const struct addr *a, struct addr out[static RANGES_EMBEDDED_MAX]);

#endif
