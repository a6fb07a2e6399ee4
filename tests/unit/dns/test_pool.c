/* Names and the addresses that stand for them, and once more by a table without cleverness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/pool.h"

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static struct pool *pool_of(const char *v4, unsigned v4_bits, const char *v6,
			    unsigned v6_bits)
{
	struct pool_range four = { addr_of(v4), 96 + v4_bits };
	struct pool_range six = { addr_of(v6), v6_bits };
	struct pool *p = pool_new(&four, &six, 4711);

	assert_non_null(p);
	return p;
}

static struct pool *pool_usual(void)
{
	return pool_of("198.18.0.0", 15, "fdcf:1918::", 96);
}

/* Of the family that the text of `wanted` has. */
static void assert_given(struct pool *p, const char *name, const char *wanted)
{
	char text[ADDR_TEXT_MAX];
	struct pool_addrs got;

	assert_true(pool_give(p, name, &got));
	assert_string_equal(addr_format(strchr(wanted, ':') ? &got.v6 : &got.v4, text),
			    wanted);
}

static const char *name_at(const struct pool *p, const char *addr)
{
	struct addr a = addr_of(addr);
	const char *name = pool_name(p, &a);

	return name ? name : "-";
}

static struct pool_hold *hold(struct pool *p, const char *addr)
{
	struct addr a = addr_of(addr);

	return pool_hold(p, &a);
}

static bool contains(const struct pool *p, const char *addr)
{
	struct addr a = addr_of(addr);

	return pool_contains(p, &a);
}

static void test_there_and_back(void **state)
{
	struct pool *p = pool_usual();

	(void)state;
	assert_string_equal(name_at(p, "198.18.0.1"), "-");
	assert_given(p, "a.example", "198.18.0.1");
	assert_given(p, "b.example", "198.18.0.2");
	assert_given(p, "b.example", "fdcf:1918::2");
	assert_given(p, "a.example", "198.18.0.1");
	assert_string_equal(name_at(p, "198.18.0.1"), "a.example");
	assert_string_equal(name_at(p, "fdcf:1918::1"), "a.example");
	assert_string_equal(name_at(p, "fdcf:1918::2"), "b.example");
	assert_string_equal(name_at(p, "198.18.0.0"), "-");
	assert_string_equal(name_at(p, "198.18.0.3"), "-");
	assert_string_equal(name_at(p, "fdcf:1918::"), "-");
	assert_string_equal(name_at(p, "198.20.0.1"), "-");
	pool_free(p);
}

static void test_range(void **state)
{
	struct pool *p = pool_usual();

	(void)state;
	assert_true(contains(p, "198.18.0.0"));
	assert_true(contains(p, "198.19.255.255"));
	assert_false(contains(p, "198.17.255.255"));
	assert_false(contains(p, "198.20.0.0"));
	assert_true(contains(p, "fdcf:1918::ffff:ffff"));
	assert_false(contains(p, "fdcf:1918::1:0:0"));
	assert_false(contains(p, "fdcf:1917:ffff::1"));
	assert_int_equal(pool_capacity(p), POOL_NAMES_MAX);
	pool_free(p);

	p = pool_of("203.0.113.0", 24, "2001:db8::", 32);
	assert_int_equal(pool_capacity(p), 254);
	assert_given(p, "a.example", "203.0.113.1");
	assert_string_equal(name_at(p, "2001:db8::1"), "a.example");
	/* In the range, but with bits that no number has. */
	assert_true(contains(p, "2001:db8:1::1"));
	assert_string_equal(name_at(p, "2001:db8:1::1"), "-");
	assert_string_equal(name_at(p, "2001:db8::1:0:0:1"), "-");
	pool_free(p);

	p = pool_of("203.0.113.0", 24, "2001:db8::", 126);
	assert_int_equal(pool_capacity(p), 2);
	pool_free(p);
}

static void test_no_names_of_hosts(void **state)
{
	char text[512];
	struct pool *p = pool_usual();
	struct pool_addrs got;

	(void)state;
	assert_false(pool_give(p, "", &got));
	assert_false(pool_give(p, "a\\.b.example", &got));
	assert_false(pool_give(p, "a\\032b.example", &got));
	assert_false(pool_give(p, "a b.example", &got));
	assert_false(pool_give(p, "a\x7f.example", &got));
	assert_false(pool_give(p, "\xc3\xa4.example", &got));
	memset(text, 'a', sizeof(text));
	text[POOL_NAME_LEN_MAX + 1] = '\0';
	assert_false(pool_give(p, text, &got));
	text[POOL_NAME_LEN_MAX] = '\0';
	assert_true(pool_give(p, text, &got));
	assert_given(p, "_dmarc.a-b.example", "198.18.0.2");
	pool_free(p);
}

