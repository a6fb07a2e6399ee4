#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "policy/sets.h"

static bool is_deny_list(enum policy_list list)
{
	return list < POLICY_ROUTE;
}

static bool is_route_list(enum policy_list list)
{
	return list == POLICY_ROUTE || list == POLICY_NO_PROXY;
}

static bool blocks(const struct rule *r)
{
	return r->route == ROUTE_BLOCK;
}

static bool leads_somewhere(const struct rule *r)
{
	return r->route != ROUTE_BLOCK;
}

static bool is_direct(const struct rule *r)
{
	return r->route == ROUTE_DIRECT;
}

static void rule_sets_free(struct rule_sets *s)
{
	cidr_set_free(&s->cidrs);
	domain_set_free(&s->domains);
}

static void sets_free(struct policy_sets *s)
{
	for (int l = 0; l < POLICY_LIST_COUNT; l++)
		rule_sets_free(&s->lists[l]);
	rule_sets_free(&s->route_blocks);
	domain_set_free(&s->route_directs);
	free(s);
}

/* Returns 0 or -ENOMEM. */
static int rule_sets_build(struct rule_sets *s, const struct rule_list *list,
			   rule_filter takes)
{
	int ret = cidr_set_build(&s->cidrs, list, takes);

	return ret ? ret : domain_set_build(&s->domains, list, takes);
}

static int build_routes(struct policy_sets *s, const struct rule_list *list)
{
	int ret = rule_sets_build(&s->route_blocks, list, blocks);

	if (ret == 0)
		ret = domain_set_build(&s->route_directs, list, is_direct);
	/* Names that the child shows count for those that block. */
	if (s->route_blocks.domains.slot_count)
		s->has_domains = s->has_deny_domains = true;
	return ret;
}

/* Returns 0 or -ENOMEM. */
static int build(struct policy_sets *s, enum policy_list l)
{
	const struct rule_list *list = s->rules.lists[l];
	int ret = 0;

	if (!list || list->count == 0)
		return 0;
	if (is_route_list(l)) {
		s->has_routes = true;
		ret = l == POLICY_ROUTE ? build_routes(s, list) : 0;
	}
	if (ret == 0)
		ret = rule_sets_build(&s->lists[l], list,
				      is_route_list(l) ? leads_somewhere : NULL);
	if (!is_route_list(l) && s->lists[l].domains.slot_count) {
		s->has_domains = true;
		s->has_deny_domains |= is_deny_list(l);
	}
	return ret;
}

int policy_compile(struct policy *p, const struct policy_rules *rules, struct error *err)
{
	struct policy_sets *s = calloc(1, sizeof(*s));
	int ret = s ? 0 : -ENOMEM;

	assert(!p->sets);
	if (s)
		s->rules = *rules;
	for (int l = POLICY_NO_LIST + 1; ret == 0 && l < POLICY_LIST_COUNT; l++)
		ret = build(s, l);
	if (ret) {
		if (s)
			sets_free(s);
		return error_set(err, -ret, "make the rules ready");
	}
	p->sets = s;
	return 0;
}

void policy_free(struct policy *p)
{
	if (p->sets)
		sets_free(p->sets);
	p->sets = NULL;
	free(p->host);
	p->host = NULL;
	p->host_count = 0;
}
