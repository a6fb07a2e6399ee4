#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "policy/sets.h"

static bool is_cidr_list(enum policy_list list)
{
	return list == POLICY_DENY_CIDR || list == POLICY_ALLOW_CIDR;
}

static bool is_deny_list(enum policy_list list)
{
	return list < POLICY_ALLOW_CIDR;
}

static void sets_free(struct policy_sets *s)
{
	for (int l = 0; l < POLICY_LIST_COUNT; l++) {
		cidr_set_free(&s->cidrs[l]);
		domain_set_free(&s->domains[l]);
	}
	free(s);
}

/* Returns 0 or -ENOMEM. */
static int build(struct policy_sets *s, enum policy_list l)
{
	const struct rule_list *list = s->rules.lists[l];

	if (!list || list->count == 0)
		return 0;
	if (is_cidr_list(l))
		return cidr_set_build(&s->cidrs[l], list);
	s->has_domains = true;
	s->has_deny_domains |= is_deny_list(l);
	return domain_set_build(&s->domains[l], list);
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
