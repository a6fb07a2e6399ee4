/* What the child wants to reach; all that the policy sees. */
#ifndef BASE_TARGET_H
#define BASE_TARGET_H

#include <stddef.h>

#include "base/addr.h"

/* A name that is known for the target's address. */
struct known_name {
	const char *name;
	bool ours; /* our resolver answered a question for this very name with the address */
};

/* Names are text in presentation format (RFC 4343 2.1), in any case, with or without the last
 * dot. */
struct target {
	uint8_t protocol;  /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
	uint8_t probe_ttl; /* of a SYN that counts hops, else 0; no matter of policy */
	struct endpoint to;
	bool name_only;	   /* the address is synthetic: the target is (name, to.port) */
	bool dns_question; /* name is asked of `to`, or is to be asked by us */
	bool sniffed;	   /* the first bytes have been looked at */
	const char *name;  /* of a DNS question, or what a synthetic address stands for */
	/* That the first bytes bear; "": nobody can tell which; or NULL. */
	const char *seen_name;
	const struct known_name *known;
	size_t known_count;
};

#endif
