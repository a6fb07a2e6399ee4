/*
 * Which rule of a list speaks of given traffic, among those about one key (a network, a
 * name). Many rules may share a key and differ in protocol and ports: finding the first of
 * them takes logarithmic time.
 */
#ifndef POLICY_PORTS_H
#define POLICY_PORTS_H

#include "policy/rule.h"

#define NO_RULE UINT32_MAX

struct traffic {
	enum traffic_kind {
		TRAFFIC_TCP,
		TRAFFIC_UDP,
		TRAFFIC_ICMP,
		TRAFFIC_WHOLE, /* all there is: only a rule without protocol and ports */
		TRAFFIC_SOME,  /* whatever a rule speaks of */
	} kind;
	uint16_t port; /* of TCP and UDP */
};

/* Whether a rule is to be part of a set. */
typedef bool (*rule_filter)(const struct rule *r);

/* All ports from first to last; those of one key and protocol are disjoint and sorted. */
struct port_segment {
	uint32_t rule;
	uint16_t first, last;
};

/* Shared by the keys of a set. Begins as zeros. */
struct port_table {
	struct port_segment *segments;
	size_t count, room;
};

/* One key's part: the segments of TCP begin at tcp, those of UDP at udp. */
struct port_map {
	uint32_t tcp, udp, end;
	uint32_t icmp, whole, some; /* rules, or NO_RULE */
};

/* Enters n rules of the list, by ascending index. Returns 0 or -ENOMEM. */
int ports_add(struct port_table *table, struct port_map *map,
	      const struct rule_list *list, const uint32_t *rules, size_t n);
void ports_free(struct port_table *table);

/* The lowest index of the rules that speak of it, or NO_RULE. */
uint32_t ports_find(const struct port_table *table, const struct port_map *map,
		    const struct traffic *traffic);

#endif
