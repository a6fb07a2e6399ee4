/* The compiled rules; for this room only. */
#ifndef POLICY_SETS_H
#define POLICY_SETS_H

#include "policy/cidr.h"
#include "policy/domain.h"
#include "policy/policy.h"

#define PORT_HTTP 80
#define PORT_HTTPS 443

struct policy_sets {
	struct policy_rules rules;
	struct cidr_set cidrs[POLICY_LIST_COUNT];     /* of the two lists of CIDRs */
	struct domain_set domains[POLICY_LIST_COUNT]; /* of the others */
	bool has_domains, has_deny_domains;
};

/* DNS over TLS and QUIC, mDNS, LLMNR, NetBIOS: names that we wouldn't see. */
bool policy_is_name_service(const struct target *t);

#endif
