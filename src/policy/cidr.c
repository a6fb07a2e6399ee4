/*
 * Theory of operation
 *
 * Networks either contain each other or have nothing in common. So they are sorted by address
 * and length, wider ones first, and each knows its parent, the narrowest one that contains it.
 * The last network that begins at or before an address then is a descendant of every network
 * that contains the address: a binary search and a walk to the root see them all. The walk is
 * as long as networks are nested, 128 steps at most and in practice two or three.
 *
 * A trie would take as many steps and a cache miss for each.
 *
 * IPv4 and IPv6 share the array, IPv4 as ::ffff:0:0/96, but not the rules: "::/0" means IPv6.
 */
#include "policy/cidr.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

#define NO_PARENT UINT32_MAX
#define V4_PREFIX 96 /* of a network that holds all of IPv4 */

static struct cidr_key key_of(const struct addr *a)
{
	struct cidr_key k;

	memcpy(&k.high, a->b, 8);
	memcpy(&k.low, a->b + 8, 8);
	return (struct cidr_key){ be64toh(k.high), be64toh(k.low) };
}

static bool key_after(const struct cidr_key *a, const struct cidr_key *b)
{
	return a->high != b->high ? a->high > b->high : a->low > b->low;
}

static bool contains(const struct cidr_key *net, unsigned prefix,
		     const struct cidr_key *k)
{
	uint64_t high = net->high ^ k->high, low = net->low ^ k->low;

	if (prefix == 0)
		return true;
	if (prefix <= 64)
		return high >> (64 - prefix) == 0;
	return high == 0 && low >> (128 - prefix) == 0;
}

static int compare_rules(const void *a, const void *b, void *ctx)
{
	const struct rule_list *list = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct rule *r = &list->rules[x], *s = &list->rules[y];
	int d = memcmp(&r->network, &s->network, sizeof(r->network));

	if (d == 0)
		d = r->prefix - s->prefix;
	return d ? d : (x > y) - (x < y);
}

static bool same_network(const struct rule *a, const struct rule *b)
{
	return a->prefix == b->prefix && addr_eq(&a->network, &b->network);
}

/* The entry before is a descendant of all that contain the new one, or one of them. */
static uint32_t find_parent(const struct cidr_set *set, const struct cidr_key *key)
{
	uint32_t at = set->count ? set->count - 1 : NO_PARENT;

	while (at != NO_PARENT && !contains(&set->keys[at], set->entries[at].prefix, key))
		at = set->entries[at].parent;
	return at;
}

int cidr_set_build(struct cidr_set *set, const struct rule_list *list, rule_filter takes)
{
	cleanup_free uint32_t *order = calloc(list->count, sizeof(*order));
	size_t count = 0, end;

	set->keys = calloc(list->count, sizeof(*set->keys));
	set->entries = calloc(list->count, sizeof(*set->entries));
	if (list->count && (!order || !set->keys || !set->entries))
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		if (list->rules[i].kind == RULE_CIDR &&
		    (!takes || takes(&list->rules[i])))
			order[count++] = i;
	qsort_r(order, count, sizeof(*order), compare_rules, (void *)list);
	for (size_t i = 0; i < count; i = end) {
		const struct rule *first = &list->rules[order[i]];
		struct cidr_entry *e = &set->entries[set->count];

		for (end = i + 1; end < count; end++)
			if (!same_network(first, &list->rules[order[end]]))
				break;
		set->keys[set->count] = key_of(&first->network);
		e->prefix = first->prefix;
		e->parent = find_parent(set, &set->keys[set->count]);
		if (ports_add(&set->ports, &e->ports, list, order + i, end - i))
			return -ENOMEM;
		set->count++;
	}
	return 0;
}

void cidr_set_free(struct cidr_set *set)
{
	free(set->keys);
	free(set->entries);
	ports_free(&set->ports);
	*set = (struct cidr_set){ 0 };
}

/* The last entry that does not begin after k, or NO_PARENT. */
static uint32_t find_last(const struct cidr_set *set, const struct cidr_key *k)
{
	size_t begin = 0, end = set->count;

	while (begin < end) {
		size_t half = begin + (end - begin) / 2;

		if (key_after(&set->keys[half], k))
			end = half;
		else
			begin = half + 1;
	}
	return begin ? begin - 1 : NO_PARENT;
}

uint32_t cidr_set_find(const struct cidr_set *set, const struct addr *a,
		       const struct traffic *traffic)
{
	struct cidr_key k = key_of(a);
	unsigned widest = addr_is_v4(a) ? V4_PREFIX : 0;
	uint32_t found = NO_RULE;

	for (uint32_t at = find_last(set, &k); at != NO_PARENT;
	     at = set->entries[at].parent) {
		const struct cidr_entry *e = &set->entries[at];

		if (e->prefix < widest)
			break;
		if (contains(&set->keys[at], e->prefix, &k))
			found = MIN(found, ports_find(&set->ports, &e->ports, traffic));
	}
	return found;
}
