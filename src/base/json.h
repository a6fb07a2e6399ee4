/*
 * JSON, written and read; the one door to yajl.
 *
 * The writer makes one value in memory. Members are named by `key`, which is NULL inside of
 * an array and of the outermost value. It never fails in the middle: json_text() says whether
 * there was memory for all of it.
 *
 * The reader takes one object at a time, as a line of a log is one, and tells the members as
 * they come. What it is given may be hostile: depth is bounded, the length is the caller's.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum json_style {
	JSON_COMPACT, /* no space at all, one line */
	JSON_PRETTY,  /* two spaces a level, "key": value, [] and {} for what is empty */
	JSON_IN_HTML, /* compact; harmless wherever it is put in a page, <script> too */
};

struct json;

/* NULL without memory. */
struct json *json_new(enum json_style style);
void json_free(struct json *j);
/* Begins anew, with the memory it has. */
void json_reset(struct json *j);
/* What was written, without a last line end, NUL-terminated and valid until the next call; NULL
 * without memory. Every object and array has been ended. */
const char *json_text(struct json *j, size_t *len);

void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
/* Ends the innermost object or array. */
void json_end(struct json *j);
void json_null(struct json *j, const char *key);
void json_bool(struct json *j, const char *key, bool value);
void json_int(struct json *j, const char *key, int64_t value);
void json_uint(struct json *j, const char *key, uint64_t value);
/* NULL is written as null. What is not UTF-8 becomes U+FFFD, one for each byte; false then. */
bool json_string(struct json *j, const char *key, const char *text);
bool json_string_n(struct json *j, const char *key, const char *text, size_t len);
/* Text that may be anything, as a member: what is not UTF-8 is written as json_string() does,
 * and the bytes themselves as the member KEY_b64, in base 64. */
void json_bytes(struct json *j, const char *key, const char *text, size_t len);

#define JSON_DEPTH_MAX 32 /* of the reader; a member of the object itself is at depth 1 */

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,
	JSON_DOUBLE, /* a number that is no int64_t */
	JSON_STRING,
	JSON_OBJECT, /* begins */
	JSON_ARRAY,  /* begins */
	JSON_END,    /* of the innermost of both */
};

/* Texts are UTF-8, not NUL-terminated, may hold NULs, and are valid only in the call. */
struct json_item {
	enum json_type type;
	unsigned depth;	 /* 0: the object itself */
	const char *key; /* NULL in an array; of JSON_END, too */
	size_t key_len;
	union {
		bool boolean;
		int64_t integer;
		double number;
		struct {
			const char *text;
			size_t len;
		};
	};
};

struct json_reader;

/* NULL without memory. */
struct json_reader *json_reader_new(void (*on_item)(void *ctx, const struct json_item *),
				    void *ctx);
void json_reader_free(struct json_reader *r);
/* Reads a line that is exactly one object, with or without its line end. 0, or -1 and a
 * sentence without the text. Items may have been told before the fault was seen. */
int json_read(struct json_reader *r, const char *line, size_t len, struct error *err);

#endif
