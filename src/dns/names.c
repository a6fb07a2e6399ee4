/*
 * Theory of operation
 *
 * Rules name domains, packets name addresses; this table joins them. A pair counts for its
 * answer's TTL, at least a minute because programs keep addresses longer than they should. It
 * counts on while a flow to its address lives, and a grace after that, for those that keep
 * them for good: a pool that reconnects an hour later has resolved nothing anew. Nothing that
 * has run out comes back: a hold first drops what has.
 *
 * An address is a `host` in a hash table with its pairs in a list. Hosts without flows have
 * their pairs also in `idle`, those unused for longest first. A full table drops what has run out,
 * all of it at once and not before anything can have (`next_expiry_ms`), so that a full table
 * costs a sweep now and then and not one per answer; else the first idle pair goes. Pairs of
 * live flows stay: if there are no others, learning is refused. A hold costs the child a flow
 * of its own, so this harms nobody but the child.
 *
 * Rejected: forgetting by TTL alone (breaks whoever caches), never forgetting (an address of a
 * cloud changes hands within minutes).
 */
#include "dns/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"

struct names_hold {
	struct list node; /* in its bucket */
	struct addr addr;
	struct list pairs; /* the oldest first */
	size_t count, holds;
	uint64_t grace_ms; /* its pairs count at least until then */
};

struct pair {
	struct list node; /* on host.pairs */
	struct list idle; /* on names.idle, unless its host is held */
	struct names_hold *host;
	uint64_t expiry_ms; /* by the TTL */
	char name[];
};

struct names {
	uint64_t seed;
	size_t capacity, count;
	struct list idle;
	uint64_t next_expiry_ms; /* no idle pair has run out before */
	size_t mask;
	struct list *buckets; /* NULL before the first host */
};

/* Two rounds of multiply and fold: with the seed unknown, collisions can't be chosen. */
static size_t bucket_of(const struct names *t, const struct addr *addr)
{
	uint64_t half[2], h;

	memcpy(half, addr->b, sizeof(half));
	h = (half[0] ^ t->seed) * 0x9e3779b97f4a7c15u;
	h = ((h ^ h >> 32) ^ half[1]) * 0xd6e8feb86659fd93u;
	return (h ^ h >> 32) & t->mask;
}

static struct names_hold *host_find(const struct names *t, const struct addr *addr)
{
	struct list *pos, *tmp;

	if (!t->buckets)
		return NULL;
	list_for_each (pos, tmp, &t->buckets[bucket_of(t, addr)]) {
		struct names_hold *h = list_entry(pos, struct names_hold, node);

		if (addr_eq(&h->addr, addr))
			return h;
	}
	return NULL;
}

static bool make_buckets(struct names *t)
{
	t->buckets = malloc((t->mask + 1) * sizeof(*t->buckets));
	if (!t->buckets)
		return false;
	for (size_t i = 0; i <= t->mask; i++)
		list_init(&t->buckets[i]);
	return true;
}

static struct names_hold *host_get(struct names *t, const struct addr *addr)
{
	struct names_hold *h = host_find(t, addr);

	if (h)
		return h;
	h = t->buckets || make_buckets(t) ? calloc(1, sizeof(*h)) : NULL;
	if (!h)
		return NULL;
	h->addr = *addr;
	list_init(&h->pairs);
	list_add_tail(&t->buckets[bucket_of(t, addr)], &h->node);
	return h;
}

static void host_free_if_empty(struct names_hold *h)
{
	if (h->count || h->holds)
		return;
	list_del(&h->node);
	free(h);
}

static void pair_drop(struct names *t, struct pair *p)
{
	list_del(&p->node);
	list_del(&p->idle);
	p->host->count--;
	t->count--;
	free(p);
}

static uint64_t pair_expiry(const struct pair *p)
{
	return MAX(p->expiry_ms, p->host->grace_ms);
}

static bool pair_counts(const struct pair *p, uint64_t now_ms)
{
	return p->host->holds || now_ms < pair_expiry(p);
}

static struct pair *pair_find(const struct names_hold *h, const char *name)
{
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &h->pairs) {
		struct pair *p = list_entry(pos, struct pair, node);

		if (!strcmp(p->name, name))
			return p;
	}
	return NULL;
}

/* Drops the host's pairs that have run out. */
static void host_sweep(struct names *t, struct names_hold *h, uint64_t now_ms)
{
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &h->pairs) {
		struct pair *p = list_entry(pos, struct pair, node);

		if (!pair_counts(p, now_ms))
			pair_drop(t, p);
	}
}

static void sweep(struct names *t, uint64_t now_ms)
{
	struct list *pos, *tmp;

	if (now_ms < t->next_expiry_ms)
		return;
	t->next_expiry_ms = UINT64_MAX;
	list_for_each (pos, tmp, &t->idle) {
		struct pair *p = list_entry(pos, struct pair, idle);
		struct names_hold *h = p->host;

		if (pair_counts(p, now_ms)) {
			t->next_expiry_ms = MIN(t->next_expiry_ms, pair_expiry(p));
		} else {
			pair_drop(t, p);
			host_free_if_empty(h);
		}
	}
}

