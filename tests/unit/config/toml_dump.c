/*
 * Shows what toml_read() makes of a profile on stdin, for a comparison with another reader:
 *   toml_dump       one key a line, all text as hexadecimal bytes: 6b s:76 | b:true | i:-5 |
 *                   a: with its elements behind it
 *   toml_dump toml  as TOML, strings written by toml_write_string()
 * An error goes to stderr; the status is then 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/toml.h"

static void dump_text(const char *text)
{
	for (; *text; text++)
		printf("%02x", (unsigned char)*text);
}

static void dump_value(const struct toml_value *v)
{
	switch (v->kind) {
	case TOML_STRING:
		printf(" s:");
		dump_text(v->text);
		break;
	case TOML_BOOLEAN:
		printf(" b:%s", v->boolean ? "true" : "false");
		break;
	case TOML_INTEGER:
		printf(" i:%" PRId64, v->integer);
		break;
	case TOML_ARRAY:
		printf(" a:");
		for (size_t i = 0; i < v->count; i++)
			dump_value(&v->items[i]);
		break;
	}
}

static int dump(void *ctx, const char *key, const struct toml_value *v, struct error *err)
{
	dump_text(key);
	dump_value(v);
	putchar('\n');
	return 0;
}

static int write_value(const struct toml_value *v, struct error *err)
{
	switch (v->kind) {
	case TOML_STRING:
		if (toml_write_string(stdout, v->text) < 0)
			return error_set(err, 0, "read what can't be written");
		break;
	case TOML_BOOLEAN:
		printf("%s", v->boolean ? "true" : "false");
		break;
	case TOML_INTEGER:
		printf("%" PRId64, v->integer);
		break;
	case TOML_ARRAY:
		putchar('[');
		for (size_t i = 0; i < v->count; i++) {
			if (write_value(&v->items[i], err) < 0)
				return -1;
			putchar(',');
		}
		putchar(']');
		break;
	}
	return 0;
}

static int rewrite(void *ctx, const char *key, const struct toml_value *v,
		   struct error *err)
{
	if (toml_write_string(stdout, key) < 0)
		return error_set(err, 0, "read a key that can't be written");
	printf(" = ");
	if (write_value(v, err) < 0)
		return -1;
	putchar('\n');
	return 0;
}

int main(int argc, char **argv)
{
	bool as_toml = argc > 1 && strcmp(argv[1], "toml") == 0;
	cleanup_free char *text = malloc(TOML_SIZE_MAX + 1);
	struct error err;
	size_t len;

	if (!text)
		return 2;
	len = fread(text, 1, TOML_SIZE_MAX + 1, stdin);
	if (toml_read(text, len, "stdin", as_toml ? rewrite : dump, NULL, &err) == 0)
		return fflush(stdout) ? 2 : 0;
	fprintf(stderr, "%s\n%s\n", err.text, err.cure);
	return 1;
}
