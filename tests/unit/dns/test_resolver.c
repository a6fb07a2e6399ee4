/*
 * The resolver against name servers in the same loop. Every test ends with uv_loop_close()
 * returning 0, so nothing is left open. The tests about silence take as long as the
 * resolver waits; they are all in one loop run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/answer.h"
#include "dns/octets.h"
#include "dns/resolver.h"
#include "upstream.h"

#define PATIENCE_MS 15000

struct world {
	uv_loop_t loop;
	uv_timer_t patience;
	struct resolver *r;
	struct upstream up[3];
	bool closed, impatient;
};

/* One ask and what came of it. */
struct result {
	struct resolver_ask *ask;
	int calls;
	uint8_t msg[4096];
	size_t len;
	uint64_t at_ms;
	uv_loop_t *loop;
	unsigned *count; /* of answers, or NULL */
};

static void on_patience_over(uv_timer_t *timer)
{
	container_of(timer, struct world, patience)->impatient = true;
}

static struct world *world_new(upstream_fn first, upstream_fn second)
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

static void world_free(struct world *w)
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

static struct msg_question question(const char *text)
{
	struct msg_question q = { .flags = MSG_RD, .type = MSG_TYPE_A, .class = MSG_CLASS_IN };

	assert_true(name_from_text(text, &q.asked));
	q.name = name_lower(&q.asked);
	return q;
}

static void on_answer(void *ctx, const uint8_t *msg, size_t len)
{
	struct result *res = ctx;

	res->calls++;
	res->len = len;
	res->at_ms = uv_now(res->loop);
	assert_int_equal(msg == NULL, len == 0);
	if (msg)
		memcpy(res->msg, msg, MIN(len, sizeof(res->msg)));
	if (res->count)
		++*res->count;
}

static void ask_at(struct world *w, struct result *res, const char *name,
		   const struct endpoint *server)
{
	struct msg_question q = question(name);

	*res = (struct result){ .loop = &w->loop };
	res->ask = resolver_ask(w->r, &q, server, on_answer, res);
	assert_int_equal(res->calls, 0); /* never from within */
}

static void ask(struct world *w, struct result *res, const char *name)
{
	ask_at(w, res, name, NULL);
	assert_non_null(res->ask);
}

static void run_until(struct world *w, const int *calls)
{
	w->impatient = false;
	uv_timer_start(&w->patience, on_patience_over, PATIENCE_MS, 0);
	while (!*calls && !w->impatient)
		uv_run(&w->loop, UV_RUN_ONCE);
	uv_timer_stop(&w->patience);
	assert_int_equal(*calls, 1);
}

static void ask_and_wait(struct world *w, struct result *res, const char *name)
{
	ask(w, res, name);
	run_until(w, &res->calls);
}

/* --- kinds of servers --- */

static size_t good(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, 0, 1, out);
}

static size_t silent(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	(void)query;
	(void)out;
	return 0;
}

static size_t servfail(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_SERVFAIL, 0, out);
}

static size_t refused(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_REFUSED, 0, out);
}

static size_t nxdomain(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_NXDOMAIN, 0, out);
}

static size_t lower_cased(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	size_t n = upstream_reply(query, 0, 1, out);

	memcpy(out + MSG_HEADER, query->q.name.b, query->q.name.len);
	return n;
}

static size_t truncated(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return query->tcp ? upstream_reply(query, 0, 200, out)
			  : upstream_reply(query, MSG_TC, 1, out);
}

static size_t big(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, 0, 70, out); /* some 1,160 octets */
}

/* Doesn't know OPT. */
static size_t old(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	size_t n = upstream_reply(query, query->q.edns ? MSG_FORMERR : 0, !query->q.edns, out);

	(void)u;
	octets_put_u16(out + 10, 0);
	return query->q.edns ? n - MSG_OPT : n;
}

/* Knows it, and doesn't like the question. */
static size_t formerr(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_FORMERR, 0, out);
}

static size_t slow(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	/* Longer than until the second sending; that one isn't answered. */
	u->delay_ms = 2500;
	return u->udp_count == 1 ? upstream_reply(query, 0, 1, out) : 0;
}

/* Whatever is wrong with these, they must not be taken for an answer. */
static size_t wrong_answers(struct upstream *u, const struct upstream_query *query, uint8_t *out)
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

/* --- tests --- */