static void test_recycling(void **state)
{
	struct pool *p = pool_of("192.0.2.0", 29, "fdcf::", 96);
	struct pool_hold *a, *again;
	struct pool_addrs got;

	(void)state;
	assert_int_equal(pool_capacity(p), 6);
	assert_given(p, "a", "192.0.2.1");
	assert_given(p, "b", "192.0.2.2");
	assert_given(p, "c", "192.0.2.3");
	assert_given(p, "d", "192.0.2.4");
	assert_given(p, "e", "192.0.2.5");
	assert_given(p, "f", "192.0.2.6");
	assert_given(p, "a", "192.0.2.1"); /* used again */
	assert_given(p, "g", "192.0.2.2");
	assert_string_equal(name_at(p, "192.0.2.2"), "g");
	/* A held one stays, however long it is. */
	a = hold(p, "192.0.2.1");
	again = hold(p, "fdcf::1");
	assert_string_equal(pool_hold_name(a), "a");
	assert_given(p, "h", "192.0.2.3");
	assert_given(p, "i", "192.0.2.4");
	assert_given(p, "j", "192.0.2.5");
	assert_given(p, "k", "192.0.2.6");
	assert_given(p, "l", "192.0.2.2");
	assert_given(p, "m", "192.0.2.3");
	pool_release(p, a);
	assert_given(p, "n", "192.0.2.4");
	assert_given(p, "o", "192.0.2.5");
	assert_given(p, "p", "192.0.2.6");
	assert_given(p, "q", "192.0.2.2");
	assert_string_equal(name_at(p, "192.0.2.1"), "a");
	/* The end of its last flow was its last use. */
	pool_release(p, again);
	assert_given(p, "r", "192.0.2.3");
	assert_given(p, "s", "192.0.2.4");
	assert_given(p, "t", "192.0.2.5");
	assert_given(p, "u", "192.0.2.6");
	assert_given(p, "v", "192.0.2.2");
	assert_given(p, "w", "192.0.2.1");
	assert_null(hold(p, "192.0.2.7"));
	pool_release(p, NULL);
	assert_true(pool_give(p, "w", &got));
	pool_free(p);
}

static void test_full(void **state)
{
	struct pool *p = pool_of("192.0.2.0", 30, "fdcf::", 96);
	struct pool_addrs got;
	struct pool_hold *a, *b;

	(void)state;
	assert_given(p, "a", "192.0.2.1");
	assert_given(p, "b", "192.0.2.2");
	a = hold(p, "192.0.2.1");
	b = hold(p, "192.0.2.2");
	assert_false(pool_give(p, "c", &got));
	assert_given(p, "a", "192.0.2.1");
	assert_false(pool_give(p, "c", &got));
	pool_release(p, b);
	assert_given(p, "c", "192.0.2.2");
	pool_release(p, a);
	pool_free(p);
}

/* --- the model: an array that is searched --- */

#define MODEL_SIZE 14 /* a /28 */
#define MODEL_NAMES 40
#define STEPS 200000

static struct {
	char name[8];
	unsigned holds;
	unsigned used; /* the step of its last use */
} model[MODEL_SIZE];

static uint64_t seed = 20261128;

static unsigned below(unsigned n)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * 2685821657736338717u >> 33) % n;
}

/* Which slot the name has, or is given; -1 when there is none for it. */
static int model_give(const char *name, unsigned step)
{
	int best = -1;

	for (int i = 0; i < MODEL_SIZE; i++)
		if (!strcmp(model[i].name, name)) {
			model[i].used = step;
			return i;
		}
	for (int i = 0; i < MODEL_SIZE && best < 0; i++)
		if (!model[i].name[0])
			best = i;
	for (int i = 0; i < MODEL_SIZE && model[MODEL_SIZE - 1].name[0]; i++)
		if (!model[i].holds && (best < 0 || model[i].used < model[best].used))
			best = i;
	if (best >= 0) {
		strcpy(model[best].name, name);
		model[best].used = step;
	}
	return best;
}

static void step_give(struct pool *p, unsigned step)
{
	struct pool_addrs got;
	char name[8];
	int want;

	sprintf(name, "n%u", below(MODEL_NAMES));
	want = model_give(name, step);
	assert_int_equal(pool_give(p, name, &got), want >= 0);
	if (want >= 0) {
		assert_int_equal(got.v4.b[15], 0x10 + 1 + want);
		assert_int_equal(got.v6.b[15], 1 + want);
	}
}

static void test_property(void **state)
{
	struct pool *p = pool_of("192.0.2.16", 28, "fdcf::", 120);
	struct pool_hold *holds[64];
	unsigned slot[64], count = 0;

	(void)state;
	for (unsigned step = 1; step <= STEPS; step++) {
		unsigned i = below(MODEL_SIZE);
		struct addr a = addr_of("192.0.2.17");
		const char *name;

		a.b[15] += i;
		switch (below(4)) {
		case 0:
			if (count < 64 && below(3)) {
				holds[count] = pool_hold(p, &a);
				assert_int_equal(holds[count] != NULL,
						 model[i].name[0] != 0);
				if (holds[count]) {
					model[i].holds++;
					slot[count++] = i;
				}
			}
			break;
		case 1:
			if (count) {
				unsigned k = below(count);

				assert_string_equal(pool_hold_name(holds[k]),
						    model[slot[k]].name);
				pool_release(p, holds[k]);
				if (!--model[slot[k]].holds)
					model[slot[k]].used = step;
				holds[k] = holds[--count];
				slot[k] = slot[count];
			}
			break;
		default:
			step_give(p, step);
		}
		name = pool_name(p, &a);
		assert_string_equal(name ? name : "", model[i].name);
	}
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_no_names_of_hosts),
		cmocka_unit_test(test_recycling),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_property),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
