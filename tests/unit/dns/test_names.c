/* What the table of names knows, and for how long; the clock is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/names.h"

#define T0 1000000
#define S 1000 /* ms */

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

/* The names of the address, joined by spaces. */
static const char *known(const struct names *t, const char *addr, uint64_t now_ms)
{
	static char out[NAMES_PER_ADDRESS * 64];
	const char *names[NAMES_PER_ADDRESS];
	struct addr a = addr_of(addr);
	size_t n = names_of(t, &a, now_ms, names);
	char *to = out;

	*to = '\0';
	for (size_t i = 0; i < n; i++) {
		assert_true(names_resolved(t, &a, names[i], now_ms));
		to += sprintf(to, "%s%s", i ? " " : "", names[i]);
	}
	return out;
}

static bool learn(struct names *t, const char *addr, const char *name, uint32_t ttl_s,
		  uint64_t now_ms)
{
	struct addr a = addr_of(addr);

	return names_learn(t, &a, name, ttl_s, now_ms);
}

static struct names_hold *hold(struct names *t, const char *addr, uint64_t now_ms)
{
	struct addr a = addr_of(addr);

	return names_hold(t, &a, now_ms);
}

static void test_pairs(void **state)
{
	struct names *t = names_new(100, 7);
	struct addr a = addr_of("1.2.3.4");

	(void)state;
	assert_string_equal(known(t, "1.2.3.4", T0), "");
	assert_true(learn(t, "1.2.3.4", "a.example", 300, T0));
	assert_true(learn(t, "1.2.3.4", "b.example", 300, T0));
	assert_true(learn(t, "2001:db8::1", "a.example", 300, T0));
	assert_true(learn(t, "1.2.3.4", "a.example", 300, T0));
	assert_string_equal(known(t, "1.2.3.4", T0), "b.example a.example");
	assert_string_equal(known(t, "2001:db8::1", T0), "a.example");
	assert_string_equal(known(t, "1.2.3.5", T0), "");
	assert_true(names_resolved(t, &a, "b.example", T0));
	assert_false(names_resolved(t, &a, "example", T0));
	assert_false(names_resolved(t, &a, "B.example", T0));
	assert_int_equal(names_count(t), 3);
	names_free(t);
}

