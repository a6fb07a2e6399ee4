/*
 * IPv6 addresses come before IPv4 ones; whoever has no IPv6 notices at once. Both are asked
 * for at the same time and told together: of a name that has both, half would be a guess.
 */
#include "dns/lookup.h"

#include <stdlib.h>

#include "base/util.h"
#include "dns/answer.h"

struct question {
	struct msg_question q;
	struct resolve_ask *of;
	struct resolver_ask *ask;
	struct addr addrs[RESOLVE_ADDRS_MAX / 2];
	size_t count;
};

struct resolve_ask {
	struct question questions[2]; /* AAAA, A */
	uint32_t ttl_s;
	uv_timer_t timer; /* tells what needs no asking, and holds the memory */
	resolve_fn done;
	void *ctx;
};

static void on_found(void *ctx, const struct answer_found *found)
{
	struct question *question = ctx;

	question->of->ttl_s = MIN(question->of->ttl_s, found->ttl_s);
	if (question->count < ARRAY_SIZE(question->addrs))
		question->addrs[question->count++] = found->addr;
}

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_timer_t *)handle, struct resolve_ask, timer));
}

static void tell(struct resolve_ask *ask)
{
	struct addr addrs[RESOLVE_ADDRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ask->questions); i++)
		for (size_t k = 0; k < ask->questions[i].count; k++)
			addrs[n++] = ask->questions[i].addrs[k];
	uv_close((uv_handle_t *)&ask->timer, on_closed);
	ask->done(ask->ctx, addrs, n, n ? ask->ttl_s : 0);
}

static void on_timer(uv_timer_t *timer)
{
	tell(container_of(timer, struct resolve_ask, timer));
}

static bool is_done(const struct resolve_ask *ask)
{
	return !ask->questions[0].ask && !ask->questions[1].ask;
}

static void on_answer(void *ctx, const uint8_t *answer, size_t len)
{
	struct question *question = ctx;

	question->ask = NULL;
	if (answer)
		answer_each_address(&question->q, answer, len, on_found, question);
	if (is_done(question->of))
		tell(question->of);
}

static bool ask_hosts(const struct lookup *l, struct question *question)
{
	uint8_t answer[MSG_UDP_PLAIN];
	size_t len = l->hosts ? hosts_answer(l->hosts, &question->q, answer,
					     sizeof(answer)) :
				0;

	if (len)
		answer_each_address(&question->q, answer, len, on_found, question);
	return len;
}

static bool begin(const struct lookup *l, struct resolve_ask *ask)
{
	struct question *q6 = &ask->questions[0], *q4 = &ask->questions[1];
	bool in_hosts = ask_hosts(l, q6);

	in_hosts = ask_hosts(l, q4) || in_hosts;
	if (in_hosts) {
		uv_timer_start(&ask->timer, on_timer, 0, 0);
		return true;
	}
	q6->ask = resolver_ask(l->resolver, &q6->q, NULL, on_answer, q6);
	q4->ask = resolver_ask(l->resolver, &q4->q, NULL, on_answer, q4);
	return !is_done(ask);
}

static struct resolve_ask *lookup_ask(struct resolve *r, const char *name,
				      resolve_fn done, void *ctx)
{
	static const uint16_t types[] = { MSG_TYPE_AAAA, MSG_TYPE_A };
	struct lookup *l = container_of(r, struct lookup, resolve);
	struct resolve_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->ttl_s = UINT32_MAX;
	ask->done = done;
	ask->ctx = ctx;
	for (size_t i = 0; i < ARRAY_SIZE(ask->questions); i++) {
		struct question *question = &ask->questions[i];

		question->of = ask;
		question->q = (struct msg_question){ .flags = MSG_RD,
						     .type = types[i],
						     .class = MSG_CLASS_IN,
						     .edns = true };
		if (!name_from_text(name, &question->q.asked)) {
			free(ask);
			return NULL;
		}
		question->q.name = name_lower(&question->q.asked);
	}
	uv_timer_init(l->loop, &ask->timer);
	if (begin(l, ask))
		return ask;
	uv_close((uv_handle_t *)&ask->timer, on_closed);
	return NULL;
}

static void lookup_cancel(struct resolve_ask *ask)
{
	for (size_t i = 0; i < ARRAY_SIZE(ask->questions); i++)
		if (ask->questions[i].ask)
			resolver_cancel(ask->questions[i].ask);
	uv_close((uv_handle_t *)&ask->timer, on_closed);
}

static const struct resolve_ops lookup_ops = {
	.ask = lookup_ask,
	.cancel = lookup_cancel,
};

void lookup_init(struct lookup *l, uv_loop_t *loop, struct resolver *resolver,
		 const struct hosts *hosts)
{
	*l = (struct lookup){ .resolve.ops = &lookup_ops,
			      .resolver = resolver,
			      .hosts = hosts,
			      .loop = loop };
}
