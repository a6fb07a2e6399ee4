/* What the child wants to reach; all that the policy sees. */
#ifndef BASE_TARGET_H
#define BASE_TARGET_H

#include "base/addr.h"

struct target {
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
	struct endpoint to;
	const char *name; /* DNS name asked for, in a DNS question; else NULL */
};

#endif
