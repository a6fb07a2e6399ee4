/*
 * Rows by key, bounded: what a log of any size is counted into. When there is no room for one
 * more key (TABLE_KEYS_MAX of them, or TABLE_BYTES_MAX bytes of text) its share goes to the
 * row 0, "other", which every table has; nothing fails, and `left_out` tells.
 */
#ifndef EVENT_TABLE_H
#define EVENT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define TABLE_KEYS_MAX 100000
#define TABLE_BYTES_MAX (32u << 20)

/* The beginning of every row; behind it what its owner counts. */
struct row {
	const char *key; /* NUL-terminated, may hold NULs; stays where it is */
	uint32_t len, hash;
};

struct chunk;

struct table {
	size_t row_size;
	char *rows; /* move when one is added */
	uint32_t count, room;
	uint32_t *slots; /* 0: free; else a row */
	uint32_t slot_count;
	struct chunk *chunks;
	size_t key_bytes;
	uint64_t left_out; /* how often a key found no room */
};

/* An empty table whose rows have row_size bytes, zeros at first. */
void table_init(struct table *t, size_t row_size);
void table_free(struct table *t);

/* The row with that key, or 0. */
uint32_t table_find(const struct table *t, const void *key, size_t len);
/* The same, made when there is none; 0 when there is no room for it. */
uint32_t table_add(struct table *t, const void *key, size_t len);

/* Row 0 to table_count() - 1. Valid until the next table_add(). */
static inline void *table_row(const struct table *t, uint32_t i)
{
	return t->rows + i * t->row_size;
}

/* The rows, with row 0; 0 when there was no memory even for that one. */
static inline uint32_t table_count(const struct table *t)
{
	return t->count;
}

#endif
