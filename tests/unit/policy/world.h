/* Policies and targets from text, the rules by the parser that the options use. */
#ifndef POLICY_WORLD_H
#define POLICY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/route.h"
#include "config/rule.h"
#include "policy/policy.h"

struct world {
	struct policy policy;
	struct rule_list lists[POLICY_LIST_COUNT];
	struct route_list routes; /* rules of lists[POLICY_ROUTE], while they are read */
};

static inline enum rule_kind world_kind(enum policy_list list)
{
	switch (list) {
	case POLICY_DENY_CIDR:
	case POLICY_ALLOW_CIDR:
		return RULE_CIDR;
	case POLICY_NO_PROXY:
		return RULE_EITHER;
	case POLICY_DENY_DOMAIN_EXACT:
	case POLICY_ALLOW_DOMAIN_EXACT:
		return RULE_EXACT;
	default:
		return RULE_DOMAIN;
	}
}

static inline struct addr world_addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		fail_msg("'%s' is no address", text);
	return a;
}

/* "9.9.9.9/32", "2a02::/64" */
static inline struct addr_range world_range(const char *text)
{
	const char *slash = strchr(text, '/');
	char addr[ADDR_TEXT_MAX];
	struct addr a;

	assert_non_null(slash);
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	a = world_addr(addr);
	return addr_prefix_range(&a, atoi(slash + 1) + (addr_is_v4(&a) ? 96 : 0));
}

static inline void world_init(struct world *w)
{
	*w = (struct world){ .policy.gateway4 = world_addr("10.240.0.1"),
			     .policy.gateway6 = world_addr("fd42::1") };
}

static inline void world_rule(struct world *w, enum policy_list list, const char *text)
{
	struct error err;
	int ret;

	if (list == POLICY_ROUTE) {
		w->routes.rules = w->lists[list];
		ret = routes_parse(&w->routes, text, NULL, &err);
		w->lists[list] = w->routes.rules;
	} else {
		ret = rules_parse(&w->lists[list], world_kind(list), text, NULL, &err);
	}
	if (ret)
		fail_msg("%s", err.text);
}

/* May be called again after more rules. */
static inline void world_compile(struct world *w)
{
	struct policy_rules rules = { 0 };
	struct addr_range *host = steal_ptr(&w->policy.host);
	size_t host_count = w->policy.host_count;
	struct error err;

	policy_free(&w->policy);
	for (int l = 1; l < POLICY_LIST_COUNT; l++)
		rules.lists[l] = w->lists[l].count ? &w->lists[l] : NULL;
	assert_int_equal(policy_compile(&w->policy, &rules, &err), 0);
	w->policy.host = host;
	w->policy.host_count = host_count;
}

static inline void world_free(struct world *w)
{
	policy_free(&w->policy);
	w->routes.rules = (struct rule_list){ 0 };
	routes_clear(&w->routes);
	for (int l = 0; l < POLICY_LIST_COUNT; l++)
		rules_clear(&w->lists[l]);
}

/* "tcp 192.0.2.1 80" */
static inline struct target world_target(const char *text)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = { { "tcp", IPPROTO_TCP },
			  { "udp", IPPROTO_UDP },
			  { "icmp", IPPROTO_ICMP },
			  { "icmpv6", IPPROTO_ICMPV6 },
			  { "sctp", IPPROTO_SCTP } };
	char protocol[8], addr[ADDR_TEXT_MAX];
	struct target t = { 0 };
	unsigned port = 0;

	assert_true(sscanf(text, "%7s %45s %u", protocol, addr, &port) >= 2);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (strcmp(protocol, protocols[i].name) == 0)
			t.protocol = protocols[i].number;
	assert_true(t.protocol);
	t.to = (struct endpoint){ world_addr(addr), port };
	return t;
}

#endif
