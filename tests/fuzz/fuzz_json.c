/*
 * Lines as they come from a log. What is read is written again, compactly, and read again: the
 * same must come out, byte for byte. What is refused has a sentence, and the line behind it is
 * read as if nothing had been.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"

struct copy {
	struct json *out;
	unsigned depth;
};

/* A key that NUL-terminated text can't be, or is long, gets another name. */
static const char *key_text(const struct json_item *item, char out[static 64])
{
	if (!item->key)
		return NULL;
	if (item->key_len > 63 || memchr(item->key, '\0', item->key_len))
		return "other";
	memcpy(out, item->key, item->key_len);
	out[item->key_len] = '\0';
	return out;
}

static void on_item(void *ctx, const struct json_item *item)
{
	struct copy *c = ctx;
	char copy[64];
	const char *key = key_text(item, copy);

	CHECK(item->depth <= JSON_DEPTH_MAX);
	CHECK(item->type == JSON_END ? item->depth + 1 == c->depth :
				       item->depth == c->depth);
	switch (item->type) {
	case JSON_NULL:
		json_null(c->out, key);
		break;
	case JSON_BOOL:
		json_bool(c->out, key, item->boolean);
		break;
	case JSON_INT:
		json_int(c->out, key, item->integer);
		break;
	case JSON_DOUBLE:
		json_string(c->out, key, "double");
		break;
	case JSON_STRING:
		CHECK(json_string_n(c->out, key, item->text, item->len));
		break;
	case JSON_OBJECT:
		json_object(c->out, key);
		c->depth++;
		break;
	case JSON_ARRAY:
		json_array(c->out, key);
		c->depth++;
		break;
	case JSON_END:
		json_end(c->out);
		c->depth--;
		break;
	}
}

static void close_all(struct copy *c)
{
	for (; c->depth; c->depth--)
		json_end(c->out);
}

static void check_line(struct json_reader *r, struct copy *c, const char *line,
		       size_t len)
{
	struct error err = { .code = 0 };
	const char *text;
	char *first;
	size_t n, again;
	int ret;

	json_reset(c->out);
	ret = json_read(r, line, len, &err);
	CHECK((ret == 0 && c->depth == 0) || (ret == -1 && err.text[0]));
	close_all(c);
	if (ret)
		return;
	text = json_text(c->out, &n);
	CHECK(text);
	first = strndup(text, n);
	CHECK(first && strlen(first) == n);
	json_reset(c->out);
	CHECK(json_read(r, first, n, &err) == 0);
	text = json_text(c->out, &again);
	CHECK(text && again == n && memcmp(first, text, n) == 0);
	free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct copy c = { .out = json_new(size % 2 ? JSON_COMPACT : JSON_IN_HTML) };
	struct json_reader *r = json_reader_new(on_item, &c);
	const char *line = (const char *)data, *end = line + size, *stop;

	CHECK(c.out && r);
	for (; line < end; line = stop) {
		stop = memchr(line, '\n', end - line);
		stop = stop ? stop + 1 : end;
		check_line(r, &c, line, stop - line);
	}
	json_reader_free(r);
	json_free(c.out);
	return 0;
}