/* Room for one more pair. */
static bool make_room(struct names *t, uint64_t now_ms)
{
	struct names_hold *h;
	struct pair *p;

	if (t->count < t->capacity)
		return true;
	sweep(t, now_ms);
	if (t->count < t->capacity)
		return true;
	if (list_empty(&t->idle))
		return false;
	p = list_entry(t->idle.next, struct pair, idle);
	h = p->host;
	pair_drop(t, p);
	host_free_if_empty(h);
	return true;
}

/* The host has as many names as it may: the one that runs out first goes. */
static void host_make_room(struct names *t, struct names_hold *h)
{
	struct list *pos, *tmp;
	struct pair *first = NULL;

	if (h->count < NAMES_PER_ADDRESS)
		return;
	list_for_each (pos, tmp, &h->pairs) {
		struct pair *p = list_entry(pos, struct pair, node);

		if (!first || p->expiry_ms < first->expiry_ms)
			first = p;
	}
	pair_drop(t, first);
}

static struct pair *pair_new(struct names *t, const struct addr *addr, const char *name)
{
	size_t size = strlen(name) + 1;
	struct pair *p = calloc(1, sizeof(*p) + size);
	struct names_hold *h = p ? host_get(t, addr) : NULL;

	if (!h) {
		free(p);
		return NULL;
	}
	memcpy(p->name, name, size);
	p->host = h;
	list_init(&p->node);
	list_init(&p->idle);
	h->count++;
	t->count++;
	return p;
}

bool names_learn(struct names *t, const struct addr *addr, const char *name,
		 uint32_t ttl_s, uint64_t now_ms)
{
	struct names_hold *h = host_find(t, addr);
	struct pair *p = NULL;
	uint64_t expiry_ms = now_ms + MIN(MAX(ttl_s, (uint32_t)NAMES_TTL_MIN_S),
					  (uint32_t)NAMES_TTL_MAX_S) *
					      (uint64_t)1000;

	if (h) {
		host_sweep(t, h, now_ms);
		p = pair_find(h, name);
		if (!p)
			host_make_room(t, h);
		host_free_if_empty(h);
	}
	if (!p)
		p = make_room(t, now_ms) ? pair_new(t, addr, name) : NULL;
	if (!p)
		return false;
	p->expiry_ms = MAX(p->expiry_ms, expiry_ms);
	list_del(&p->node);
	list_add_tail(&p->host->pairs, &p->node);
	list_del(&p->idle);
	if (p->host->holds)
		return true;
	list_add_tail(&t->idle, &p->idle);
	t->next_expiry_ms = MIN(t->next_expiry_ms, pair_expiry(p));
	return true;
}

size_t names_of(const struct names *t, const struct addr *addr, uint64_t now_ms,
		const char *out[static NAMES_PER_ADDRESS])
{
	const struct names_hold *h = host_find(t, addr);
	struct list *pos, *tmp;
	size_t n = 0;

	if (!h)
		return 0;
	list_for_each (pos, tmp, &h->pairs) {
		const struct pair *p = list_entry(pos, struct pair, node);

		if (pair_counts(p, now_ms))
			out[n++] = p->name;
	}
	return n;
}

bool names_resolved(const struct names *t, const struct addr *addr, const char *name,
		    uint64_t now_ms)
{
	const struct names_hold *h = host_find(t, addr);
	const struct pair *p = h ? pair_find(h, name) : NULL;

	return p && pair_counts(p, now_ms);
}

struct names_hold *names_hold(struct names *t, const struct addr *addr, uint64_t now_ms)
{
	struct names_hold *h = host_find(t, addr);
	struct list *pos, *tmp;

	if (!h)
		return NULL;
	host_sweep(t, h, now_ms);
	if (!h->count && !h->holds) {
		host_free_if_empty(h);
		return NULL;
	}
	h->holds++;
	list_for_each (pos, tmp, &h->pairs)
		list_del(&list_entry(pos, struct pair, node)->idle);
	return h;
}

void names_release(struct names *t, struct names_hold *h, uint64_t now_ms)
{
	struct list *pos, *tmp;

	if (!h || --h->holds)
		return;
	h->grace_ms = now_ms + NAMES_GRACE_MS;
	list_for_each (pos, tmp, &h->pairs) {
		struct pair *p = list_entry(pos, struct pair, node);

		list_add_tail(&t->idle, &p->idle);
		t->next_expiry_ms = MIN(t->next_expiry_ms, pair_expiry(p));
	}
	host_free_if_empty(h);
}

size_t names_count(const struct names *t)
{
	return t->count;
}

struct names *names_new(size_t capacity, uint64_t seed)
{
	size_t buckets = 1;
	struct names *t;

	assert(capacity && capacity <= NAMES_CAPACITY_MAX);
	while (buckets < capacity / 4) /* hosts share a bucket when it is full */
		buckets *= 2;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->seed = seed;
	t->capacity = capacity;
	t->mask = buckets - 1;
	t->next_expiry_ms = UINT64_MAX;
	list_init(&t->idle);
	return t;
}

void names_free(struct names *t)
{
	struct list *pos, *tmp, *pair, *next;

	if (!t)
		return;
	for (size_t i = 0; t->buckets && i <= t->mask; i++)
		list_for_each (pos, tmp, &t->buckets[i]) {
			struct names_hold *h = list_entry(pos, struct names_hold, node);

			list_for_each (pair, next, &h->pairs)
				pair_drop(t, list_entry(pair, struct pair, node));
			list_del(&h->node);
			free(h);
		}
	free(t->buckets);
	free(t);
}
