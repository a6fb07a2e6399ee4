/* Names that we look up for ourselves. */
#include "dns/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "world.h"

static struct {
	struct addr addrs[RESOLVE_ADDRS_MAX];
	size_t count;
	uint32_t ttl_s;
	int calls;
} found;

static void on_found(void *ctx, const struct addr *addrs, size_t n, uint32_t ttl_s)
{
	(void)ctx;
	found.calls++;
	found.count = n;
	found.ttl_s = ttl_s;
	memcpy(found.addrs, addrs, n * sizeof(*addrs));
}

static void expect(const char *const *texts, size_t n)
{
	char text[ADDR_TEXT_MAX];

	assert_int_equal(found.count, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(addr_format(&found.addrs[i], text), texts[i]);
}

/* One address of each family, living 20 and 300 seconds. */
static size_t both(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	const struct addr *v6 = &(struct addr){ { 0x20, 1, 0xd, 0xb8, [15] = 1 } };

	(void)u;
	if (query->q.type == MSG_TYPE_AAAA)
		return msg_reply_addrs(&query->q, v6, 1, 20, out, MSG_MAX);
	return upstream_reply(query, 0, 1, out);
}

static size_t no_ipv6(struct upstream *u, const struct upstream_query *query,
		      uint8_t *out)
{
	(void)u;
	return upstream_reply(query, 0, query->q.type == MSG_TYPE_A, out);
}

static size_t many(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	(void)u;
	return upstream_reply(query, 0, query->q.type == MSG_TYPE_A ? 40 : 0, out);
}

static size_t nothing(struct upstream *u, const struct upstream_query *query,
		      uint8_t *out)
{
	(void)u;
	return upstream_reply(query, MSG_NXDOMAIN, 0, out);
}

static struct resolve_ask *ask(struct world *w, struct lookup *l, const char *hosts_text,
			       const char *name, struct hosts **hosts)
{
	struct hosts_bad bad;
	struct error err;

	memset(&found, 0, sizeof(found));
	*hosts = hosts_text ? hosts_parse(hosts_text, strlen(hosts_text), &bad, &err) :
			      NULL;
	lookup_init(l, &w->loop, w->r, *hosts);
	return l->resolve.ops->ask(&l->resolve, name, on_found, NULL);
}

/* Asks and waits; returns how many queries the server has had. */
static unsigned look_up(upstream_fn fn, const char *hosts_text, const char *name)
{
	struct world *w = world_new(fn, NULL);
	struct hosts *hosts;
	struct lookup l;
	unsigned asked;

	assert_non_null(ask(w, &l, hosts_text, name, &hosts));
	assert_int_equal(found.calls, 0); /* never from within */
	world_run_until(w, &found.calls);
	asked = w->up[0].udp_count;
	world_free(w);
	hosts_free(hosts);
	return asked;
}

static void both_families_are_asked_for(void **state)
{
	static const char *const want[] = { "2001:db8::1", "192.0.2.0" };

	(void)state;
	assert_int_equal(look_up(both, NULL, "Proxy.example"), 2);
	expect(want, 2);
	assert_int_equal(found.ttl_s, 20);
}

static void one_family_is_enough(void **state)
{
	static const char *const want[] = { "192.0.2.0" };

	(void)state;
	look_up(no_ipv6, NULL, "proxy.example.");
	expect(want, 1);
	assert_int_equal(found.ttl_s, 300);
}

static void there_are_never_too_many(void **state)
{
	(void)state;
	look_up(many, NULL, "proxy.example");
	assert_int_equal(found.count, RESOLVE_ADDRS_MAX / 2);
}

static void no_address_is_told(void **state)
{
	(void)state;
	look_up(nothing, NULL, "proxy.example");
	assert_int_equal(found.count, 0);
	assert_int_equal(found.ttl_s, 0);
}

static void the_hosts_file_comes_first(void **state)
{
	static const char *const want[] = { "2001:db8::7", "192.0.2.7" };
	static const char *const v4[] = { "192.0.2.8" };
	static const char text[] = "192.0.2.7 proxy.example\n2001:db8::7 proxy.example\n"
				   "192.0.2.8 other.example\n";

	(void)state;
	assert_int_equal(look_up(both, text, "PROXY.example"), 0);
	expect(want, 2);
	assert_int_equal(look_up(both, text, "other.example"), 0);
	expect(v4, 1);
	assert_int_equal(look_up(both, text, "third.example"), 2);
}

static void whoever_cancels_hears_nothing(void **state)
{
	static const char *const texts[] = { NULL, "192.0.2.7 proxy.example\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct world *w = world_new(world_silent, NULL);
		struct hosts *hosts;
		struct lookup l;
		struct resolve_ask *a = ask(w, &l, texts[i], "proxy.example", &hosts);

		assert_non_null(a);
		l.resolve.ops->cancel(a);
		for (int k = 0; k < 5; k++)
			uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_int_equal(found.calls, 0);
		world_free(w);
		hosts_free(hosts);
	}
}

static void without_servers_nobody_is_asked(void **state)
{
	struct world *w = world_new(NULL, NULL);
	struct hosts *hosts;
	struct lookup l;

	(void)state;
	assert_null(ask(w, &l, NULL, "proxy.example", &hosts));
	assert_null(ask(w, &l, NULL, "a..b", &hosts));
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families_are_asked_for),
		cmocka_unit_test(one_family_is_enough),
		cmocka_unit_test(there_are_never_too_many),
		cmocka_unit_test(no_address_is_told),
		cmocka_unit_test(the_hosts_file_comes_first),
		cmocka_unit_test(whoever_cancels_hears_nothing),
		cmocka_unit_test(without_servers_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