static void expect_rcode(const struct result *res, enum msg_rcode rcode, int records)
{
	assert_true(res->len >= MSG_HEADER);
	assert_int_equal(msg_header_rcode(res->msg), rcode);
	assert_int_equal(octets_u16(res->msg + 6), records);
}

static void test_plain_answer(void **state)
{
	struct world *w = world_new(good, NULL);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NOERROR, 1);
	assert_int_equal(w->up[0].udp_count, 1);
	assert_int_equal(w->up[0].tcp_count, 0);
	world_free(w);
}

static size_t check_opt(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	/* What c-ares would cut off must be the whole of OPT. */
	assert_memory_equal(query->msg + query->len - MSG_OPT, "\0\0\x29\x04\xd0\0\0\0\0\0\0",
			    MSG_OPT);
	return upstream_reply(query, 0, 1, out);
}

static void test_query_ends_in_opt(void **state)
{
	struct world *w = world_new(check_opt, NULL);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NOERROR, 1);
	world_free(w);
}

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
		ask_and_wait(w, &res, "abcdefghijklmnopqrstuvwxyz");
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
	struct msg_question q = question("www.example.com");

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
	struct world *w = world_new(good, NULL);
	struct load l = { .w = w, .asked = 64 };
	struct msg_question q = question("www.example.com");

	(void)state;
	for (int i = 0; i < 64; i++)
		assert_non_null(resolver_ask(w->r, &q, NULL, on_load_answer, &l));
	run_until(w, &l.done);
	assert_int_equal(w->up[0].udp_count, 4000);
	/* 128 queries to a port, and some that it gets while the next one is opened. */
	assert_in_range(distinct(w->up[0].ports, 4000), 20, 400);
	world_free(w);
}

static void test_server_that_changes_case(void **state)
{
	struct world *w = world_new(lower_cased, NULL);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "abcdefghijklmnopqrstuvwxyz");
	expect_rcode(&res, MSG_NOERROR, 1);
	assert_int_equal(w->up[0].udp_count, 2);
	world_free(w);
}

static void test_next_server_after_failure(void **state)
{
	static const upstream_fn bad[] = { servfail, refused };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct world *w = world_new(bad[i], good);
		struct result res;

		ask_and_wait(w, &res, "www.example.com");
		expect_rcode(&res, MSG_NOERROR, 1);
		assert_int_equal(w->up[0].udp_count, 1);
		assert_int_equal(w->up[1].udp_count, 1);
		world_free(w);
	}
}

static void test_last_failure_is_told(void **state)
{
	struct world *w = world_new(servfail, refused);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_REFUSED, 0);
	world_free(w);
}

static void test_nxdomain_is_an_answer(void **state)
{
	struct world *w = world_new(nxdomain, good);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NXDOMAIN, 0);
	assert_int_equal(w->up[1].udp_count, 0);
	world_free(w);
}

static void test_truncated_comes_by_tcp(void **state)
{
	struct world *w = world_new(truncated, NULL);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NOERROR, 200);
	assert_true(res.len > 3200);
	assert_int_equal(w->up[0].udp_count, 1);
	assert_int_equal(w->up[0].tcp_count, 1);
	world_free(w);
}

static void test_big_answer_stays_on_udp(void **state)
{
	struct world *w = world_new(big, NULL);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NOERROR, 70);
	assert_int_equal(w->up[0].tcp_count, 0);
	world_free(w);
}

static void test_server_without_edns(void **state)
{
	struct world *w = world_new(old, NULL);
	struct result res[40];

	(void)state;
	/* Some under way when the first FORMERR comes. */
	for (int i = 0; i < 40; i++)
		ask(w, &res[i], "www.example.com");
	for (int i = 0; i < 40; i++) {
		run_until(w, &res[i].calls);
		expect_rcode(&res[i], MSG_NOERROR, 1);
	}
	assert_int_equal(w->up[0].udp_count, 80);
	/* Known from now on. */
	ask_and_wait(w, &res[0], "www.example.com");
	expect_rcode(&res[0], MSG_NOERROR, 1);
	assert_int_equal(w->up[0].udp_count, 81);
	world_free(w);
}

static void test_formerr_is_an_answer(void **state)
{
	struct world *w = world_new(formerr, good);
	struct result res;

	(void)state;
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_FORMERR, 0);
	assert_int_equal(w->up[0].udp_count, 1);
	world_free(w);
}

