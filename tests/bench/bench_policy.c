/*
 * What one decision costs, by the number of rules: `make bench`. Half of the targets match a
 * rule. Prints nanoseconds per decision, the best of several rounds; judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "config/rule.h"
#include "policy/policy.h"

#define DECISIONS 200000
#define ROUNDS 7

static uint64_t state = 88172645463325252u;

static uint32_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 32;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void add(struct rule_list *list, enum rule_kind kind, const char *text)
{
	struct error err;

	if (rules_parse(list, kind, text, NULL, &err)) {
		fprintf(stderr, "%s: %s\n", text, err.text);
		exit(1);
	}
}

/* Network number i, public, with or without a part of its own. */
static uint32_t network(unsigned i)
{
	return 0x20000000 + i * 0x400;
}

static void name(unsigned i, char out[static 64])
{
	snprintf(out, 64, "h%u.example%u.test", i * 7, i % 1000);
}

static void make_rules(unsigned count, struct rule_list *cidrs, struct rule_list *domains)
{
	char text[80], domain[64];

	for (unsigned i = 0; i < count; i++) {
		uint32_t n = network(i);

		snprintf(text, sizeof(text), "%u.%u.%u.0/%u%s", n >> 24, n >> 16 & 255,
			 n >> 8 & 255, i % 4 ? 24 : 22, i % 3 ? "" : ":443,8000-8080");
		add(cidrs, RULE_CIDR, text);
		name(i, domain);
		snprintf(text, sizeof(text), "%s%s", domain, i % 3 ? "" : ":443");
		add(domains, RULE_DOMAIN, text);
	}
}

struct case_of {
	struct target target;
	struct known_name known;
	char name[80];
};

static struct case_of *make_targets(unsigned rules)
{
	struct case_of *all = calloc(DECISIONS, sizeof(*all));

	for (size_t i = 0; all && i < DECISIONS; i++) {
		struct case_of *c = &all[i];
		uint32_t n = any() % 2 ? network(any() % rules) : any() | 0x80000000;
		uint8_t v4[4] = { n >> 24, n >> 16, n >> 8, any() };
		char known[64];

		name(any() % (2 * rules), known);
		snprintf(c->name, sizeof(c->name), "www.cdn.%s", known);
		c->known = (struct known_name){ c->name, true };
		c->target = (struct target){ .protocol = IPPROTO_TCP,
					     .to = { addr_from_v4(v4), 443 },
					     .known = &c->known,
					     .known_count = 1 };
	}
	return all;
}

static double measure(const struct policy *p, const struct case_of *all,
		      unsigned *allowed)
{
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double start = now_ns();

		*allowed = 0;
		for (size_t i = 0; i < DECISIONS; i++)
			*allowed += policy_decide(p, &all[i].target).allow;
		best = MIN(best, (now_ns() - start) / DECISIONS);
	}
	return best;
}

static void bench(unsigned count)
{
	struct rule_list allow_cidrs = { 0 }, deny_cidrs = { 0 };
	struct rule_list allow_domains = { 0 }, deny_domains = { 0 };
	struct policy_rules rules = { .lists = {
					      [POLICY_DENY_CIDR] = &deny_cidrs,
					      [POLICY_DENY_DOMAIN] = &deny_domains,
					      [POLICY_ALLOW_CIDR] = &allow_cidrs,
					      [POLICY_ALLOW_DOMAIN] = &allow_domains,
				      } };
	struct policy p = { .block_private = true,
			    .block_metadata = true,
			    .default_deny = true };
	struct case_of *targets = make_targets(count);
	struct error err;
	unsigned allowed;
	double ns, start;

	make_rules(count, &allow_cidrs, &allow_domains);
	add(&deny_cidrs, RULE_CIDR, "8.8.8.0/24");
	add(&deny_domains, RULE_DOMAIN, "h7.example1.test");
	start = now_ns();
	if (!targets || policy_compile(&p, &rules, &err))
		exit(1);
	start = now_ns() - start;
	ns = measure(&p, targets, &allowed);
	printf("%7u rules: %6.0f ns per decision (%2.0f %% allowed), compiled in %.1f "
	       "ms\n",
	       2 * count, ns, 100.0 * allowed / DECISIONS, start / 1e6);
	policy_free(&p);
	rules_clear(&allow_cidrs);
	rules_clear(&deny_cidrs);
	rules_clear(&allow_domains);
	rules_clear(&deny_domains);
	free(targets);
}

int main(void)
{
	static const unsigned counts[] = { 5, 50, 500, 5000, 50000 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		bench(counts[i]);
	return 0;
}
