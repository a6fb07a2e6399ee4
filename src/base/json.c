/*
 * yajl's writer calls malloc without looking at what it gets, so its output goes to a buffer
 * of ours, which remembers a failure. Its beautiful form takes two lines for an empty array:
 * an object or array is held back until its first member, and one that stays empty is written
 * as a number, which yajl passes on as it is. So are numbers above INT64_MAX.
 *
 * yajl's reader keeps its state over all lines of a log, for making one anew costs more than a
 * line; it would accept two objects on a line or one over two, which is counted here. Numbers
 * are taken as text, because yajl would refuse what an int64_t can't hold. Its own look at UTF-8
 * is switched off: it takes longer forms than needed, and makes bytes of half a surrogate pair.
 * The pieces it hands out point into the line or, when there was an escape, into a buffer that
 * the next piece overwrites: a key that was escaped is copied, for it is needed until its value.
 */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "base/decimal.h"
#include "base/utf8.h"
#include "base/util.h"

#define WRITE_DEPTH_MAX 64 /* yajl's own bound is 128 */
#define BUFFER_MIN 1024
#define KEY_MAX 64
#define NUMBER_MAX 64
#define NOT_UNICODE "a string that is not Unicode"

struct buffer {
	char *text;
	size_t len, room;
	bool failed;
};

struct json {
	yajl_gen gen;
	struct buffer out;
	struct buffer scratch; /* a string made UTF-8, base 64 */
	/* What is open, '{' or '['; the last is held back. */
	char open[WRITE_DEPTH_MAX];
	unsigned depth;
	bool held_back;
};

/* --- writing --- */

static bool grow(struct buffer *b, size_t len)
{
	size_t room = MAX(b->room, (size_t)BUFFER_MIN);
	char *grown;

	while (room - b->len <= len)
		room *= 2;
	grown = b->failed ? NULL : realloc(b->text, room);
	if (!grown) {
		b->failed = true;
		return false;
	}
	b->text = grown;
	b->room = room;
	return true;
}

/* Leaves room for a NUL. */
static inline void append(struct buffer *b, const char *text, size_t len)
{
	if (b->room - b->len <= len && !grow(b, len))
		return;
	memcpy(b->text + b->len, text, len);
	b->len += len;
}

/* These stand nowhere in JSON but in strings. */
static bool is_markup(char c)
{
	return c == '<' || c == '>' || c == '&';
}

static void append_for_html(struct buffer *b, const char *text, size_t len)
{
	const char *end = text + len;
	char escape[8];
	size_t n;

	for (; text < end; text += n + 1) {
		for (n = 0; text + n < end && !is_markup(text[n]);)
			n++;
		append(b, text, n);
		if (text + n == end)
			return;
		snprintf(escape, sizeof(escape), "\\u%04x", text[n]);
		append(b, escape, 6);
	}
}

static void on_print(void *buffer, const char *text, size_t len)
{
	append(buffer, text, len);
}

static void on_print_for_html(void *buffer, const char *text, size_t len)
{
	append_for_html(buffer, text, len);
}

struct json *json_new(enum json_style style)
{
	struct json *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->gen = yajl_gen_alloc(NULL);
	if (!j->gen) {
		free(j);
		return NULL;
	}
	yajl_gen_config(j->gen, yajl_gen_beautify, style == JSON_PRETTY);
	yajl_gen_config(j->gen, yajl_gen_indent_string, "  ");
	yajl_gen_config(j->gen, yajl_gen_print_callback,
			style == JSON_IN_HTML ? on_print_for_html : on_print, &j->out);
	return j;
}

void json_free(struct json *j)
{
	if (!j)
		return;
	yajl_gen_free(j->gen);
	free(j->out.text);
	free(j->scratch.text);
	free(j);
}

void json_reset(struct json *j)
{
	yajl_gen_reset(j->gen, NULL);
	j->out.len = 0;
	j->out.failed = false;
	j->depth = 0;
	j->held_back = false;
}

const char *json_text(struct json *j, size_t *len)
{
	assert(j->depth == 0);
	if (j->out.failed || !j->out.len)
		return NULL;
	/* The beautiful form ends with one. */
	if (j->out.text[j->out.len - 1] == '\n')
		j->out.len--;
	j->out.text[j->out.len] = '\0';
	*len = j->out.len;
	return j->out.text;
}

/* A wrong order of calls is a fault of the program. */
static void must(yajl_gen_status status)
{
	assert(status == yajl_gen_status_ok);
	(void)status;
}

static void begin_value(struct json *j, const char *key)
{
	if (j->held_back)
		must(j->open[j->depth - 1] == '{' ? yajl_gen_map_open(j->gen) :
						    yajl_gen_array_open(j->gen));
	j->held_back = false;
	assert(!key == (j->depth == 0 || j->open[j->depth - 1] == '['));
	if (key)
		must(yajl_gen_string(j->gen, (const unsigned char *)key, strlen(key)));
}

