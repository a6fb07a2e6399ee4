/*
 * Strings are slices of the line, for a log is long and malloc slow. Where the JSON had an
 * escape they stand in a buffer of the parser that the next string overwrites: those, and
 * only those, are copied to a buffer as long as the line, which is enough, for an escape is
 * never shorter than what it means.
 */
#include "event/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"

enum field_kind {
	FIELD_TEXT,
	FIELD_NUMBER,
	FIELD_FLAG,
	FIELD_LIST,
};

#define TEXT(n) FIELD_TEXT, n
#define NUMBER(n) FIELD_NUMBER, n
#define FLAG(n) FIELD_FLAG, n
#define LIST(n) FIELD_LIST, n

static const struct field {
	const char *key;
	enum field_kind kind;
	unsigned index;
} fields[] = {
	{ "event", TEXT(TEXT_EVENT) },
	{ "protocol", TEXT(TEXT_PROTOCOL) },
	{ "qname", TEXT(TEXT_QNAME) },
	{ "mode", TEXT(TEXT_MODE) },
	{ "remote_addr", TEXT(TEXT_REMOTE_ADDR) },
	{ "remote", TEXT(TEXT_REMOTE) },
	{ "remote_ip", TEXT(TEXT_REMOTE_IP) },
	{ "status", TEXT(TEXT_STATUS) },
	{ "error", TEXT(TEXT_ERROR) },
	{ "reason_code", TEXT(TEXT_REASON_CODE) },
	{ "control", TEXT(TEXT_CONTROL) },
	{ "action", TEXT(TEXT_ACTION) },
	{ "name", TEXT(TEXT_NAME) },
	{ "reason", TEXT(TEXT_REASON) },
	{ "matched_cidr", TEXT(TEXT_MATCHED_CIDR) },
	{ "matched_domain", TEXT(TEXT_MATCHED_DOMAIN) },
	{ "close_reason", TEXT(TEXT_CLOSE_REASON) },
	{ "phase", TEXT(TEXT_PHASE) },
	{ "run_id", TEXT(TEXT_RUN_ID) },
	{ "version", TEXT(TEXT_VERSION) },
	{ "seen_name", TEXT(TEXT_SEEN_NAME) },
	{ "comm", TEXT(TEXT_COMM) },
	{ "exe", TEXT(TEXT_EXE) },
	{ "schema_version", NUMBER(NUMBER_SCHEMA_VERSION) },
	{ "ts_ms", NUMBER(NUMBER_TS_MS) },
	{ "flow_id", NUMBER(NUMBER_FLOW_ID) },
	{ "remote_port", NUMBER(NUMBER_REMOTE_PORT) },
	{ "bytes_up", NUMBER(NUMBER_BYTES_UP) },
	{ "bytes_down", NUMBER(NUMBER_BYTES_DOWN) },
	{ "duration_ms", NUMBER(NUMBER_DURATION_MS) },
	{ "pid", NUMBER(NUMBER_PID) },
	{ "rcode", NUMBER(NUMBER_RCODE) },
	{ "exit_code", NUMBER(NUMBER_EXIT_CODE) },
	{ "lost_records", NUMBER(NUMBER_LOST_RECORDS) },
	{ "via_proxy", FLAG(FLAG_VIA_PROXY) },
	{ "sniffed", FLAG(FLAG_SNIFFED) },
	{ "answer_ips", LIST(LIST_ANSWER_IPS) },
	{ "names", LIST(LIST_NAMES) },
	{ "command", LIST(LIST_COMMAND) },
};

#define SLOTS 128 /* a power of two, more than twice the fields */
static_assert(ARRAY_SIZE(fields) * 2 < SLOTS, "few fields share a slot");

struct entry_reader {
	struct json_reader *json;
	struct entry rec;
	uint8_t slots[SLOTS]; /* 1 + index in fields */
	const char *line;
	size_t len;
	char *copies; /* of strings with escapes */
	size_t copied, copy_room;
	int in_list; /* an enum entry_list, or -1 */
	bool failed;
};

static unsigned slot_of(const char *key, size_t len)
{
	return (len * 7 + (uint8_t)key[0] * 5 + (uint8_t)key[len - 1]) & (SLOTS - 1);
}

static const struct field *find_field(const struct entry_reader *r, const char *key,
				      size_t len)
{
	if (!key || !len)
		return NULL;
	for (unsigned i = slot_of(key, len); r->slots[i]; i = (i + 1) & (SLOTS - 1)) {
		const struct field *f = &fields[r->slots[i] - 1];

		if (strlen(f->key) == len && memcmp(f->key, key, len) == 0)
			return f;
	}
	return NULL;
}

