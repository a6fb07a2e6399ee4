/* One row of an allow or deny list. Plain data: config makes it, the policy reads it. */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include <stddef.h>

#include "base/addr.h"

enum rule_kind {
	RULE_CIDR,
	RULE_DOMAIN,	 /* the name and all below it */
	RULE_SUBDOMAINS, /* only what is below it: "*.x" */
	RULE_EXACT,	 /* only the name */
	RULE_EITHER,	 /* of no rule: the text will tell a CIDR from a name */
};

/* Which way a flow leaves: the number of its dialer. */
enum route {
	ROUTE_DIRECT,
	ROUTE_PROXY, /* the chain of --proxy */
	ROUTE_OWN,   /* and those behind it: the proxies that routes name themselves */
	ROUTE_BLOCK = 63, /* of a rule: none; no verdict has it */
};

enum rule_protocol {
	RULE_ANY, /* with ports: TCP and UDP */
	RULE_TCP,
	RULE_UDP,
	RULE_ICMP,
};

struct port_range {
	uint16_t first, last; /* both belong to it */
};

struct rule {
	enum rule_kind kind;
	enum rule_protocol protocol;
	struct addr network; /* RULE_CIDR: host bits are zero */
	uint8_t prefix;	     /* of the 128 bits of a struct addr: 96 + n for IPv4 */
	char *domain;	     /* other kinds: ASCII, lower case, no dot at either end */
	struct port_range *ports;
	size_t port_count; /* 0: every port */
	char *text;    /* as it was typed but for case and spaces; host bits are kept */
	uint8_t route; /* enum route, of a rule that is a route */
};

struct rule_list {
	struct rule *rules;
	size_t count, room;
};

#endif
