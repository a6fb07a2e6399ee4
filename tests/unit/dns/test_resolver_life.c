/*
 * Many questions, silence, cancelling and closing. The tests about silence take as long as
 * the resolver waits; they are all in one run of a loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/octets.h"
#include "world.h"

static unsigned distinct(const uint16_t *values, unsigned n)
{
	static uint8_t seen[65536];
	unsigned count = 0;

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < n; i++) {
		count += !seen[values[i]];
		seen[values[i]] = 1;
	}
	return count;
}

static unsigned spelt_upper;

static size_t note_spelling(struct upstream *u, const struct upstream_query *query,
			    uint8_t *out)
{
	(void)u;
	for (size_t i = 0; i < query->q.asked.len; i++)
		spelt_upper += query->q.asked.b[i] != query->q.name.b[i];
	return upstream_reply(query, 0, 1, out);
}

static void test_ids_ports_and_spelling_vary(void **state)
{
	struct world *w = world_new(note_spelling, NULL);
	struct result res;
	unsigned letters = 100 * strlen("abcdefghijklmnopqrstuvwxyz");

	(void)state;
	spelt_upper = 0;
	for (int i = 0; i < 100; i++)
		world_ask_and_wait(w, &res, "abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(w->up[0].udp_count, 100);
	/* Of 100 random IDs, more than five equal ones come never. */
	assert_true(distinct(w->up[0].ids, 100) > 95);
	assert_true(distinct(w->up[0].ports, 100) > 90);
	assert_in_range(spelt_upper, letters * 4 / 10, letters * 6 / 10);
	world_free(w);
}

/* Keeps 64 questions under way until 4,000 have been asked. */
struct load {
	struct world *w;
	unsigned asked;
	int answered, done;
};

static void on_load_answer(void *ctx, const uint8_t *msg, size_t len)
{
	struct load *l = ctx;
	struct msg_question q = world_question("www.example.com");

	(void)len;
	assert_non_null(msg);
	l->done = ++l->answered == 4000;
	if (l->asked < 4000) {
		l->asked++;
		assert_non_null(resolver_ask(l->w->r, &q, NULL, on_load_answer, l));
	}
}

static void test_no_port_is_kept_under_load(void **state)
{
	struct world *w = world_new(world_good, NULL);
	struct load l = { .w = w, .asked = 64 };
	struct msg_question q = world_question("www.example.com");

	(void)state;
	for (int i = 0; i < 64; i++)
		assert_non_null(resolver_ask(w->r, &q, NULL, on_load_answer, &l));
	world_run_until(w, &l.done);
	assert_int_equal(w->up[0].udp_count, 4000);
	/* 128 queries to a port, and some that it gets while the next one is opened. */
	assert_in_range(distinct(w->up[0].ports, 4000), 20, 400);
	world_free(w);
}

static size_t slow(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	/* Longer than until the second sending; that one isn't answered. */
	u->delay_ms = 2500;
	return u->udp_count == 1 ? upstream_reply(query, 0, 1, out) : 0;
}

/* Whatever is wrong with these, they must not be taken for an answer. */
static size_t wrong_answers(struct upstream *u, const struct upstream_query *query,
			    uint8_t *out)
{
	size_t n = upstream_reply(query, 0, 1, out);

	switch (u->udp_count % 6) {
	case 0: /* another's ID */
		out[0] ^= 1;
		return n;
	case 1: /* another name */
		out[MSG_HEADER + 1] = '-';
		return n;
	case 2: /* another type */
		out[MSG_HEADER + query->q.asked.len + 1] = MSG_TYPE_AAAA;
		return n;
	case 3: /* a query */
		out[2] &= ~0x80;
		return n;
	case 4: /* no question */
		octets_put_u16(out + 4, 0);
		return MSG_HEADER;
	default:
		return 5;
	}
}

static void test_silent_strangers_leave_room(void **state)
{
	struct world *w = world_new(world_good, NULL);
	struct upstream *deaf = calloc(20, sizeof(*deaf));
	struct result res[20], own;
	unsigned taken = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		upstream_open(&deaf[i], &w->loop, world_silent);
		world_ask_at(w, &res[i], "www.example.com", &deaf[i].at);
		taken += res[i].ask != NULL;
	}
	assert_int_equal(taken, 16);
	world_ask_and_wait(w, &own, "www.example.com");
	world_expect(&own, MSG_NOERROR, 1);
	for (int i = 0; i < 20; i++)
		upstream_close(&deaf[i]);
	world_free(w);
	for (int i = 0; i < 20; i++)
		assert_int_equal(res[i].calls, 0);
	free(deaf);
}

static void test_cancel(void **state)
{
	struct world *w = world_new(world_good, NULL);
	struct result cancelled, res;

	(void)state;
	world_ask(w, &cancelled, "www.example.com");
	world_ask(w, &res, "www.example.com");
	resolver_cancel(cancelled.ask);
	world_run_until(w, &res.calls);
	/* The answer to the first has come as well. */
	assert_int_equal(w->up[0].udp_count, 2);
	world_ask_and_wait(w, &res, "www.example.com");
	assert_int_equal(cancelled.calls, 0);
	world_free(w);
}

