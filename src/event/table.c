#include "event/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define CHUNK_SIZE (64u << 10)
#define SLOTS_MIN 64
#define ROWS_MIN 16
#define ROW_MAX 256

struct chunk {
	struct chunk *next;
	size_t used, size;
	char bytes[];
};

/* Where counts go when there is no memory for a single row. */
static _Alignas(16) char nowhere[ROW_MAX];

void table_init(struct table *t, size_t row_size)
{
	struct row *other;

	assert(row_size >= sizeof(struct row) && row_size <= ROW_MAX);
	*t = (struct table){ .row_size = row_size, .rows = nowhere };
	t->slots = calloc(SLOTS_MIN, sizeof(*t->slots));
	if (!t->slots)
		return;
	t->rows = calloc(ROWS_MIN, row_size);
	if (!t->rows) {
		t->rows = nowhere;
		return;
	}
	t->slot_count = SLOTS_MIN;
	t->room = ROWS_MIN;
	t->count = 1;
	other = table_row(t, 0);
	other->key = "other";
	other->len = 5;
}

void table_free(struct table *t)
{
	struct chunk *next;

	for (; t->chunks; t->chunks = next) {
		next = t->chunks->next;
		free(t->chunks);
	}
	if (t->rows != nowhere)
		free(t->rows);
	free(t->slots);
	*t = (struct table){ .row_size = t->row_size, .rows = nowhere };
}

static uint32_t hash_bytes(const void *key, size_t len)
{
	const uint8_t *c = key;
	uint64_t h = 0x9e3779b97f4a7c15 ^ len, v;

	for (; len >= 8; len -= 8, c += 8) {
		memcpy(&v, c, 8);
		h = (h ^ v) * 0xff51afd7ed558ccd;
		h ^= h >> 32;
	}
	v = 0;
	memcpy(&v, c, len);
	h = (h ^ v) * 0xff51afd7ed558ccd;
	h ^= h >> 29;
	h *= 0xc4ceb9fe1a85ec53;
	return h >> 32;
}

/* The slot of the key, or the free one where it would stand. */
static uint32_t *probe(const struct table *t, const void *key, size_t len, uint32_t hash)
{
	uint32_t i = hash & (t->slot_count - 1);

	for (; t->slots[i]; i = (i + 1) & (t->slot_count - 1)) {
		const struct row *r = table_row(t, t->slots[i]);

		if (r->hash == hash && r->len == len && memcmp(r->key, key, len) == 0)
			break;
	}
	return &t->slots[i];
}

uint32_t table_find(const struct table *t, const void *key, size_t len)
{
	return t->slot_count ? *probe(t, key, len, hash_bytes(key, len)) : 0;
}

/* Aligned, for a key may be a struct. */
static char *keep(struct table *t, const void *key, size_t len)
{
	size_t size = (len + 8) & ~(size_t)7;
	struct chunk *c = t->chunks;
	char *kept;

	if (t->key_bytes + size > TABLE_BYTES_MAX)
		return NULL;
	if (!c || c->size - c->used < size) {
		c = malloc(sizeof(*c) + MAX(size, CHUNK_SIZE));
		if (!c)
			return NULL;
		c->next = t->chunks;
		c->used = 0;
		c->size = MAX(size, CHUNK_SIZE);
		t->chunks = c;
	}
	kept = c->bytes + c->used;
	memcpy(kept, key, len);
	kept[len] = '\0';
	c->used += size;
	t->key_bytes += size;
	return kept;
}

static bool grow_rows(struct table *t)
{
	char *rows;

	if (t->count < t->room)
		return true;
	rows = realloc(t->rows, 2 * t->room * t->row_size);
	if (!rows)
		return false;
	memset(rows + t->room * t->row_size, 0, t->room * t->row_size);
	t->rows = rows;
	t->room *= 2;
	return true;
}

/* At most half of the slots are taken. */
static bool grow_slots(struct table *t)
{
	uint32_t *old = t->slots, old_count = t->slot_count;

	if (t->count < t->slot_count / 2)
		return true;
	t->slots = calloc(2 * old_count, sizeof(*t->slots));
	if (!t->slots) {
		t->slots = old;
		return false;
	}
	t->slot_count = 2 * old_count;
	for (uint32_t i = 1; i < t->count; i++) {
		const struct row *r = table_row(t, i);

		*probe(t, r->key, r->len, r->hash) = i;
	}
	free(old);
	return true;
}

uint32_t table_add(struct table *t, const void *key, size_t len)
{
	uint32_t hash = hash_bytes(key, len), *slot;
	struct row *r;
	char *kept;

	if (t->slot_count) {
		slot = probe(t, key, len, hash);
		if (*slot)
			return *slot;
		if (t->count <= TABLE_KEYS_MAX && grow_rows(t) && grow_slots(t)) {
			kept = keep(t, key, len);
			if (kept) {
				slot = probe(t, key, len, hash);
				*slot = t->count;
				r = table_row(t, t->count);
				*r = (struct row){ kept, len, hash };
				return t->count++;
			}
		}
	}
	t->left_out++;
	return 0;
}
