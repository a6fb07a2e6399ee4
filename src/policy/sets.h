/* The compiled rules, and what the files of this room share; for this room only. */
#ifndef POLICY_SETS_H
#define POLICY_SETS_H

#include "policy/cidr.h"
#include "policy/domain.h"
#include "policy/policy.h"
#include "policy/ranges.h"

#define PORT_HTTP 80
#define PORT_HTTPS 443

struct rule_sets {
	struct cidr_set cidrs;
	struct domain_set domains;
};

struct policy_sets {
	struct policy_rules rules;
	struct rule_sets lists[POLICY_LIST_COUNT];
	/* POLICY_ROUTE once more, cut: lists[] has all but those that block. */
	struct rule_sets route_blocks;
	struct domain_set route_directs;
	bool has_domains, has_deny_domains;
	bool has_routes;
};

/* The addresses to judge: the target's own first, then those inside of it. None of a target
 * that is only a name. */
struct readings {
	struct addr addrs[1 + RANGES_EMBEDDED_MAX];
	size_t count;
};

/* Name i of those that can allow, or NULL; *i moves on. */
const char *policy_next_own_name(const struct target *t, size_t *i);

/* DNS over TLS and QUIC, mDNS, LLMNR, NetBIOS: names that we wouldn't see. */
bool policy_is_name_service(const struct target *t);

/* The way of a target, and the rule that says so, or NULL. */
struct way {
	enum route route; /* never ROUTE_BLOCK: what is blocked has a way for an audit */
	bool blocks;
	enum policy_list list;
	const struct rule *rule;
	const char *name; /* that the rule matched, or NULL */
};

struct way policy_find_way(const struct policy *p, const struct target *t,
			   const struct readings *r, const struct traffic *traffic);
/* Of all that a name's owner serves: ROUTE_DIRECT unless every flow to it leaves by a route
 * at whose other end the name is resolved. */
struct way policy_find_way_of_name(const struct policy *p, const char *name);
/* A proxy on that way carries the protocol. */
bool policy_route_carries(const struct policy *p, enum route route, uint8_t protocol);

#endif
