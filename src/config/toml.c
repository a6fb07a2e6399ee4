/*
 * Profiles are TOML, and libinih reads INI: both are lines of `key = value`, but it cuts a
 * line at 200 bytes, ends a value at " ;", takes a line that begins with a blank for more of
 * the value before, stumbles over a "]" at the beginning of a line, lets a key come twice
 * and tells no line numbers. So it never sees the text. Our reader function gives it one
 * short line, `key = #7`, for each key that the scanner finds, and its handler takes the
 * value that the scanner holds then. Keys in quotes, which may be anything, go under a name
 * of ours.
 *
 * Rejected: the text itself, with inih's options turned off one by one. They are variables
 * of the whole process, and some traps have none.
 */
#include "config/toml.h"

#include <ini.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/util.h"
#include "config/toml_token.h"

#define KEY_HANDED_MAX 64

/* A key that has been read, and where. */
struct seen {
	struct toml_place place;
	char key[];
};

struct reading {
	struct toml_scanner scanner;
	struct toml_entry entry; /* of the line handed out last */
	unsigned long handed, handled;
	void *seen; /* tree of struct seen */
	bool failed;
	toml_entry_fn fn;
	void *ctx;
};

/* --- keys that come twice --- */

static int compare_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static int remember(struct reading *r)
{
	const struct toml_entry *e = &r->entry;
	size_t len = strlen(e->key);
	struct seen *mine = malloc(sizeof(*mine) + len + 1), **found;

	if (!mine)
		return toml_fail_memory(&r->scanner);
	mine->place = e->place;
	memcpy(mine->key, e->key, len + 1);
	found = tsearch(mine, &r->seen, compare_seen);
	if (found && *found == mine)
		return 0;
	free(mine);
	if (!found)
		return toml_fail_memory(&r->scanner);
	return toml_fail(&r->scanner, e->place.at, "Leave one of the two out.",
			 "the key %.*s stands in line %u already",
			 toml_shown(e->key, len), e->key, (*found)->place.line);
}

/* --- what libinih calls --- */

/* Whether libinih reads the key as it is. */
static bool can_be_handed(const char *key)
{
	size_t n = 0;

	while (toml_is_bare(key[n]))
		n++;
	return n && !key[n] && n <= KEY_HANDED_MAX;
}

static char *next_line(char *line, int size, void *stream)
{
	struct reading *r = stream;
	int got, n;

	toml_entry_free(&r->entry);
	if (r->failed)
		return NULL;
	got = toml_scan_entry(&r->scanner, &r->entry);
	if (got > 0 && remember(r) < 0)
		got = -1;
	r->failed = got < 0;
	if (got <= 0)
		return NULL;
	n = snprintf(line, size, "%s = #%lu\n",
		     can_be_handed(r->entry.key) ? r->entry.key : "quoted", ++r->handed);
	assert(n > 0 && n < size);
	return line;
}

static int on_key(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;
	struct toml_entry *e = &r->entry;

	/* One call for each line handed out, and the whole line: what the trick rests on. */
	r->handled++;
	assert(value[0] == '#' && strtoul(value + 1, NULL, 10) == r->handled);
	assert(r->handled == r->handed && !*section);
	if (r->fn(r->ctx, e->key, &e->value, r->scanner.err) == 0)
		return 1;
	error_wrap(r->scanner.err, "%.*s:%u:%u", TOML_NAME_SHOWN, r->scanner.name,
		   e->place.line, e->place.column);
	r->failed = true;
	return 0;
}

int toml_read(const char *text, size_t len, const char *name, toml_entry_fn entry,
	      void *ctx, struct error *err)
{
	struct reading r = { .fn = entry, .ctx = ctx };
	int rc;

	if (len > TOML_SIZE_MAX) {
		error_set(err, 0,
			  "%.*s: a profile has at most 1 MiB, this one has %zu bytes",
			  TOML_NAME_SHOWN, name, len);
		return error_cure(err,
				  "Is it the right file? Long lists can stand in files "
				  "of their own.");
	}
	if (toml_scan_init(&r.scanner, len ? text : "", len, name, err) < 0)
		return -1;
	rc = ini_parse_stream(next_line, &r, on_key, &r);
	toml_entry_free(&r.entry);
	tdestroy(r.seen, free);
	if (r.failed)
		return -1;
	if (rc)
		return toml_fail_memory(&r.scanner);
	assert(r.handled == r.handed);
	return 0;
}

/* --- writing --- */

static void write_escaped(FILE *out, char c)
{
	static const char plain[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
	const char *known = strchr(plain, c);

	if (known)
		fprintf(out, "\\%c", letters[known - plain]);
	else if (toml_is_control(c))
		fprintf(out, "\\u%04x", (unsigned)c);
	else
		fputc(c, out);
}

int toml_write_string(FILE *out, const char *text)
{
	const char *end = text + strlen(text);
	size_t n;

	for (const char *c = text; c < end; c += n) {
		n = utf8_length(c, end);
		if (!n)
			return -1;
	}
	fputc('"', out);
	for (const char *c = text; c < end; c++)
		write_escaped(out, *c);
	fputc('"', out);
	return 0;
}
