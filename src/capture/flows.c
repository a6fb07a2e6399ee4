#include "capture/flows.h"

#include <stdlib.h>
#include <sys/random.h>

#define BUCKETS 16384

struct known_flows {
	struct known_flow *bucket[BUCKETS];
	struct list ages[FLOW_OVER + 1];
	size_t count;
	uint64_t secret; /* the child chooses the keys */
	void (*forget)(void *ctx, struct known_flow *f);
	void *ctx;
};

static uint64_t mix(uint64_t h, uint64_t w)
{
	h = (h ^ w) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

static struct known_flow **slot(struct known_flows *t, uint8_t protocol,
				const struct endpoint *child,
				const struct endpoint *remote)
{
	uint64_t w[2];
	uint64_t h = mix(t->secret, (uint64_t)protocol << 32 |
					    (uint32_t)child->port << 16 | remote->port);

	memcpy(w, remote->addr.b, sizeof(w));
	h = mix(mix(h, w[0]), w[1]);
	return &t->bucket[h % BUCKETS];
}

static bool is(const struct known_flow *f, uint8_t protocol, const struct endpoint *child,
	       const struct endpoint *remote)
{
	return f->protocol == protocol && endpoint_eq(&f->child, child) &&
	       endpoint_eq(&f->remote, remote);
}

struct known_flow *flows_find(struct known_flows *t, uint8_t protocol,
			      const struct endpoint *child, const struct endpoint *remote)
{
	struct known_flow *f = *slot(t, protocol, child, remote);

	while (f && !is(f, protocol, child, remote))
		f = f->hash_next;
	return f;
}

void flows_remove(struct known_flows *t, struct known_flow *f)
{
	struct known_flow **p = slot(t, f->protocol, &f->child, &f->remote);

	while (*p != f)
		p = &(*p)->hash_next;
	*p = f->hash_next;
	t->forget(t->ctx, f);
	list_del(&f->by_age);
	t->count--;
	free(f);
}

/* What is over is missed least, then what has never opened. */
static void remove_oldest(struct known_flows *t)
{
	static const enum flow_phase order[] = { FLOW_OVER, FLOW_PENDING, FLOW_IS_OPEN };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct list *ages = &t->ages[order[i]];

		if (!list_empty(ages)) {
			flows_remove(t,
				     list_entry(ages->next, struct known_flow, by_age));
			return;
		}
	}
}

struct known_flow *flows_add(struct known_flows *t, uint8_t protocol,
			     const struct endpoint *child, const struct endpoint *remote)
{
	struct known_flow *f = calloc(1, sizeof(*f)), **p;

	if (!f)
		return NULL;
	if (t->count == FLOWS_KNOWN_MAX)
		remove_oldest(t);
	f->protocol = protocol;
	f->child = *child;
	f->remote = *remote;
	list_init(&f->held);
	list_add_tail(&t->ages[FLOW_PENDING], &f->by_age);
	p = slot(t, protocol, child, remote);
	f->hash_next = *p;
	*p = f;
	t->count++;
	return f;
}

void flows_set_phase(struct known_flows *t, struct known_flow *f, enum flow_phase phase)
{
	list_del(&f->by_age);
	f->phase = phase;
	list_add_tail(&t->ages[phase], &f->by_age);
}

struct known_flows *flows_new(void (*forget)(void *ctx, struct known_flow *f), void *ctx)
{
	struct known_flows *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->forget = forget;
	t->ctx = ctx;
	for (size_t i = 0; i < ARRAY_SIZE(t->ages); i++)
		list_init(&t->ages[i]);
	/* Without entropy the table is only slower to a child that guesses. */
	if (getrandom(&t->secret, sizeof(t->secret), 0) < 0)
		t->secret = (uintptr_t)t;
	return t;
}

void flows_free(struct known_flows *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->ages); i++) {
		while (!list_empty(&t->ages[i]))
			flows_remove(t, list_entry(t->ages[i].next, struct known_flow,
						   by_age));
	}
	free(t);
}