static void open_later(struct json *j, const char *key, char what)
{
	begin_value(j, key);
	assert(j->depth < WRITE_DEPTH_MAX);
	j->open[j->depth++] = what;
	j->held_back = true;
}

void json_object(struct json *j, const char *key)
{
	open_later(j, key, '{');
}

void json_array(struct json *j, const char *key)
{
	open_later(j, key, '[');
}

void json_end(struct json *j)
{
	bool object;

	assert(j->depth > 0);
	object = j->open[--j->depth] == '{';
	if (j->held_back)
		must(yajl_gen_number(j->gen, object ? "{}" : "[]", 2));
	else
		must(object ? yajl_gen_map_close(j->gen) : yajl_gen_array_close(j->gen));
	j->held_back = false;
}

void json_null(struct json *j, const char *key)
{
	begin_value(j, key);
	must(yajl_gen_null(j->gen));
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	must(yajl_gen_bool(j->gen, value));
}

static void write_number(struct json *j, const char *key, uint64_t value, bool negative)
{
	char text[1 + DECIMAL_MAX] = "-";
	size_t n = decimal_put(value, text + negative);

	begin_value(j, key);
	must(yajl_gen_number(j->gen, text, negative + n));
}

void json_int(struct json *j, const char *key, int64_t value)
{
	write_number(j, key, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	write_number(j, key, value, false);
}

static void write_string(struct json *j, const char *key, const char *text, size_t len)
{
	begin_value(j, key);
	must(yajl_gen_string(j->gen, (const unsigned char *)text, len));
}

/* The bytes at text that are UTF-8. */
static size_t span_utf8(const char *text, const char *end)
{
	const char *c = text;
	uint64_t eight;
	size_t n;

	while (c < end) {
		for (; end - c >= 8; c += 8) {
			memcpy(&eight, c, 8);
			if (eight & UINT64_C(0x8080808080808080))
				break;
		}
		n = c < end ? utf8_length(c, end) : 0;
		if (!n)
			break;
		c += n;
	}
	return c - text;
}

static bool is_utf8(const char *text, size_t len)
{
	return span_utf8(text, text + len) == len;
}

static void mend(struct buffer *b, const char *text, const char *end)
{
	size_t n;

	b->len = 0;
	while (text < end) {
		n = span_utf8(text, end);
		append(b, text, n);
		text += n;
		if (text < end) {
			append(b, "\xef\xbf\xbd", 3);
			text++;
		}
	}
}

bool json_string_n(struct json *j, const char *key, const char *text, size_t len)
{
	if (is_utf8(text, len)) {
		write_string(j, key, text, len);
		return true;
	}
	mend(&j->scratch, text, text + len);
	j->out.failed |= j->scratch.failed;
	write_string(j, key, j->scratch.failed ? "" : j->scratch.text,
		     j->scratch.failed ? 0 : j->scratch.len);
	return false;
}

bool json_string(struct json *j, const char *key, const char *text)
{
	if (text)
		return json_string_n(j, key, text, strlen(text));
	json_null(j, key);
	return true;
}

static void base64(struct buffer *b, const char *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	const unsigned char *in = (const unsigned char *)bytes;
	char quad[4];

	b->len = 0;
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;

		v |= i + 1 < len ? in[i + 1] << 8 : 0;
		v |= i + 2 < len ? in[i + 2] : 0;
		for (int k = 0; k < 4; k++)
			quad[k] = digits[v >> (18 - 6 * k) & 63];
		if (i + 1 >= len)
			quad[2] = '=';
		if (i + 2 >= len)
			quad[3] = '=';
		append(b, quad, 4);
	}
}

void json_bytes(struct json *j, const char *key, const char *text, size_t len)
{
	char key_b64[KEY_MAX];

	if (json_string_n(j, key, text, len))
		return;
	snprintf(key_b64, sizeof(key_b64), "%s_b64", key);
	base64(&j->scratch, text, len);
	j->out.failed |= j->scratch.failed;
	write_string(j, key_b64, j->scratch.failed ? "" : j->scratch.text,
		     j->scratch.failed ? 0 : j->scratch.len);
}

/* --- reading --- */

struct json_reader {
	yajl_handle handle; /* NULL: after a fault */
	void (*on_item)(void *ctx, const struct json_item *);
	void *ctx;
	const char *line, *line_end;
	unsigned depth, objects;
	bool in_array[JSON_DEPTH_MAX];
	const char *key; /* of the value that comes; NULL: none */
	size_t key_len;
	char key_copy[KEY_MAX];
	const char *fault; /* why a callback has stopped it */
};

static int stop(struct json_reader *r, const char *why)
{
	r->fault = why;
	return 0;
}

static int tell(struct json_reader *r, struct json_item *item)
{
	bool member = r->depth > 0 && !r->in_array[r->depth - 1];

	if (r->depth == 0 && item->type != JSON_OBJECT)
		return stop(r, "not an object");
	if (r->depth == 0 && r->objects++)
		return stop(r, "more than one object on a line");
	item->depth = r->depth;
	item->key = member ? r->key : NULL;
	item->key_len = member ? r->key_len : 0;
	r->on_item(r->ctx, item);
	return 1;
}

