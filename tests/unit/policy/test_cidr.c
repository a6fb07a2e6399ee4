#include "policy/cidr.h"

#include "world.h"

#define NETWORKS 4000

static const struct traffic web = { TRAFFIC_TCP, 80 };

static bool holds(const struct rule *net, const struct addr *a)
{
	for (unsigned bit = 0; bit < net->prefix; bit++)
		if ((net->network.b[bit / 8] ^ a->b[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	return true;
}

/* Networks of all sizes, most of them narrow, IPv4 and IPv6, each twice and in disorder. */
static void make_rules(struct rule_list *list)
{
	for (unsigned i = 0; i < NETWORKS; i++) {
		unsigned n = i * 7919 % NETWORKS / 2, way = n % 3 ? 5 : n % 6;
		char text[64];
		struct error err;

		if (n % 5 == 0)
			snprintf(text, sizeof(text), "2a00:%x:%x::/%u", n / 64, n % 64,
				 16 + way * 8);
		else
			snprintf(text, sizeof(text), "20.%u.%u.%u/%u", n / 256, n % 256,
				 n % 7, 8 + way * 4);
		assert_int_equal(rules_parse(list, RULE_CIDR, text, NULL, &err), 0);
	}
}

/* Each entry's parent is the narrowest other network that holds it: walks are short. */
static void parents_are_the_next_wider_networks(void **state)
{
	struct rule_list list = { 0 };
	struct cidr_set set = { 0 };
	size_t nested = 0;

	(void)state;
	make_rules(&list);
	assert_int_equal(cidr_set_build(&set, &list, NULL), 0);
	assert_true(set.count > 1000 && set.count < NETWORKS);
	for (size_t i = 0; i < set.count; i++) {
		uint32_t any = set.entries[i].ports.some;
		uint32_t parent = set.entries[i].parent;
		const struct rule *self = &list.rules[any];
		int narrowest = -1;

		for (size_t r = 0; r < list.count; r++)
			if (list.rules[r].prefix < self->prefix &&
			    holds(&list.rules[r], &self->network))
				narrowest = MAX(narrowest, list.rules[r].prefix);
		if (narrowest < 0) {
			assert_true(parent >= set.count);
			continue;
		}
		nested++;
		assert_true(parent < i);
		assert_int_equal(set.entries[parent].prefix, narrowest);
		assert_true(holds(&list.rules[set.entries[parent].ports.some],
				  &self->network));
	}
	assert_true(nested > 200);
	cidr_set_free(&set);
	rules_clear(&list);
}

static uint32_t scan(const struct rule_list *list, const struct addr *a)
{
	for (size_t r = 0; r < list->count; r++)
		if (holds(&list->rules[r], a))
			return r;
	return NO_RULE;
}

/* The first address of each network, and the same one in the network beside it. */
static void thousands_of_networks(void **state)
{
	struct rule_list list = { 0 };
	struct cidr_set set = { 0 };
	size_t missed = 0;

	(void)state;
	make_rules(&list);
	assert_int_equal(cidr_set_build(&set, &list, NULL), 0);
	for (size_t r = 0; r < list.count; r++) {
		for (int beside = 0; beside < 2; beside++) {
			struct addr a = list.rules[r].network;
			uint32_t expected;

			if (beside)
				a.b[(list.rules[r].prefix - 1) / 8] ^=
					0x80 >> (list.rules[r].prefix - 1) % 8;
			expected = scan(&list, &a);
			missed += expected == NO_RULE;
			assert_int_equal(cidr_set_find(&set, &a, &web), expected);
		}
	}
	assert_true(missed > 0);
	cidr_set_free(&set);
	rules_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parents_are_the_next_wider_networks),
		cmocka_unit_test(thousands_of_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