static struct result *others[2];

static void on_answer_cancel_other(void *ctx, const uint8_t *msg, size_t len)
{
	int self = ctx == others[1];

	world_on_answer(ctx, msg, len);
	resolver_cancel(others[!self]->ask);
}

static void test_cancel_in_a_callback(void **state)
{
	struct world *w = world_new(world_good, NULL);
	struct msg_question q = world_question("www.example.com");
	struct result res[2] = { { .loop = &w->loop }, { .loop = &w->loop } }, last;

	(void)state;
	for (int i = 0; i < 2; i++) {
		others[i] = &res[i];
		res[i].ask = resolver_ask(w->r, &q, NULL, on_answer_cancel_other,
					  &res[i]);
	}
	world_ask_and_wait(w, &last, "www.example.com");
	world_ask_and_wait(w, &last, "www.example.com");
	assert_int_equal(res[0].calls + res[1].calls, 1);
	world_free(w);
}

static void test_close_with_questions_under_way(void **state)
{
	struct world *w = world_new(world_silent, world_truncated);
	struct result res[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		world_ask_at(w, &res[i], "www.example.com", i % 2 ? &w->up[1].at : NULL);
	while (w->up[0].udp_count < 50 || !w->up[1].tcp_count)
		uv_run(&w->loop, UV_RUN_ONCE);
	for (int i = 0; i < 100; i++)
		res[i].calls = 0;
	world_free(w);
	for (int i = 0; i < 100; i++)
		assert_int_equal(res[i].calls, 0);
}

static void test_limit(void **state)
{
	struct world *w = world_new(world_silent, NULL);
	struct result *res = calloc(RESOLVER_QUERIES_MAX, sizeof(*res)), more;

	(void)state;
	for (int i = 0; i < RESOLVER_QUERIES_MAX; i++)
		world_ask(w, &res[i], "www.example.com");
	world_ask_at(w, &more, "www.example.com", NULL);
	assert_null(more.ask);
	/* Cancelling makes no room, or a child could fill us with what nobody waits for. */
	resolver_cancel(res[0].ask);
	world_ask_at(w, &more, "www.example.com", NULL);
	assert_null(more.ask);
	world_free(w);
	free(res);
}

static void test_silence(void **state)
{
	struct world *w = world_new(world_silent, world_good);
	struct upstream *liar = calloc(1, sizeof(*liar)),
			*late = calloc(1, sizeof(*late));
	struct result own, deaf, all_deaf, lied[6], slowly;
	struct endpoint servers[3];
	uint64_t begin;

	(void)state;
	upstream_open(&w->up[2], &w->loop, world_silent);
	upstream_open(liar, &w->loop, wrong_answers);
	upstream_open(late, &w->loop, slow);
	begin = uv_now(&w->loop);
	world_ask(w, &own, "www.example.com");
	world_ask_at(w, &deaf, "www.example.com", &w->up[2].at);
	for (int i = 0; i < 6; i++)
		world_ask_at(w, &lied[i], "www.example.com", &liar->at);
	world_ask_at(w, &slowly, "www.example.com", &late->at);
	servers[0] = servers[1] = servers[2] = w->up[0].at;
	resolver_set_servers(w->r, servers, 3);
	world_ask(w, &all_deaf, "www.example.com");

	/* The second server is asked when the first has been silent for a while. */
	world_run_until(w, &own.calls);
	world_expect(&own, MSG_NOERROR, 1);
	assert_in_range(own.at_ms - begin, 1200, 3000);

	/* The answer to the first sending is welcome after the second. */
	world_run_until(w, &slowly.calls);
	world_expect(&slowly, MSG_NOERROR, 1);
	assert_in_range(slowly.at_ms - begin, 2400, 3500);
	assert_true(late->udp_count > 1);

	/* Three silent servers take no longer than one. */
	world_run_until(w, &deaf.calls);
	world_run_until(w, &all_deaf.calls);
	assert_int_equal(deaf.len + all_deaf.len, 0);
	assert_in_range(deaf.at_ms - begin, RESOLVER_TIMEOUT_MS - 500,
			RESOLVER_TIMEOUT_MS + 1000);
	assert_in_range(all_deaf.at_ms - begin, RESOLVER_TIMEOUT_MS - 500,
			RESOLVER_TIMEOUT_MS + 1000);
	assert_int_equal(w->up[2].udp_count, 3);
	for (int i = 0; i < 6; i++) {
		world_run_until(w, &lied[i].calls);
		assert_int_equal(lied[i].len, 0);
	}
	upstream_close(liar);
	upstream_close(late);
	world_free(w);
	free(liar);
	free(late);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_ports_and_spelling_vary),
		cmocka_unit_test(test_no_port_is_kept_under_load),
		cmocka_unit_test(test_silent_strangers_leave_room),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_in_a_callback),
		cmocka_unit_test(test_close_with_questions_under_way),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