static void test_closed_port(void **state)
{
	struct world *w = world_new(silent, good);
	struct endpoint closed = w->up[0].at;
	struct result res;
	uint64_t begin;

	(void)state;
	upstream_close(&w->up[0]);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	w->up[0].answer = NULL;
	begin = uv_now(&w->loop);
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NOERROR, 1);
	ask_at(w, &res, "www.example.com", &closed);
	run_until(w, &res.calls);
	assert_int_equal(res.len, 0);
	assert_true(uv_now(&w->loop) - begin < 1000);
	world_free(w);
}

static void test_without_servers(void **state)
{
	struct world *w = world_new(NULL, NULL);
	struct result res;

	(void)state;
	ask_at(w, &res, "www.example.com", NULL);
	assert_null(res.ask);
	upstream_open(&w->up[0], &w->loop, good);
	resolver_set_servers(w->r, &w->up[0].at, 1);
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NOERROR, 1);
	world_free(w);
}

static void test_no_route(void **state)
{
	/* Class E can't be sent to: the first server fails before the ask returns. */
	struct endpoint servers[2] = { { .port = 53 } };
	struct world *w = world_new(good, NULL);
	struct result res;

	(void)state;
	assert_true(addr_parse("255.255.255.255", &servers[0].addr));
	servers[1] = w->up[0].at;
	ask_at(w, &res, "www.example.com", &servers[0]);
	assert_null(res.ask);
	resolver_set_servers(w->r, servers, 2);
	ask_and_wait(w, &res, "www.example.com");
	expect_rcode(&res, MSG_NOERROR, 1);
	world_free(w);
}

static void test_explicit_server(void **state)
{
	struct world *w = world_new(good, good);
	struct result res;

	(void)state;
	upstream_open(&w->up[2], &w->loop, refused);
	ask_at(w, &res, "www.example.com", &w->up[2].at);
	run_until(w, &res.calls);
	/* Nobody else is asked. */
	expect_rcode(&res, MSG_REFUSED, 0);
	assert_int_equal(w->up[0].udp_count + w->up[1].udp_count, 0);
	assert_int_equal(w->up[2].udp_count, 1);
	world_free(w);
}

static void test_silent_strangers_leave_room(void **state)
{
	struct world *w = world_new(good, NULL);
	struct upstream *deaf = calloc(20, sizeof(*deaf));
	struct result res[20], own;
	unsigned taken = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		upstream_open(&deaf[i], &w->loop, silent);
		ask_at(w, &res[i], "www.example.com", &deaf[i].at);
		taken += res[i].ask != NULL;
	}
	assert_int_equal(taken, 16);
	ask_and_wait(w, &own, "www.example.com");
	expect_rcode(&own, MSG_NOERROR, 1);
	for (int i = 0; i < 20; i++)
		upstream_close(&deaf[i]);
	world_free(w);
	for (int i = 0; i < 20; i++)
		assert_int_equal(res[i].calls, 0);
	free(deaf);
}

static void test_cancel(void **state)
{
	struct world *w = world_new(good, NULL);
	struct result cancelled, res;

	(void)state;
	ask(w, &cancelled, "www.example.com");
	ask(w, &res, "www.example.com");
	resolver_cancel(cancelled.ask);
	run_until(w, &res.calls);
	/* The answer to the first has come as well. */
	assert_int_equal(w->up[0].udp_count, 2);
	ask_and_wait(w, &res, "www.example.com");
	assert_int_equal(cancelled.calls, 0);
	world_free(w);
}

static struct result *others[2];

static void on_answer_cancel_other(void *ctx, const uint8_t *msg, size_t len)
{
	int self = ctx == others[1];

	on_answer(ctx, msg, len);
	resolver_cancel(others[!self]->ask);
}

static void test_cancel_in_a_callback(void **state)
{
	struct world *w = world_new(good, NULL);
	struct msg_question q = question("www.example.com");
	struct result res[2] = { { .loop = &w->loop }, { .loop = &w->loop } }, last;

	(void)state;
	for (int i = 0; i < 2; i++) {
		others[i] = &res[i];
		res[i].ask = resolver_ask(w->r, &q, NULL, on_answer_cancel_other, &res[i]);
	}
	ask_and_wait(w, &last, "www.example.com");
	ask_and_wait(w, &last, "www.example.com");
	assert_int_equal(res[0].calls + res[1].calls, 1);
	world_free(w);
}

