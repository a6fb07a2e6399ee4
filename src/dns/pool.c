/*
 * Theory of operation
 *
 * Name number i has the addresses network + 1 + i, one of each family, so an address leads to
 * its name by arithmetic; a hash table leads the other way. Both families share the number:
 * whichever the child connects to, it is the same name that the proxy is told.
 *
 * Numbers are given in order until all are in use. Then the name that was used least recently
 * loses its number: used means asked for, or held by a flow, and while it is held a name is
 * not on the list of those that can lose. If all are held the pool is full, and giving fails:
 * an address that changed its meaning under a flow, or for a program that has just looked it
 * up, would be a connection to the wrong host.
 *
 * Rejected: numbers from a hash of the name (they would be the same in each run, but two names
 * would meet in one), and a life by TTL (programs keep addresses longer than they should).
 */
#include "dns/pool.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

#define V4_OFFSET 96 /* of an IPv4 address in a struct addr */

struct pool_hold {
	struct list bucket;
	struct list idle; /* on pool.idle, unless it is held */
	uint32_t number;
	size_t holds;
	char name[];
};

struct pool {
	struct pool_range v4, v6;
	uint64_t seed;
	uint32_t capacity, given;
	struct list idle; /* used least recently first */
	size_t mask;
	struct pool_hold **names; /* by number */
	struct list buckets[];
};

/* FNV-1a, begun and ended with what nobody can know. */
static struct list *bucket_of(struct pool *p, const char *name)
{
	uint64_t h = 0xcbf29ce484222325u ^ p->seed;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	h = (h ^ p->seed ^ h >> 32) * 0xd6e8feb86659fd93u;
	return &p->buckets[(h ^ h >> 32) & p->mask];
}

static struct pool_hold *find(struct pool *p, const char *name)
{
	struct list *pos, *tmp, *bucket = bucket_of(p, name);

	list_for_each (pos, tmp, bucket) {
		struct pool_hold *h = list_entry(pos, struct pool_hold, bucket);

		if (!strcmp(h->name, name))
			return h;
	}
	return NULL;
}

/* --- numbers and addresses --- */

/* What the range has room for, less its first address and its last. */
static uint32_t range_room(const struct pool_range *r)
{
	unsigned bits = 128 - r->prefix;

	return bits > 16 ? POOL_NAMES_MAX :
			   MIN((1u << bits) - 2, (unsigned)POOL_NAMES_MAX);
}

static struct addr range_addr(const struct pool_range *r, uint32_t number)
{
	struct addr a = r->network;
	uint32_t low;

	memcpy(&low, a.b + 12, sizeof(low));
	low = htobe32(be32toh(low) + 1 + number);
	memcpy(a.b + 12, &low, sizeof(low));
	return a;
}

static bool range_contains(const struct pool_range *r, const struct addr *a)
{
	return addr_prefix_eq(&r->network, a, r->prefix);
}

/* The name's number, which may be out of the table. */
static uint64_t range_number(const struct pool_range *r, const struct addr *a)
{
	uint64_t low, first;

	memcpy(&low, a->b + 8, sizeof(low));
	memcpy(&first, r->network.b + 8, sizeof(first));
	return be64toh(low) - be64toh(first) - 1;
}

bool pool_contains(const struct pool *p, const struct addr *a)
{
	return range_contains(&p->v4, a) || range_contains(&p->v6, a);
}

static struct pool_hold *at_address(const struct pool *p, const struct addr *a)
{
	const struct pool_range *r = addr_is_v4(a) ? &p->v4 : &p->v6;
	uint64_t number;

	if (!range_contains(r, a))
		return NULL;
	/* The range may have bits that its numbers don't use. */
	if (r->prefix < 64 && memcmp(r->network.b, a->b, 8) != 0)
		return NULL;
	number = range_number(r, a);
	return number < p->given ? p->names[number] : NULL;
}

/* --- names --- */

static bool is_host_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > POOL_NAME_LEN_MAX)
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || *name == '\\')
			return false;
	return true;
}

/* The one that was used least recently loses its number. False when all are held. */
static bool take_number(struct pool *p, uint32_t *number)
{
	struct pool_hold *oldest;

	if (p->given < p->capacity) {
		*number = p->given;
		return true;
	}
	if (list_empty(&p->idle))
		return false;
	oldest = list_entry(p->idle.next, struct pool_hold, idle);
	*number = oldest->number;
	list_del(&oldest->idle);
	list_del(&oldest->bucket);
	p->names[*number] = NULL;
	free(oldest);
	return true;
}

static struct pool_hold *add(struct pool *p, const char *name)
{
	size_t size = strlen(name) + 1;
	struct pool_hold *h = malloc(sizeof(*h) + size);

	if (!h)
		return NULL;
	if (!take_number(p, &h->number)) {
		free(h);
		return NULL;
	}
	h->holds = 0;
	memcpy(h->name, name, size);
	list_add_tail(bucket_of(p, name), &h->bucket);
	list_init(&h->idle);
	p->names[h->number] = h;
	p->given = MAX(p->given, h->number + 1);
	return h;
}

static void touch(struct pool *p, struct pool_hold *h)
{
	list_del(&h->idle);
	if (!h->holds)
		list_add_tail(&p->idle, &h->idle);
}

bool pool_give(struct pool *p, const char *name, struct pool_addrs *out)
{
	struct pool_hold *h;

	if (!is_host_name(name))
		return false;
	h = find(p, name);
	if (!h)
		h = add(p, name);
	if (!h)
		return false;
	touch(p, h);
	out->v4 = range_addr(&p->v4, h->number);
	out->v6 = range_addr(&p->v6, h->number);
	return true;
}

const char *pool_name(const struct pool *p, const struct addr *a)
{
	const struct pool_hold *h = at_address(p, a);

	return h ? h->name : NULL;
}

struct pool_hold *pool_hold(struct pool *p, const struct addr *a)
{
	struct pool_hold *h = at_address(p, a);

	if (h) {
		h->holds++;
		list_del(&h->idle);
	}
	return h;
}

const char *pool_hold_name(const struct pool_hold *hold)
{
	return hold->name;
}

void pool_release(struct pool *p, struct pool_hold *hold)
{
	if (!hold)
		return;
	hold->holds--;
	touch(p, hold);
}

/* --- life --- */

size_t pool_capacity(const struct pool *p)
{
	return p->capacity;
}

struct pool *pool_new(const struct pool_range *v4, const struct pool_range *v6,
		      uint64_t seed)
{
	size_t buckets = 1, capacity = MIN(range_room(v4), range_room(v6));
	struct pool *p;

	assert(v4->prefix > V4_OFFSET && v4->prefix <= 126 && v6->prefix <= 126);
	while (buckets < capacity)
		buckets *= 2;
	p = calloc(1, sizeof(*p) + buckets * sizeof(p->buckets[0]));
	if (!p)
		return NULL;
	p->names = calloc(capacity, sizeof(*p->names));
	if (!p->names) {
		free(p);
		return NULL;
	}
	p->v4 = *v4;
	p->v6 = *v6;
	p->seed = seed;
	p->capacity = capacity;
	p->mask = buckets - 1;
	list_init(&p->idle);
	for (size_t i = 0; i < buckets; i++)
		list_init(&p->buckets[i]);
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->given; i++)
		free(p->names[i]);
	free(p->names);
	free(p);
}
