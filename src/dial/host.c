#include "dial/host.h"

#include <string.h>

#include "base/log.h"

/* A server that says 0 is asked once for all that wait, not once for each. */
#define TTL_MIN_S 1
#define TTL_MAX_S 3600

void host_init(struct host *h, uv_loop_t *loop, struct resolve *resolve, const char *name,
	       const struct addr *addr)
{
	*h = (struct host){ .name = name, .loop = loop, .resolve = resolve };
	list_init(&h->waiting);
	if (!addr)
		return;
	h->is_addr = true;
	h->addrs[0] = *addr;
	h->count = 1;
}

void host_close(struct host *h)
{
	assert(list_empty(&h->waiting));
	if (h->ask)
		h->resolve->ops->cancel(h->ask);
	h->ask = NULL;
}

static void log_addresses(const struct host *h)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < h->count && log_level() >= LOG_LEVEL_INFO; i++)
		log_info("proxy %s is %s", h->name, addr_format(&h->addrs[i], text));
}

static void on_answer(void *ctx, const struct addr *addrs, size_t n, uint32_t ttl_s)
{
	struct host *h = ctx;
	struct list now;

	h->ask = NULL;
	h->count = MIN(n, ARRAY_SIZE(h->addrs));
	if (h->count)
		memcpy(h->addrs, addrs, h->count * sizeof(*addrs));
	h->best = 0;
	h->expires_ms = uv_now(h->loop) +
			1000ull * MIN(MAX(ttl_s, (uint32_t)TTL_MIN_S), TTL_MAX_S);
	log_addresses(h);
	/* Those who come while these are told wait for another answer. */
	list_init(&now);
	while (!list_empty(&h->waiting)) {
		struct list *node = h->waiting.next;

		list_del(node);
		list_add_tail(&now, node);
	}
	while (!list_empty(&now)) {
		struct host_wait *w = list_entry(now.next, struct host_wait, node);

		list_del(&w->node);
		w->ready(w, h->count > 0);
	}
}

enum host_found host_find(struct host *h, struct host_wait *w,
			  void (*ready)(struct host_wait *w, bool found))
{
	list_init(&w->node);
	if (h->is_addr || (h->count && uv_now(h->loop) < h->expires_ms))
		return HOST_HERE;
	if (!h->ask)
		h->ask = h->resolve->ops->ask(h->resolve, h->name, on_answer, h);
	if (!h->ask)
		return HOST_NOWHERE;
	w->ready = ready;
	list_add_tail(&h->waiting, &w->node);
	return HOST_PENDING;
}

void host_unwait(struct host *h, struct host_wait *w)
{
	list_del(&w->node);
	if (list_empty(&h->waiting) && h->ask) {
		h->resolve->ops->cancel(h->ask);
		h->ask = NULL;
	}
}