static int on_null(void *ctx)
{
	return tell(ctx, &(struct json_item){ .type = JSON_NULL });
}

static int on_boolean(void *ctx, int value)
{
	return tell(ctx, &(struct json_item){ .type = JSON_BOOL, .boolean = value });
}

static int on_number(void *ctx, const char *text, size_t len)
{
	struct json_item item = { .type = JSON_INT };
	char copy[NUMBER_MAX], *end;

	if (len >= sizeof(copy))
		return stop(ctx, "a number that is too long");
	memcpy(copy, text, len);
	copy[len] = '\0';
	errno = 0;
	item.integer = strtoll(copy, &end, 10);
	if (errno || *end) {
		item.type = JSON_DOUBLE;
		item.number = strtod(copy, NULL);
		if (!isfinite(item.number))
			return stop(ctx, "a number that is too large");
	}
	return tell(ctx, &item);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	if (!is_utf8((const char *)text, len))
		return stop(ctx, NOT_UNICODE);
	return tell(ctx, &(struct json_item){
				 .type = JSON_STRING,
				 .text = (const char *)text,
				 .len = len,
			 });
}

static int begin(struct json_reader *r, enum json_type type)
{
	if (!tell(r, &(struct json_item){ .type = type }))
		return 0;
	if (r->depth == JSON_DEPTH_MAX)
		return stop(r, "nested too deep");
	r->in_array[r->depth++] = type == JSON_ARRAY;
	return 1;
}

static int on_object(void *ctx)
{
	return begin(ctx, JSON_OBJECT);
}

static int on_array(void *ctx)
{
	return begin(ctx, JSON_ARRAY);
}

static int on_end(void *ctx)
{
	struct json_reader *r = ctx;

	r->depth--;
	r->on_item(r->ctx, &(struct json_item){ .type = JSON_END, .depth = r->depth });
	return 1;
}

/* A key that is too long to be copied is none that anybody knows. */
static int on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct json_reader *r = ctx;

	if (!is_utf8((const char *)text, len))
		return stop(r, NOT_UNICODE);
	r->key = (const char *)text;
	r->key_len = len;
	if (r->key < r->line || r->key >= r->line_end) {
		r->key_len = MIN(len, sizeof(r->key_copy));
		memcpy(r->key_copy, text, r->key_len);
		r->key = r->key_copy;
	}
	return 1;
}

static int revive(struct json_reader *r)
{
	static const yajl_callbacks callbacks = {
		.yajl_null = on_null,
		.yajl_boolean = on_boolean,
		.yajl_number = on_number,
		.yajl_string = on_string,
		.yajl_start_map = on_object,
		.yajl_map_key = on_key,
		.yajl_end_map = on_end,
		.yajl_start_array = on_array,
		.yajl_end_array = on_end,
	};

	if (r->handle)
		return 0;
	r->handle = yajl_alloc(&callbacks, NULL, r);
	if (!r->handle)
		return -1;
	yajl_config(r->handle, yajl_allow_multiple_values, 1);
	yajl_config(r->handle, yajl_dont_validate_strings, 1);
	return 0;
}

struct json_reader *json_reader_new(void (*on_item)(void *ctx, const struct json_item *),
				    void *ctx)
{
	struct json_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->on_item = on_item;
	r->ctx = ctx;
	if (revive(r) == 0)
		return r;
	free(r);
	return NULL;
}

void json_reader_free(struct json_reader *r)
{
	if (!r)
		return;
	if (r->handle)
		yajl_free(r->handle);
	free(r);
}

/* In yajl's words, which quote nothing of the text. */
static int refuse(struct json_reader *r, struct error *err)
{
	unsigned char *why = NULL;

	if (!r->fault)
		why = yajl_get_error(r->handle, 0, NULL, 0);
	error_set(err, 0, "%s",
		  r->fault ? r->fault :
		  why	   ? (const char *)why :
			     "lack of memory");
	err->text[strcspn(err->text, "\n")] = '\0';
	if (why)
		yajl_free_error(r->handle, why);
	yajl_free(r->handle);
	r->handle = NULL;
	return -1;
}

int json_read(struct json_reader *r, const char *line, size_t len, struct error *err)
{
	yajl_status status;

	if (revive(r))
		return error_set(err, ENOMEM, "read JSON");
	r->line = line;
	r->line_end = line + len;
	r->depth = r->objects = 0;
	r->fault = NULL;
	status = yajl_parse(r->handle, (const unsigned char *)line, len);
	/* Ends a number or a string that is still open, or the next line would. */
	if (status == yajl_status_ok && (!len || line[len - 1] != '\n'))
		status = yajl_parse(r->handle, (const unsigned char *)"\n", 1);
	if (status == yajl_status_ok && r->depth)
		r->fault = "the object has no end";
	else if (status == yajl_status_ok && !r->objects)
		r->fault = "nothing";
	if (status == yajl_status_ok && !r->fault)
		return 0;
	return refuse(r, err);
}
