/* Address ranges with a meaning of their own. */
#ifndef POLICY_RANGES_H
#define POLICY_RANGES_H

#include "base/addr.h"

/* 127/8, 0/8, ::1, ::, and IPv4 inside IPv6 notation: never an address of the wire. */
bool ranges_martian(const struct addr *a);
/* 224/4, 255.255.255.255, ff00::/8 (RFC 5771, 919, 4291 2.7). */
bool ranges_multicast(const struct addr *a);

#endif
