/*
 * From characters to keys and values, for toml.c alone. toml_text.c knows places, characters
 * and strings; toml_token.c puts values and lines together.
 */
#ifndef CONFIG_TOML_TOKEN_H
#define CONFIG_TOML_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "config/toml.h"

/* How much of a name an error has room for. */
#define TOML_NAME_SHOWN 200

struct toml_place {
	const char *at;
	unsigned line, column;
};

struct toml_scanner {
	const char *start, *end, *at;
	const char *name; /* of the file, for errors */
	struct error *err;
	struct toml_place mark; /* the last place that was asked for */
};

struct toml_entry {
	char *key;
	struct toml_place place;
	struct toml_value value;
};

/* --- toml_text.c --- */

/* Skips a byte order mark and looks at every character. -1 when one of them can't be. */
int toml_scan_init(struct toml_scanner *s, const char *text, size_t len, const char *name,
		   struct error *err);

/* Moves s->mark to s->at, and returns it. */
struct toml_place toml_mark(struct toml_scanner *s);

/* Sets "NAME:LINE:COLUMN: sentence", for the place `at`, and the cure. Returns -1. */
int toml_fail(struct toml_scanner *s, const char *at, const char *cure, const char *fmt,
	      ...) __attribute__((format(printf, 4, 5)));
int toml_fail_memory(struct toml_scanner *s);

/* As many bytes of a word as an error has room for: whole characters. */
int toml_shown(const char *text, size_t len);

/* The character at s->at; NUL, which the text doesn't hold, at its end. */
char toml_peek(const struct toml_scanner *s);
void toml_skip_blanks(struct toml_scanner *s);
void toml_skip_comment(struct toml_scanner *s);
/* Blanks, line ends and comments. */
void toml_skip_space(struct toml_scanner *s);

/* Sets *out to the string that begins with the quote at s->at, to be freed. */
int toml_scan_string(struct toml_scanner *s, char **out);

bool toml_is_control(char c);
/* Whether a character can stand in a key without quotes. */
bool toml_is_bare(char c);
bool toml_is_digit(char c);
/* The value of a digit of any base up to 16; 16 for what is none. */
unsigned toml_digit_value(char c);

/* --- toml_token.c --- */

/* The next key and its value, to be freed with toml_entry_free(): 1, or 0 at the end, or -1
 * with nothing to free. */
int toml_scan_entry(struct toml_scanner *s, struct toml_entry *entry);
void toml_entry_free(struct toml_entry *entry);

#endif