static void test_ttl(void **state)
{
	static const struct {
		uint32_t ttl_s, counts_s;
	} rows[] = { { 0, 60 },	       { 1, 60 },
		     { 60, 60 },       { 61, 61 },
		     { 3600, 3600 },   { 86400, 86400 },
		     { 86401, 86400 }, { UINT32_MAX, 86400 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct names *t = names_new(4, 0);
		uint64_t end = T0 + rows[i].counts_s * (uint64_t)S;

		learn(t, "1.2.3.4", "a", rows[i].ttl_s, T0);
		assert_string_equal(known(t, "1.2.3.4", end - 1), "a");
		assert_string_equal(known(t, "1.2.3.4", end), "");
		names_free(t);
	}
}

static void test_a_shorter_ttl_takes_nothing_back(void **state)
{
	struct names *t = names_new(4, 0);

	(void)state;
	learn(t, "1.2.3.4", "a", 300, T0);
	learn(t, "1.2.3.4", "a", 60, T0);
	assert_string_equal(known(t, "1.2.3.4", T0 + 299 * S), "a");
	learn(t, "1.2.3.4", "a", 300, T0 + 299 * S);
	assert_string_equal(known(t, "1.2.3.4", T0 + 598 * S), "a");
	assert_string_equal(known(t, "1.2.3.4", T0 + 599 * S), "");
	names_free(t);
}

static void test_names_live_with_their_flows(void **state)
{
	struct names *t = names_new(4, 0);
	struct names_hold *first, *second;

	(void)state;
	learn(t, "1.2.3.4", "a", 60, T0);
	first = hold(t, "1.2.3.4", T0 + 59 * S);
	second = hold(t, "1.2.3.4", T0 + 500 * S);
	assert_non_null(first);
	assert_non_null(second);
	learn(t, "1.2.3.4", "b", 60, T0 + 600 * S);
	names_release(t, first, T0 + 1000 * S);
	assert_string_equal(known(t, "1.2.3.4", T0 + 5000 * S), "a b");
	names_release(t, second, T0 + 5000 * S);
	assert_string_equal(known(t, "1.2.3.4", T0 + 5000 * S + NAMES_GRACE_MS - 1),
			    "a b");
	assert_string_equal(known(t, "1.2.3.4", T0 + 5000 * S + NAMES_GRACE_MS), "");
	names_free(t);
}

static void test_what_has_run_out_stays_away(void **state)
{
	struct names *t = names_new(4, 0);
	struct names_hold *h;

	(void)state;
	learn(t, "1.2.3.4", "old", 60, T0);
	learn(t, "1.2.3.4", "new", 600, T0);
	h = hold(t, "1.2.3.4", T0 + 60 * S);
	assert_string_equal(known(t, "1.2.3.4", T0 + 60 * S), "new");
	names_release(t, h, T0 + 61 * S);
	assert_string_equal(known(t, "1.2.3.4", T0 + 61 * S), "new");
	/* Nothing to hold: nothing is held. */
	assert_null(hold(t, "1.2.3.4", T0 + 601 * S));
	assert_null(hold(t, "9.9.9.9", T0));
	names_release(t, NULL, T0);
	assert_int_equal(names_count(t), 0);
	names_free(t);
}

static void test_the_grace_is_for_names_that_were_held(void **state)
{
	struct names *t = names_new(4, 0);

	(void)state;
	learn(t, "1.2.3.4", "a", 600, T0);
	names_release(t, hold(t, "1.2.3.4", T0), T0 + 10 * S);
	/* Its grace is over long before its TTL. */
	assert_string_equal(known(t, "1.2.3.4", T0 + 599 * S), "a");
	assert_string_equal(known(t, "1.2.3.4", T0 + 600 * S), "");
	names_free(t);
}

static void test_a_full_table_drops_what_has_run_out(void **state)
{
	struct names *t = names_new(3, 0);

	(void)state;
	learn(t, "1.0.0.1", "long", 600, T0);
	learn(t, "1.0.0.2", "short", 60, T0);
	learn(t, "1.0.0.3", "long", 600, T0);
	assert_true(learn(t, "1.0.0.4", "new", 600, T0 + 60 * S));
	assert_string_equal(known(t, "1.0.0.1", T0 + 60 * S), "long");
	assert_string_equal(known(t, "1.0.0.3", T0 + 60 * S), "long");
	assert_string_equal(known(t, "1.0.0.4", T0 + 60 * S), "new");
	assert_int_equal(names_count(t), 3);
	names_free(t);
}

static void test_a_full_table_drops_the_oldest(void **state)
{
	struct names *t = names_new(3, 0);
	struct names_hold *h;

	(void)state;
	learn(t, "1.0.0.1", "held", 60, T0);
	h = hold(t, "1.0.0.1", T0);
	learn(t, "1.0.0.2", "second", 600, T0 + 1);
	learn(t, "1.0.0.3", "third", 600, T0 + 2);
	learn(t, "1.0.0.2", "second", 600, T0 + 3);
	assert_true(learn(t, "1.0.0.4", "new", 60, T0 + 4));
	assert_string_equal(known(t, "1.0.0.1", T0 + 4), "held");
	assert_string_equal(known(t, "1.0.0.2", T0 + 4), "second");
	assert_string_equal(known(t, "1.0.0.3", T0 + 4), "");
	assert_string_equal(known(t, "1.0.0.4", T0 + 4), "new");
	names_release(t, h, T0 + 5);
	/* It was used last. */
	assert_true(learn(t, "1.0.0.5", "newer", 60, T0 + 6));
	assert_string_equal(known(t, "1.0.0.1", T0 + 6), "held");
	assert_string_equal(known(t, "1.0.0.2", T0 + 6), "");
	names_free(t);
}

static void test_a_table_full_of_flows_refuses(void **state)
{
	struct names *t = names_new(2, 0);
	struct names_hold *h[2];

	(void)state;
	learn(t, "1.0.0.1", "a", 60, T0);
	learn(t, "1.0.0.2", "b", 60, T0);
	h[0] = hold(t, "1.0.0.1", T0);
	h[1] = hold(t, "1.0.0.2", T0);
	assert_false(learn(t, "1.0.0.3", "c", 60, T0 + 1000 * S));
	assert_string_equal(known(t, "1.0.0.3", T0 + 1000 * S), "");
	assert_true(learn(t, "1.0.0.2", "b", 60, T0 + 1000 * S));
	names_release(t, h[0], T0 + 1000 * S);
	assert_true(learn(t, "1.0.0.3", "c", 60, T0 + 1000 * S));
	names_release(t, h[1], T0 + 1000 * S);
	assert_int_equal(names_count(t), 2);
	names_free(t);
}

static void test_names_of_one_address_are_bounded(void **state)
{
	struct names *t = names_new(1000, 0);
	struct addr a = addr_of("1.2.3.4");
	char name[16];

	(void)state;
	for (int i = 0; i < 40; i++) {
		/* Number 5 is the first to run out, then the others in their order. */
		snprintf(name, sizeof(name), "n%d", i);
		learn(t, "1.2.3.4", name, i == 5 ? 60 : 100 + i, T0);
		assert_true(names_count(t) <= NAMES_PER_ADDRESS);
		if (i == NAMES_PER_ADDRESS)
			assert_false(names_resolved(t, &a, "n5", T0));
	}
	assert_false(names_resolved(t, &a, "n23", T0));
	assert_true(names_resolved(t, &a, "n24", T0));
	assert_true(names_resolved(t, &a, "n39", T0));
	names_free(t);
}

/* --- against a plain list that forgets by the rules and knows no bound --- */

#define ADDRS 6
#define NAMES 10

static struct {
	bool is[ADDRS][NAMES];
	uint64_t expiry_ms[ADDRS][NAMES], grace_ms[ADDRS];
	struct names_hold *holds[ADDRS][4];
	int hold_count[ADDRS];
} model;

static uint32_t random_below(uint32_t n)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (x >> 32) % n;
}

