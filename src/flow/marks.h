/* What a sender may choose of an IP header, on a host socket that sends for many packets. */
#ifndef FLOW_MARKS_H
#define FLOW_MARKS_H

#include "base/neterror.h"

/* As last set on the socket, or -1. */
struct marks {
	int mtu_mode, ttl, tos;
	bool tells_ttl; /* of what comes, too */
};

#define MARKS_UNKNOWN ((struct marks){ .mtu_mode = -1, .ttl = -1, .tos = 0 })

/* The next packet leaves with what the child's had, one hop later. No call for what stands
 * already. */
void marks_set(struct marks *m, int fd, bool v4, uint8_t childs_ttl, uint8_t tos,
	       bool dont_fragment);

/* What the host itself says about a packet to somebody else, the gateway says: it stands where
 * the child sees the gateway, and its addresses are none of the child's business. */
void marks_hide_host(const struct addr *to, struct neterror *e);

/* The path's MTU to `to`, as the kernel knows it; the least there is when it won't tell. */
uint32_t marks_path_mtu(const struct endpoint *to);

#endif
