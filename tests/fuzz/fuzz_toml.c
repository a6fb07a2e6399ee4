/*
 * The reader of profiles. What it reads, written with toml_write_string(), must be read again
 * as the same; what it refuses must have a sentence with a place, and a cure.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/toml.h"
#include "fuzz.h"

struct copy {
	FILE *out;
	unsigned line; /* of the key before */
};

static void write_value(FILE *out, const struct toml_value *v, unsigned line)
{
	CHECK(v->line >= line && v->column);
	switch (v->kind) {
	case TOML_STRING:
		CHECK(v->text && !v->count && toml_write_string(out, v->text) == 0);
		break;
	case TOML_BOOLEAN:
		CHECK(!v->text && !v->count);
		fputs(v->boolean ? "true" : "false", out);
		break;
	case TOML_INTEGER:
		CHECK(!v->text && !v->count);
		fprintf(out, "%" PRId64, v->integer);
		break;
	case TOML_ARRAY:
		CHECK(!v->text);
		fputc('[', out);
		for (size_t i = 0; i < v->count; i++) {
			CHECK(v->items[i].kind != TOML_ARRAY);
			write_value(out, &v->items[i], i ? v->items[i - 1].line : line);
			fputc(',', out);
		}
		fputc(']', out);
		break;
	}
}

static int on_entry(void *ctx, const char *key, const struct toml_value *v,
		    struct error *err)
{
	struct copy *copy = ctx;

	CHECK(toml_write_string(copy->out, key) == 0);
	fputc('=', copy->out);
	write_value(copy->out, v, copy->line);
	fputc('\n', copy->out);
	copy->line = v->line;
	return 0;
}

/* Reads, and returns all of it written, to be freed; NULL when it is refused. */
static char *rewrite(const char *text, size_t len, size_t *out_len)
{
	struct error err = { .code = 0 };
	struct copy copy = { .line = 1 };
	char *written = NULL;
	int rc;

	copy.out = open_memstream(&written, out_len);
	CHECK(copy.out);
	rc = toml_read(text, len, "fuzz", on_entry, &copy, &err);
	CHECK(fclose(copy.out) == 0);
	if (rc == 0)
		return written;
	free(written);
	CHECK(strncmp(err.text, "fuzz:", 5) == 0 && err.cure[0]);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len, again_len;
	char *text = rewrite((const char *)data, size, &len), *again;

	/* Escapes make a text longer, past the bound if it comes near. */
	if (text && len <= TOML_SIZE_MAX) {
		again = rewrite(text, len, &again_len);
		CHECK(again && again_len == len && memcmp(text, again, len) == 0);
		free(again);
	}
	free(text);
	return 0;
}
