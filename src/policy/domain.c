/*
 * Theory of operation
 *
 * A name matches a rule when the rule's domain is a suffix of it that begins at a label. The
 * name is hashed from its end, so one pass has the hash of every suffix, and the set is asked
 * at each label: as many look-ups as the name has labels, however many rules there are.
 *
 * A dot behind a backslash belongs to a label (RFC 4343 2.1): "a\.b.example" is below
 * "example", not below "b.example".
 */
#include "policy/domain.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"

static uint32_t hash_octet(uint32_t hash, uint8_t c)
{
	return (hash ^ ascii_lower(c)) * 16777619u; /* FNV-1a */
}

#define HASH_START 2166136261u

/* The octet at i is a dot between labels. */
static bool is_border(const char *name, size_t i)
{
	size_t first = i;

	if (name[i] != '.')
		return false;
	while (first > 0 && name[first - 1] == '\\')
		first--;
	return (i - first) % 2 == 0;
}

static size_t length_of(const char *name)
{
	size_t len = strlen(name);

	return len && is_border(name, len - 1) ? len - 1 : len;
}

static bool same_octets(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

static uint32_t hash_domain(const char *domain, size_t len)
{
	uint32_t hash = HASH_START;

	while (len-- > 0)
		hash = hash_octet(hash, domain[len]);
	return hash;
}

/* The domain's slot, or the empty one where it would be. */
static struct domain_entry *find_slot(const struct domain_set *set, const char *domain,
				      size_t len, uint32_t hash)
{
	size_t at = hash & (set->slot_count - 1);

	for (;;) {
		struct domain_entry *e = &set->slots[at];

		if (!e->domain || (e->hash == hash && e->length == len &&
				   same_octets(e->domain, domain, len)))
			return e;
		at = (at + 1) & (set->slot_count - 1);
	}
}

static int compare_rules(const void *a, const void *b, void *ctx)
{
	const struct rule_list *list = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int d = strcmp(list->rules[x].domain, list->rules[y].domain);

	return d ? d : (x > y) - (x < y);
}

/* Enters those of the n rules about one domain that don't have the kind `not`. */
static int add_ports(struct domain_set *set, struct port_map *map,
		     const struct rule_list *list, const uint32_t *rules, size_t n,
		     enum rule_kind not )
{
	cleanup_free uint32_t *some = calloc(n, sizeof(*some));
	size_t count = 0;

	if (!some)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (list->rules[rules[i]].kind != not )
			some[count++] = rules[i];
	return ports_add(&set->ports, map, list, some, count);
}

static int add_domain(struct domain_set *set, const struct rule_list *list,
		      const uint32_t *rules, size_t n)
{
	const char *domain = list->rules[rules[0]].domain;
	size_t len = strlen(domain);
	uint32_t hash = hash_domain(domain, len);
	struct domain_entry *e = find_slot(set, domain, len, hash);

	e->domain = domain;
	e->length = len;
	e->hash = hash;
	if (add_ports(set, &e->at, list, rules, n, RULE_SUBDOMAINS))
		return -ENOMEM;
	return add_ports(set, &e->below, list, rules, n, RULE_EXACT);
}

int domain_set_build(struct domain_set *set, const struct rule_list *list,
		     rule_filter takes)
{
	cleanup_free uint32_t *order = calloc(list->count, sizeof(*order));
	size_t count = 0, end, slots = 2;

	if (list->count && !order)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		if (list->rules[i].kind != RULE_CIDR &&
		    (!takes || takes(&list->rules[i])))
			order[count++] = i;
	if (count == 0)
		return 0;
	while (slots < count * 2)
		slots *= 2;
	set->slots = calloc(slots, sizeof(*set->slots));
	if (!set->slots)
		return -ENOMEM;
	set->slot_count = slots;
	qsort_r(order, count, sizeof(*order), compare_rules, (void *)list);
	for (size_t i = 0; i < count; i = end) {
		const char *domain = list->rules[order[i]].domain;

		for (end = i + 1; end < count; end++)
			if (strcmp(domain, list->rules[order[end]].domain))
				break;
		if (add_domain(set, list, order + i, end - i))
			return -ENOMEM;
	}
	return 0;
}

void domain_set_free(struct domain_set *set)
{
	free(set->slots);
	ports_free(&set->ports);
	*set = (struct domain_set){ 0 };
}

uint32_t domain_set_find(const struct domain_set *set, const char *name,
			 const struct traffic *traffic)
{
	size_t len = length_of(name);
	uint32_t hash = HASH_START, found = NO_RULE;

	if (set->slot_count == 0)
		return NO_RULE;
	for (size_t i = len; i-- > 0;) {
		const struct domain_entry *e;

		hash = hash_octet(hash, name[i]);
		if (i > 0 && !is_border(name, i - 1))
			continue;
		e = find_slot(set, name + i, len - i, hash);
		if (e->domain)
			found = MIN(found, ports_find(&set->ports, i ? &e->below : &e->at,
						      traffic));
	}
	return found;
}

bool domain_eq(const char *a, const char *b)
{
	size_t len = length_of(a);

	return len == length_of(b) && same_octets(a, b, len);
}

static bool is_number(const char *label, size_t len)
{
	bool hex = len >= 2 && label[0] == '0' && ascii_lower(label[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < len; i++) {
		uint8_t c = ascii_lower(label[i]);

		if (!(c >= '0' && c <= '9') && !(hex && c >= 'a' && c <= 'f'))
			return false;
	}
	return len > 0;
}

bool domain_is_address(const char *name)
{
	size_t len = length_of(name), last = len;

	while (last > 0 && !is_border(name, last - 1))
		last--;
	return len == 0 || strpbrk(name, ":\\") || is_number(name + last, len - last);
}
