/* A list of CIDR rules, made ready for look-ups. */
#ifndef POLICY_CIDR_H
#define POLICY_CIDR_H

#include "policy/ports.h"

struct cidr_key {
	uint64_t high, low; /* the network's address, most significant bits first */
};

struct cidr_entry {
	uint32_t parent; /* the next wider network that contains this one, or NO_PARENT */
	uint8_t prefix;
	struct port_map ports;
};

/* Begins as zeros. */
struct cidr_set {
	struct cidr_key *keys; /* sorted, wider networks first; entries go with them */
	struct cidr_entry *entries;
	size_t count;
	struct port_table ports;
};

/* Of those rules of the list that are about networks, and that `takes` takes (NULL: all).
 * Returns 0 or -ENOMEM; cidr_set_free() in either case. */
int cidr_set_build(struct cidr_set *set, const struct rule_list *list, rule_filter takes);
void cidr_set_free(struct cidr_set *set);

/* The lowest index of the rules that match, or NO_RULE. */
uint32_t cidr_set_find(const struct cidr_set *set, const struct addr *a,
		       const struct traffic *traffic);

#endif