static struct text keep(struct entry_reader *r, const char *s, size_t len)
{
	char *copy;

	if (s >= r->line && s < r->line + r->len)
		return (struct text){ s, len };
	if (!len)
		return (struct text){ "", 0 };
	if (r->copy_room - r->copied < len) {
		r->failed = true;
		return (struct text){ NULL, 0 };
	}
	copy = r->copies + r->copied;
	memcpy(copy, s, len);
	r->copied += len;
	return (struct text){ copy, len };
}

static void add_item(struct entry_reader *r, enum entry_list which, struct text item)
{
	__auto_type list = &r->rec.list[which];

	if (list->count == list->room) {
		size_t room = MAX(2 * list->room, (size_t)16);
		struct text *more = realloc(list->items, room * sizeof(*more));

		if (!more) {
			r->failed = true;
			return;
		}
		list->items = more;
		list->room = room;
	}
	list->items[list->count++] = item;
}

static void set_field(struct entry_reader *r, const struct field *f,
		      const struct json_item *item)
{
	switch (f->kind) {
	case FIELD_TEXT:
		r->rec.text[f->index] = item->type == JSON_STRING ?
						keep(r, item->text, item->len) :
						(struct text){ NULL, 0 };
		break;
	case FIELD_NUMBER:
		r->rec.has_number &= ~(1u << f->index);
		r->rec.number[f->index] = 0;
		if (item->type == JSON_INT) {
			r->rec.has_number |= 1u << f->index;
			r->rec.number[f->index] = item->integer;
		}
		break;
	case FIELD_FLAG:
		r->rec.flag[f->index] = item->type == JSON_BOOL && item->boolean;
		break;
	case FIELD_LIST:
		r->rec.list[f->index].count = 0;
		if (item->type == JSON_ARRAY)
			r->in_list = f->index;
		break;
	}
}

static void on_item(void *ctx, const struct json_item *item)
{
	struct entry_reader *r = ctx;
	const struct field *f;

	if (item->depth == 2 && r->in_list >= 0 && item->type == JSON_STRING) {
		add_item(r, r->in_list, keep(r, item->text, item->len));
		return;
	}
	if (item->depth != 1)
		return;
	r->in_list = -1;
	f = item->type == JSON_END ? NULL : find_field(r, item->key, item->key_len);
	if (f)
		set_field(r, f, item);
}

struct entry_reader *entry_reader_new(void)
{
	struct entry_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->json = json_reader_new(on_item, r);
	if (!r->json) {
		free(r);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		unsigned slot = slot_of(fields[i].key, strlen(fields[i].key));

		while (r->slots[slot])
			slot = (slot + 1) & (SLOTS - 1);
		r->slots[slot] = i + 1;
	}
	return r;
}

void entry_reader_free(struct entry_reader *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < ENTRY_LISTS; i++)
		free(r->rec.list[i].items);
	json_reader_free(r->json);
	free(r->copies);
	free(r);
}

static bool make_room(struct entry_reader *r, size_t len)
{
	char *more;

	r->copied = 0;
	if (r->copy_room >= len)
		return true;
	more = realloc(r->copies, len);
	if (!more)
		return false;
	r->copies = more;
	r->copy_room = len;
	return true;
}

static bool is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!strchr(" \t\r\n", line[i]) || !line[i])
			return false;
	}
	return true;
}

const struct entry *entry_read(struct entry_reader *r, const char *line, size_t len,
			       struct error *err)
{
	memset(r->rec.text, 0, sizeof(r->rec.text));
	memset(r->rec.number, 0, sizeof(r->rec.number));
	memset(r->rec.flag, 0, sizeof(r->rec.flag));
	for (size_t i = 0; i < ENTRY_LISTS; i++)
		r->rec.list[i].count = 0;
	r->rec.has_number = 0;
	r->line = line;
	r->len = len;
	r->in_list = -1;
	r->failed = false;
	if (!make_room(r, len)) {
		error_set(err, ENOMEM, "read a line");
		return NULL;
	}
	if (json_read(r->json, line, len, err)) {
		if (is_blank(line, len))
			error_set(err, 0, "the line is blank");
		else
			error_wrap(err, "not a JSON object");
		return NULL;
	}
	if (r->failed) {
		error_set(err, ENOMEM, "read a line");
		return NULL;
	}
	if (!r->rec.text[TEXT_EVENT].s) {
		error_set(err, 0, "no \"event\" in it");
		return NULL;
	}
	return &r->rec;
}
