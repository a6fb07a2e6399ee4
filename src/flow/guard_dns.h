/* The policy as the DNS service asks for it. */
#ifndef FLOW_GUARD_DNS_H
#define FLOW_GUARD_DNS_H

#include "flow/dns.h"
#include "flow/guard.h"

/* The guard's policy, and what it refuses told as its events. Both must outlive the rules. */
struct nameserver_rules guard_dns_rules(struct guard *g);

#endif