static void model_forget(uint64_t now_ms)
{
	for (int a = 0; a < ADDRS; a++)
		for (int n = 0; n < NAMES; n++)
			if (!model.hold_count[a] && now_ms >= model.expiry_ms[a][n] &&
			    now_ms >= model.grace_ms[a])
				model.is[a][n] = false;
}

static void model_learn(int a, int n, uint32_t ttl_s, uint64_t now_ms)
{
	uint64_t expiry_ms = now_ms + (ttl_s < 60 ? 60 : ttl_s) * (uint64_t)S;

	if (!model.is[a][n] || model.expiry_ms[a][n] < expiry_ms)
		model.expiry_ms[a][n] = expiry_ms;
	model.is[a][n] = true;
}

static void step_hold(struct names *t, const struct addr *addr, int a, uint64_t now_ms)
{
	int slot = random_below(4);

	if (model.holds[a][slot]) {
		names_release(t, model.holds[a][slot], now_ms);
		model.holds[a][slot] = NULL;
		if (!--model.hold_count[a])
			model.grace_ms[a] = now_ms + NAMES_GRACE_MS;
		return;
	}
	model.holds[a][slot] = names_hold(t, addr, now_ms);
	model.hold_count[a] += model.holds[a][slot] != NULL;
}

static void compare(struct names *t, bool whole, uint64_t now_ms)
{
	char text[32];

	for (int a = 0; a < ADDRS; a++) {
		struct addr addr = { .b = { 1, [15] = a } };
		const char *names[NAMES_PER_ADDRESS];
		size_t n = names_of(t, &addr, now_ms, names), modelled = 0;

		for (size_t i = 0; i < n; i++)
			assert_true(model.is[a][atoi(names[i])]);
		for (int i = 0; i < NAMES; i++) {
			snprintf(text, sizeof(text), "%d", i);
			modelled += model.is[a][i];
			if (whole)
				assert_int_equal(model.is[a][i],
						 names_resolved(t, &addr, text, now_ms));
		}
		assert_true(whole ? n == modelled : n <= modelled);
	}
}

static void run_property(size_t capacity, bool whole)
{
	struct names *t = names_new(capacity, 42);
	uint64_t now_ms = T0;
	char text[32];

	memset(&model, 0, sizeof(model));
	for (int i = 0; i < 20000; i++) {
		int a = random_below(ADDRS), n = random_below(NAMES);
		struct addr addr = { .b = { 1, [15] = a } };
		uint32_t ttl_s = random_below(200);

		now_ms += random_below(10) ? random_below(3000) : random_below(200000);
		model_forget(now_ms);
		if (random_below(2)) {
			snprintf(text, sizeof(text), "%d", n);
			if (names_learn(t, &addr, text, ttl_s, now_ms))
				model_learn(a, n, ttl_s, now_ms);
			else
				assert_false(whole);
		} else {
			step_hold(t, &addr, a, now_ms);
		}
		assert_true(names_count(t) <= capacity);
		compare(t, whole, now_ms);
	}
	for (int a = 0; a < ADDRS; a++)
		for (int i = 0; i < 4; i++)
			names_release(t, model.holds[a][i], now_ms);
	names_free(t);
}

static void test_property_with_room(void **state)
{
	(void)state;
	run_property(ADDRS * NAMES, true);
}

static void test_property_when_full(void **state)
{
	(void)state;
	run_property(7, false);
	run_property(1, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_a_shorter_ttl_takes_nothing_back),
		cmocka_unit_test(test_names_live_with_their_flows),
		cmocka_unit_test(test_what_has_run_out_stays_away),
		cmocka_unit_test(test_the_grace_is_for_names_that_were_held),
		cmocka_unit_test(test_a_full_table_drops_what_has_run_out),
		cmocka_unit_test(test_a_full_table_drops_the_oldest),
		cmocka_unit_test(test_a_table_full_of_flows_refuses),
		cmocka_unit_test(test_names_of_one_address_are_bounded),
		cmocka_unit_test(test_property_with_room),
		cmocka_unit_test(test_property_when_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
