/* The addresses of one run: chosen by the supervisor, configured by init, served by the engine. */
#ifndef BASE_NETPLAN_H
#define BASE_NETPLAN_H

#include "base/addr.h"

#define NETPLAN_IFNAME "tap0"
#define NETPLAN_V4_PREFIX 30
#define NETPLAN_V6_PREFIX 64
#define NETPLAN_MTU 1500 /* segments of 64 KiB come behind it, by virtio-net headers */

struct netplan {
	struct addr gateway4, child4; /* 10.240.x.y/30: base + 1, base + 2 */
	struct addr gateway6, child6; /* fd42:e:e::/64: ::1, ::2 */
	uint8_t gateway_mac[6], child_mac[6];
	unsigned mtu; /* what the child sees */
	bool ipv6;    /* the child's kernel has IPv6; init finds out */
};

/* Fills in everything but ipv6. `entropy` should differ between runs. */
void netplan_choose(struct netplan *np, uint32_t entropy, unsigned mtu);

#endif
