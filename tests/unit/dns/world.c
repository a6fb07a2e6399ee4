#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/octets.h"

#define PATIENCE_MS 15000

static void on_patience_over(uv_timer_t *timer)
{
	container_of(timer, struct world, patience)->impatient = true;
}

struct world *world_new(upstream_fn first, upstream_fn second)
{
	struct world *w = calloc(1, sizeof(*w));
	struct endpoint servers[3];
	struct error err;
	size_t n = 0;

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	uv_timer_init(&w->loop, &w->patience);
	w->r = resolver_new(&w->loop, &err);
	assert_non_null(w->r);
	if (first) {
		upstream_open(&w->up[n], &w->loop, first);
		servers[n] = w->up[n].at;
		n++;
	}
	if (second) {
		upstream_open(&w->up[n], &w->loop, second);
		servers[n] = w->up[n].at;
		n++;
	}
	resolver_set_servers(w->r, servers, n);
	return w;
}

static void on_closed(void *ctx)
{
	*(bool *)ctx = true;
}

void world_free(struct world *w)
{
	resolver_close(w->r, on_closed, &w->closed);
	uv_close((uv_handle_t *)&w->patience, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(w->up); i++)
		if (w->up[i].answer)
			upstream_close(&w->up[i]);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_true(w->closed);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
}

struct msg_question world_question(const char *text)
{
	struct msg_question q = { .flags = MSG_RD,
				  .type = MSG_TYPE_A,
				  .class = MSG_CLASS_IN };

	assert_true(name_from_text(text, &q.asked));
	q.name = name_lower(&q.asked);
	return q;
}

void world_on_answer(void *ctx, const uint8_t *msg, size_t len)
{
	struct result *res = ctx;

	res->calls++;
	res->len = len;
	res->at_ms = uv_now(res->loop);
	assert_int_equal(msg == NULL, len == 0);
	if (msg)
		memcpy(res->msg, msg, MIN(len, sizeof(res->msg)));
}

void world_ask_at(struct world *w, struct result *res, const char *name,
		  const struct endpoint *server)
{
	struct msg_question q = world_question(name);

	*res = (struct result){ .loop = &w->loop };
	res->ask = resolver_ask(w->r, &q, server, world_on_answer, res);
	assert_int_equal(res->calls, 0); /* never from within */
}

void world_ask(struct world *w, struct result *res, const char *name)
{
	world_ask_at(w, res, name, NULL);
	assert_non_null(res->ask);
}

void world_run_until(struct world *w, const int *calls)
{
	w->impatient = false;
	uv_timer_start(&w->patience, on_patience_over, PATIENCE_MS, 0);
	while (!*calls && !w->impatient)
		uv_run(&w->loop, UV_RUN_ONCE);
	uv_timer_stop(&w->patience);
	assert_int_equal(*calls, 1);
}

void world_ask_and_wait(struct world *w, struct result *res, const char *name)
{
	world_ask(w, res, name);
	world_run_until(w, &res->calls);
}

void world_expect(const struct result *res, enum msg_rcode rcode, int records)
{
	assert_true(res->len >= MSG_HEADER);
	assert_int_equal(msg_header_rcode(res->msg), rcode);
	assert_int_equal(octets_u16(res->msg + 6), records);
}

size_t world_good(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, 0, 1, out);
}

size_t world_silent(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	(void)query;
	(void)out;
	return 0;
}

size_t world_truncated(struct upstream *u, const struct upstream_query *query,
		       uint8_t *out)
{
	(void)u;
	return query->tcp ? upstream_reply(query, 0, 200, out) :
			    upstream_reply(query, MSG_TC, 1, out);
}
