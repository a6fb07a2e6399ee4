/*
 * Profiles: the part of TOML that a list of settings needs, read from memory and written.
 *
 * Read are keys with strings of all four forms, booleans, integers and arrays of these. All
 * else that TOML has is refused by its name, never skipped.
 */
#ifndef CONFIG_TOML_H
#define CONFIG_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define TOML_SIZE_MAX (1024 * 1024)

enum toml_kind {
	TOML_STRING,
	TOML_BOOLEAN,
	TOML_INTEGER,
	TOML_ARRAY,
};

struct toml_value {
	enum toml_kind kind;
	char *text; /* UTF-8 without NUL */
	bool boolean;
	int64_t integer;
	struct toml_value *items; /* no arrays among them */
	size_t count;
	/* Where it begins. Both count from 1, columns in characters; a tab is one. */
	unsigned line, column;
};

/* Called once per key in file order; v is valid in the call. -1 with err stops the reading;
 * the sentence then gets the key's "NAME:LINE:COLUMN: " in front. */
typedef int (*toml_entry_fn)(void *ctx, const char *key, const struct toml_value *v,
			     struct error *err);

/* Reads a whole profile from memory; name is for errors ("NAME:LINE:COLUMN: ..."). A key
 * that comes twice is an error. Keys before the error have been given to entry. 0 or -1. */
int toml_read(const char *text, size_t len, const char *name, toml_entry_fn entry,
	      void *ctx, struct error *err);

/* Writes text as a basic string on one line. Returns -1, with nothing written, when it isn't
 * UTF-8; whether out took it is for ferror(). */
int toml_write_string(FILE *out, const char *text);

#endif
