/*
 * Theory of operation
 *
 * Routes are rows of one list, of any kind of rule; the first that matches says which way a
 * flow leaves, and --no-proxy is more rows behind them. What none speaks of goes to the proxy
 * if there is one.
 *
 * The child must not choose its way: names that it can make up count for a row that blocks,
 * and for no other (the same holds for deny and allow rules). An address inside of another
 * one counts for a row that blocks only, too: the packet goes to the outer one.
 *
 * A name is resolved before it is known what for. So it gets a synthetic address only when
 * all that it stands for leaves by proxies: a row that sends some of it directly needs an
 * address to send it to.
 */
#include "base/util.h"
#include "policy/sets.h"

static uint32_t find_by_any_name(const struct domain_set *set, const struct target *t,
				 const struct traffic *traffic, const char **name)
{
	const char *names[2] = { t->name_only ? t->name : NULL, t->seen_name };
	uint32_t first = NO_RULE, found;

	for (size_t i = 0; i < ARRAY_SIZE(names) + t->known_count; i++) {
		const char *n = i < ARRAY_SIZE(names) ?
					names[i] :
					t->known[i - ARRAY_SIZE(names)].name;

		found = n ? domain_set_find(set, n, traffic) : NO_RULE;
		if (found < first) {
			first = found;
			*name = n;
		}
	}
	return first;
}

static uint32_t find_by_own_name(const struct domain_set *set, const struct target *t,
				 const struct traffic *traffic, const char **name)
{
	uint32_t first = NO_RULE, found;
	const char *n;

	for (size_t i = 0; (n = policy_next_own_name(t, &i));) {
		found = domain_set_find(set, n, traffic);
		if (found < first) {
			first = found;
			*name = n;
		}
	}
	return first;
}

static uint32_t find_by_address(const struct cidr_set *set, const struct addr *addrs,
				size_t count, const struct traffic *traffic)
{
	uint32_t first = NO_RULE;

	for (size_t i = 0; i < count; i++)
		first = MIN(first, cidr_set_find(set, &addrs[i], traffic));
	return first;
}

/* The first row of the list, or NO_RULE. */
static uint32_t find_row(const struct policy_sets *s, enum policy_list list,
			 const struct target *t, const struct readings *r,
			 const struct traffic *traffic, const char **name)
{
	const struct rule_sets *ways = &s->lists[list];
	const char *own = NULL, *any = NULL;
	uint32_t by_own = find_by_own_name(&ways->domains, t, traffic, &own);
	uint32_t by_any = NO_RULE, by_address, blocked;

	by_address = find_by_address(&ways->cidrs, r->addrs, MIN(r->count, (size_t)1),
				     traffic);
	if (list == POLICY_ROUTE) {
		const struct rule_sets *blocks = &s->route_blocks;

		by_any = find_by_any_name(&blocks->domains, t, traffic, &any);
		blocked = find_by_address(&blocks->cidrs, r->addrs, r->count, traffic);
		by_address = MIN(by_address, blocked);
	}
	*name = by_address < MIN(by_own, by_any) ? NULL : by_own < by_any ? own : any;
	return MIN(by_address, MIN(by_own, by_any));
}

static enum route default_route(const struct policy *p)
{
	return p->proxy ? ROUTE_PROXY : ROUTE_DIRECT;
}

static struct way way_of_row(const struct policy *p, enum policy_list list, uint32_t row,
			     const char *name)
{
	const struct rule *rule = &p->sets->rules.lists[list]->rules[row];
	bool blocks = rule->route == ROUTE_BLOCK;

	return (struct way){ blocks ? default_route(p) : rule->route, blocks, list, rule,
			     name };
}

struct way policy_find_way(const struct policy *p, const struct target *t,
			   const struct readings *r, const struct traffic *traffic)
{
	static const enum policy_list lists[] = { POLICY_ROUTE, POLICY_NO_PROXY };

	if (!p->sets || !p->sets->has_routes)
		return (struct way){ .route = default_route(p) };
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const char *name;
		uint32_t row = find_row(p->sets, lists[i], t, r, traffic, &name);

		if (row != NO_RULE)
			return way_of_row(p, lists[i], row, name);
	}
	return (struct way){ .route = default_route(p) };
}

static struct way find_rows_of_name(const struct policy *p, const char *name)
{
	static const struct traffic whole = { .kind = TRAFFIC_WHOLE };
	static const struct traffic some = { .kind = TRAFFIC_SOME };
	const struct policy_sets *s = p->sets;
	uint32_t direct = domain_set_find(&s->route_directs, name, &some);
	/* All of it: what comes behind such a row doesn't count any more. */
	uint32_t carried = domain_set_find(&s->lists[POLICY_ROUTE].domains, name, &whole);
	uint32_t blocked = domain_set_find(&s->route_blocks.domains, name, &whole);

	if (blocked < MIN(direct, carried))
		return way_of_row(p, POLICY_ROUTE, blocked, name);
	if (direct < carried)
		return way_of_row(p, POLICY_ROUTE, direct, name);
	if (carried != NO_RULE)
		return way_of_row(p, POLICY_ROUTE, carried, name);
	direct = domain_set_find(&s->lists[POLICY_NO_PROXY].domains, name, &some);
	if (direct != NO_RULE)
		return way_of_row(p, POLICY_NO_PROXY, direct, name);
	return (struct way){ .route = default_route(p) };
}

struct way policy_find_way_of_name(const struct policy *p, const char *name)
{
	struct way way = { .route = default_route(p) };

	if (p->sets && p->sets->has_routes)
		way = find_rows_of_name(p, name);
	if (!(p->name_routes >> way.route & 1))
		way.route = ROUTE_DIRECT;
	return way;
}

bool policy_route_carries(const struct policy *p, enum route route, uint8_t protocol)
{
	if (route == ROUTE_DIRECT)
		return false;
	return protocol == IPPROTO_TCP ||
	       (protocol == IPPROTO_UDP && p->udp_routes >> route & 1);
}