static void test_close_with_questions_under_way(void **state)
{
	struct world *w = world_new(silent, truncated);
	struct result res[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		ask_at(w, &res[i], "www.example.com", i % 2 ? &w->up[1].at : NULL);
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
	struct world *w = world_new(silent, NULL);
	struct result *res = calloc(RESOLVER_QUERIES_MAX, sizeof(*res)), more;

	(void)state;
	for (int i = 0; i < RESOLVER_QUERIES_MAX; i++)
		ask(w, &res[i], "www.example.com");
	ask_at(w, &more, "www.example.com", NULL);
	assert_null(more.ask);
	/* Cancelling makes no room, or a child could fill us with what nobody waits for. */
	resolver_cancel(res[0].ask);
	ask_at(w, &more, "www.example.com", NULL);
	assert_null(more.ask);
	world_free(w);
	free(res);
}

static void test_silence(void **state)
{
	struct world *w = world_new(silent, good);
	struct upstream *liar = calloc(1, sizeof(*liar)), *late = calloc(1, sizeof(*late));
	struct result own, deaf, all_deaf, lied[6], slowly;
	struct endpoint servers[3];
	uint64_t begin;

	(void)state;
	upstream_open(&w->up[2], &w->loop, silent);
	upstream_open(liar, &w->loop, wrong_answers);
	upstream_open(late, &w->loop, slow);
	begin = uv_now(&w->loop);
	ask(w, &own, "www.example.com");
	ask_at(w, &deaf, "www.example.com", &w->up[2].at);
	for (int i = 0; i < 6; i++)
		ask_at(w, &lied[i], "www.example.com", &liar->at);
	ask_at(w, &slowly, "www.example.com", &late->at);
	servers[0] = servers[1] = servers[2] = w->up[0].at;
	resolver_set_servers(w->r, servers, 3);
	ask(w, &all_deaf, "www.example.com");

	/* The second server is asked when the first has been silent for a while. */
	run_until(w, &own.calls);
	expect_rcode(&own, MSG_NOERROR, 1);
	assert_in_range(own.at_ms - begin, 1200, 3000);

	/* The answer to the first sending is welcome after the second. */
	run_until(w, &slowly.calls);
	expect_rcode(&slowly, MSG_NOERROR, 1);
	assert_in_range(slowly.at_ms - begin, 2400, 3500);
	assert_true(late->udp_count > 1);

	/* Three silent servers take no longer than one. */
	run_until(w, &deaf.calls);
	run_until(w, &all_deaf.calls);
	assert_int_equal(deaf.len + all_deaf.len, 0);
	assert_in_range(deaf.at_ms - begin, RESOLVER_TIMEOUT_MS - 500, RESOLVER_TIMEOUT_MS + 1000);
	assert_in_range(all_deaf.at_ms - begin, RESOLVER_TIMEOUT_MS - 500,
			RESOLVER_TIMEOUT_MS + 1000);
	assert_int_equal(w->up[2].udp_count, 3);
	for (int i = 0; i < 6; i++) {
		run_until(w, &lied[i].calls);
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
		cmocka_unit_test(test_plain_answer),
		cmocka_unit_test(test_query_ends_in_opt),
		cmocka_unit_test(test_ids_ports_and_spelling_vary),
		cmocka_unit_test(test_no_port_is_kept_under_load),
		cmocka_unit_test(test_server_that_changes_case),
		cmocka_unit_test(test_next_server_after_failure),
		cmocka_unit_test(test_last_failure_is_told),
		cmocka_unit_test(test_nxdomain_is_an_answer),
		cmocka_unit_test(test_truncated_comes_by_tcp),
		cmocka_unit_test(test_big_answer_stays_on_udp),
		cmocka_unit_test(test_server_without_edns),
		cmocka_unit_test(test_formerr_is_an_answer),
		cmocka_unit_test(test_closed_port),
		cmocka_unit_test(test_without_servers),
		cmocka_unit_test(test_no_route),
		cmocka_unit_test(test_explicit_server),
		cmocka_unit_test(test_silent_strangers_leave_room),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_in_a_callback),
		cmocka_unit_test(test_close_with_questions_under_way),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
