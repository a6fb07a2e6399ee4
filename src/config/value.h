/* Values of options: one row per type says how its text is read and written. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdio.h>

#include "base/error.h"
#include "config/options.h"

/* In what form a profile holds a value of the type. */
enum value_form {
	FORM_BOOLEAN = 1,
	FORM_INTEGER = 2,
	FORM_STRING = 4,
	FORM_ARRAY = 8, /* of strings */
};

unsigned value_forms(const struct option *o);

/* What a value is, as in "'x' is not ..."; a choice's names. out is the buffer to use. */
const char *value_expectation(const struct option *o, char out[static 128]);

/*
 * Reads text into the option's field: appends to a list, else replaces. dir is what relative
 * paths count from, NULL for the working directory. On failure the sentence is about the
 * value; who calls adds the option and the place.
 */
int value_parse(const struct option *o, struct config *cfg, const char *text,
		const char *dir, struct error *err);

/* The choice that somebody may have meant who wrote text, or NULL. */
const char *value_suggest(const struct option *o, const char *text);

/* How many texts make the field's value, 0 when it is not set; and one of them, to free().
 * With `secrets` the text is complete. */
size_t value_count(const struct option *o, const struct config *cfg);
char *value_text(const struct option *o, const struct config *cfg, size_t i,
		 bool secrets);

/* Frees what the field owns and makes it zero. */
void value_clear(const struct option *o, struct config *cfg);

/* Moves the field's value from one struct to another, which must not own one. */
void value_move(const struct option *o, struct config *to, struct config *from);

bool value_equal(const struct option *o, const struct config *a, const struct config *b);

#endif
