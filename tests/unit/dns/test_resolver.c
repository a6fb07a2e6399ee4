/* What the resolver makes of the answers that servers give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/octets.h"
#include "world.h"

static size_t servfail(struct upstream *u, const struct upstream_query *query,
		       uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_SERVFAIL, 0, out);
}

static size_t refused(struct upstream *u, const struct upstream_query *query,
		      uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_REFUSED, 0, out);
}

static size_t nxdomain(struct upstream *u, const struct upstream_query *query,
		       uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_NXDOMAIN, 0, out);
}

static size_t lower_cased(struct upstream *u, const struct upstream_query *query,
			  uint8_t *out)
{
	(void)u;
	size_t n = upstream_reply(query, 0, 1, out);

	memcpy(out + MSG_HEADER, query->q.name.b, query->q.name.len);
	return n;
}

static size_t big(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, 0, 70, out); /* some 1,160 octets */
}

/* Doesn't know OPT. */
static size_t old(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	size_t n = upstream_reply(query, query->q.edns ? MSG_FORMERR : 0, !query->q.edns,
				  out);

	(void)u;
	octets_put_u16(out + 10, 0);
	return query->q.edns ? n - MSG_OPT : n;
}

/* Knows it, and doesn't like the question. */
static size_t formerr(struct upstream *u, const struct upstream_query *query,
		      uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_FORMERR, 0, out);
}

static void test_plain_answer(void **state)
{
	struct world *w = world_new(world_good, NULL);
	struct result res;

	(void)state;
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NOERROR, 1);
	assert_int_equal(w->up[0].udp_count, 1);
	assert_int_equal(w->up[0].tcp_count, 0);
	world_free(w);
}

static size_t check_opt(struct upstream *u, const struct upstream_query *query,
			uint8_t *out)
{
	(void)u;
	/* What c-ares would cut off must be the whole of OPT. */
	assert_memory_equal(query->msg + query->len - MSG_OPT,
			    "\0\0\x29\x04\xd0\0\0\0\0\0\0", MSG_OPT);
	return upstream_reply(query, 0, 1, out);
}

static void test_query_ends_in_opt(void **state)
{
	struct world *w = world_new(check_opt, NULL);
	struct result res;

	(void)state;
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NOERROR, 1);
	world_free(w);
}

/* c-ares turns names into text to compare them; none may get lost in that. */
static void test_odd_names(void **state)
{
#define LABEL "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
	static const char *const names[] = {
		".",
		"\\255\\254\\128.example",
		"sp\\032ace.example",
		"_under._score",
		"back\\\\slash.\\\"quoted\\\"",
		"-",
		LABEL "." LABEL "." LABEL "."
		      "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy",
	};
	struct world *w = world_new(world_good, NULL);
	struct result res;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		world_ask_and_wait(w, &res, names[i]);
		world_expect(&res, MSG_NOERROR, 1);
	}
	assert_int_equal(w->up[0].udp_count, ARRAY_SIZE(names));
	world_free(w);
}

static void test_server_that_changes_case(void **state)
{
	struct world *w = world_new(lower_cased, NULL);
	struct result res;

	(void)state;
	world_ask_and_wait(w, &res, "abcdefghijklmnopqrstuvwxyz");
	world_expect(&res, MSG_NOERROR, 1);
	assert_int_equal(w->up[0].udp_count, 2);
	world_free(w);
}

static void test_next_server_after_failure(void **state)
{
	static const upstream_fn bad[] = { servfail, refused };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct world *w = world_new(bad[i], world_good);
		struct result res;

		world_ask_and_wait(w, &res, "www.example.com");
		world_expect(&res, MSG_NOERROR, 1);
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
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_REFUSED, 0);
	world_free(w);
}

static void test_nxdomain_is_an_answer(void **state)
{
	struct world *w = world_new(nxdomain, world_good);
	struct result res;

	(void)state;
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NXDOMAIN, 0);
	assert_int_equal(w->up[1].udp_count, 0);
	world_free(w);
}

static void test_truncated_comes_by_tcp(void **state)
{
	struct world *w = world_new(world_truncated, NULL);
	struct result res;

	(void)state;
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NOERROR, 200);
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
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NOERROR, 70);
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
		world_ask(w, &res[i], "www.example.com");
	for (int i = 0; i < 40; i++) {
		world_run_until(w, &res[i].calls);
		world_expect(&res[i], MSG_NOERROR, 1);
	}
	assert_int_equal(w->up[0].udp_count, 80);
	/* Known from now on. */
	world_ask_and_wait(w, &res[0], "www.example.com");
	world_expect(&res[0], MSG_NOERROR, 1);
	assert_int_equal(w->up[0].udp_count, 81);
	world_free(w);
}

static void test_formerr_is_an_answer(void **state)
{
	struct world *w = world_new(formerr, world_good);
	struct result res;

	(void)state;
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_FORMERR, 0);
	assert_int_equal(w->up[0].udp_count, 1);
	world_free(w);
}

static void test_closed_port(void **state)
{
	struct world *w = world_new(world_silent, world_good);
	struct endpoint closed = w->up[0].at;
	struct result res;
	uint64_t begin;

	(void)state;
	upstream_close(&w->up[0]);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	w->up[0].answer = NULL;
	begin = uv_now(&w->loop);
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NOERROR, 1);
	world_ask_at(w, &res, "www.example.com", &closed);
	world_run_until(w, &res.calls);
	assert_int_equal(res.len, 0);
	assert_true(uv_now(&w->loop) - begin < 1000);
	world_free(w);
}

static void test_without_servers(void **state)
{
	struct world *w = world_new(NULL, NULL);
	struct result res;

	(void)state;
	world_ask_at(w, &res, "www.example.com", NULL);
	assert_null(res.ask);
	upstream_open(&w->up[0], &w->loop, world_good);
	resolver_set_servers(w->r, &w->up[0].at, 1);
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NOERROR, 1);
	world_free(w);
}

static void test_no_route(void **state)
{
	/* Class E can't be sent to: the first server fails before the ask returns. */
	struct endpoint servers[2] = { { .port = 53 } };
	struct world *w = world_new(world_good, NULL);
	struct result res;

	(void)state;
	assert_true(addr_parse("255.255.255.255", &servers[0].addr));
	servers[1] = w->up[0].at;
	world_ask_at(w, &res, "www.example.com", &servers[0]);
	assert_null(res.ask);
	resolver_set_servers(w->r, servers, 2);
	world_ask_and_wait(w, &res, "www.example.com");
	world_expect(&res, MSG_NOERROR, 1);
	world_free(w);
}

static void test_explicit_server(void **state)
{
	struct world *w = world_new(world_good, world_good);
	struct result res;

	(void)state;
	upstream_open(&w->up[2], &w->loop, refused);
	world_ask_at(w, &res, "www.example.com", &w->up[2].at);
	world_run_until(w, &res.calls);
	/* Nobody else is asked. */
	world_expect(&res, MSG_REFUSED, 0);
	assert_int_equal(w->up[0].udp_count + w->up[1].udp_count, 0);
	assert_int_equal(w->up[2].udp_count, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_answer),
		cmocka_unit_test(test_query_ends_in_opt),
		cmocka_unit_test(test_odd_names),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
