#include "event/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct counted {
	struct row row;
	uint64_t n;
};

static void rows_are_found_again(void **state)
{
	struct table t;
	struct counted *row;
	char key[32];

	(void)state;
	table_init(&t, sizeof(struct counted));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			uint32_t at;
			int len = snprintf(key, sizeof(key), "key %d", i);

			assert_int_equal(table_find(&t, key, len), round ? i + 1 : 0);
			at = table_add(&t, key, len);
			assert_int_equal(at, i + 1);
			row = table_row(&t, at);
			assert_string_equal(row->row.key, key);
			row->n++;
		}
	}
	for (uint32_t i = 1; i < table_count(&t); i++)
		assert_int_equal(((struct counted *)table_row(&t, i))->n, 2);
	assert_int_equal(t.left_out, 0);
	table_free(&t);
}

static void keys_are_bytes(void **state)
{
	struct table t;

	(void)state;
	table_init(&t, sizeof(struct counted));
	assert_int_equal(table_add(&t, "", 0), 1);
	assert_int_equal(table_add(&t, "\0", 1), 2);
	assert_int_equal(table_add(&t, "\0\0", 2), 3);
	assert_int_equal(table_add(&t, "a\0b", 3), 4);
	assert_int_equal(table_find(&t, "a\0c", 3), 0);
	assert_int_equal(table_find(&t, "", 0), 1);
	table_free(&t);
}

static void what_finds_no_room_is_other(void **state)
{
	struct table t;
	struct counted *other;

	(void)state;
	table_init(&t, sizeof(struct counted));
	for (uint32_t i = 0; i < TABLE_KEYS_MAX; i++)
		assert_int_equal(table_add(&t, &i, sizeof(i)), i + 1);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(table_add(&t, &(uint32_t){ TABLE_KEYS_MAX + i }, 4), 0);
	assert_int_equal(t.left_out, 3);
	assert_int_equal(table_count(&t), TABLE_KEYS_MAX + 1);
	assert_int_equal(table_add(&t, &(uint32_t){ 7 }, 4), 8);
	other = table_row(&t, 0);
	assert_string_equal(other->row.key, "other");
	table_free(&t);
}

static void long_keys_have_a_bound(void **state)
{
	size_t len = TABLE_BYTES_MAX / 4;
	char *key = calloc(1, len);
	struct table t;

	(void)state;
	table_init(&t, sizeof(struct counted));
	for (int i = 0; i < 6; i++) {
		key[0] = i;
		assert_int_equal(table_add(&t, key, len), i < 3 ? i + 1 : 0);
	}
	assert_int_equal(table_add(&t, "small", 5), 4);
	assert_int_equal(t.left_out, 3);
	table_free(&t);
	free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found_again),
		cmocka_unit_test(keys_are_bytes),
		cmocka_unit_test(what_finds_no_room_is_other),
		cmocka_unit_test(long_keys_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
