/*
 * What is refused gets a name, a place and a cure, because people know TOML and will write
 * what they know: a table, a date, a float; or forget the quotes.
 */
#include "config/toml_token.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/util.h"

/* --- words: booleans, integers, and what is no value of ours --- */

static bool word_is(const char *word, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(word, what, len) == 0;
}

/* The digits and underscores at the beginning. */
static size_t count_digits(const char *word, size_t len)
{
	size_t n = 0;

	while (n < len && (toml_is_digit(word[n]) || (n && word[n] == '_')))
		n++;
	return n;
}

static bool is_float(const char *word, size_t len)
{
	size_t n, whole;

	if (len && (*word == '+' || *word == '-')) {
		word++;
		len--;
	}
	if (word_is(word, len, "inf") || word_is(word, len, "nan"))
		return true;
	whole = n = count_digits(word, len);
	if (n && n < len && word[n] == '.')
		n += 1 + count_digits(word + n + 1, len - n - 1);
	if (n && n < len && (word[n] == 'e' || word[n] == 'E')) {
		n++;
		if (n < len && (word[n] == '+' || word[n] == '-'))
			n++;
		n += count_digits(word + n, len - n);
	}
	return n == len && n > whole;
}

static bool is_date_or_time(const char *word, size_t len)
{
	size_t n = count_digits(word, len);

	return n < len && ((n == 4 && word[n] == '-') || (n == 2 && word[n] == ':'));
}

/* Whether someone meant an integer, right or wrong. */
static bool is_number(const char *word, size_t len)
{
	if (len > 1 && (*word == '+' || *word == '-')) {
		word++;
		len--;
	}
	if (!toml_is_digit(*word))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (toml_digit_value(word[i]) == 16 && word[i] != '_' &&
		    !(i == 1 && strchr("xXoO", word[i])))
			return false;
	}
	return true;
}

/* Returns what is wrong with the integer, or NULL. */
static const char *parse_integer(const char *word, size_t len, int64_t *out)
{
	bool negative = *word == '-', sign = negative || *word == '+';
	size_t i = sign, first;
	unsigned base = 10;
	uint64_t n = 0, max = INT64_MAX + (uint64_t)negative;

	if (len - i > 1 && word[i] == '0') {
		char letter = word[i + 1];

		base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
		if (!base)
			return "has a zero in front";
		if (sign)
			return "has a sign, which only decimal integers have";
		i += 2;
	}
	for (first = i; i < len; i++) {
		unsigned digit = toml_digit_value(word[i]);

		if (word[i] == '_' && i > first && i + 1 < len && word[i + 1] != '_')
			continue;
		if (word[i] == '_')
			return "has an underscore that isn't between two digits";
		if (digit >= base)
			return "has a digit that isn't one of its base";
		if (n > (max - digit) / base)
			return "is outside the 64 bits of an integer";
		n = n * base + digit;
	}
	if (first == len)
		return "has no digits";
	*out = negative ? (int64_t)-n : (int64_t)n;
	return NULL;
}

static int fail_word(struct toml_scanner *s, size_t len)
{
	int n = toml_shown(s->at, len);
	char cure[160];

	if (is_date_or_time(s->at, len))
		return toml_fail(s, s->at, "Write it in quotes.",
				 "'%.*s': dates and times are not read", n, s->at);
	if (is_float(s->at, len))
		return toml_fail(s, s->at, "Write an integer, or the number in quotes.",
				 "'%.*s': floats are not read", n, s->at);
	snprintf(cure, sizeof(cure),
		 "A string stands in quotes: \"%.*s\". A boolean is true or false.", n,
		 s->at);
	return toml_fail(s, s->at, cure, "'%.*s' is no value", n, s->at);
}

static int scan_word(struct toml_scanner *s, struct toml_value *v)
{
	const char *c = s->at, *wrong;
	size_t len;

	while (c < s->end && !strchr(" \t\r\n,#]", *c))
		c++;
	len = c - s->at;
	v->boolean = word_is(s->at, len, "true");
	if (v->boolean || word_is(s->at, len, "false")) {
		v->kind = TOML_BOOLEAN;
	} else if (is_number(s->at, len) && !is_float(s->at, len)) {
		v->kind = TOML_INTEGER;
		wrong = parse_integer(s->at, len, &v->integer);
		if (wrong)
			return toml_fail(s, s->at,
					 "Write an integer such as 1500, 1_500 or 0x5dc.",
					 "'%.*s' %s", toml_shown(s->at, len), s->at,
					 wrong);
	} else {
		return fail_word(s, len);
	}
	s->at = c;
	return 0;
}

/* --- values --- */

static void free_value(struct toml_value *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i].text);
	free(v->items);
	free(v->text);
}

static void place(struct toml_scanner *s, struct toml_value *v)
{
	struct toml_place p = toml_mark(s);

	*v = (struct toml_value){ .line = p.line, .column = p.column };
}

static int scan_scalar(struct toml_scanner *s, struct toml_value *v)
{
	place(s, v);
	switch (toml_peek(s)) {
	case '"':
	case '\'':
		v->kind = TOML_STRING;
		return toml_scan_string(s, &v->text);
	case '{':
		return toml_fail(s, s->at, "Write each setting as a key of its own.",
				 "inline tables ({...}) are not read");
	case '[':
		return toml_fail(s, s->at, "Write one array with all elements.",
				 "arrays in arrays are not read");
	case '\0':
	case '\r':
	case '\n':
	case '#':
	case ',':
	case ']':
		return toml_fail(
			s, s->at,
			"Write a string in quotes, true, false, an integer or an array.",
			"a value is missing");
	default:
		return scan_word(s, v);
	}
}

/* Room for one more item; NULL without memory. */
static struct toml_value *add_item(struct toml_value *v, size_t *room)
{
	if (v->count == *room) {
		size_t more = *room ? 2 * *room : 8;
		struct toml_value *grown = reallocarray(v->items, more, sizeof(*grown));

		if (!grown)
			return NULL;
		v->items = grown;
		*room = more;
	}
	return &v->items[v->count];
}

static int scan_items(struct toml_scanner *s, struct toml_value *v, const char *open)
{
	size_t room = 0;

	for (;;) {
		struct toml_value *item;

		toml_skip_space(s);
		if (toml_peek(s) == ']')
			break;
		if (s->at == s->end)
			return toml_fail(s, open, "Close it with ].",
					 "an array has no end");
		item = add_item(v, &room);
		if (!item)
			return toml_fail_memory(s);
		if (scan_scalar(s, item) < 0)
			return -1;
		v->count++;
		toml_skip_space(s);
		if (toml_peek(s) == ',')
			s->at++;
		else if (s->at < s->end && *s->at != ']')
			return toml_fail(s, s->at, "Elements are separated by commas.",
					 "a comma or ] is missing");
	}
	s->at++;
	return 0;
}

static int scan_value(struct toml_scanner *s, struct toml_value *v)
{
	const char *open = s->at;

	if (toml_peek(s) != '[')
		return scan_scalar(s, v);
	place(s, v);
	v->kind = TOML_ARRAY;
	s->at++;
	return scan_items(s, v, open);
}

/* --- keys and lines --- */

static int scan_quoted_key(struct toml_scanner *s, char **key)
{
	const char *open = s->at;

	if (s->end - open >= 3 && open[1] == *open && open[2] == *open)
		return toml_fail(
			s, open,
			"Write the key with one quote at each end, or with none.",
			"a key is no string of several lines");
	if (toml_scan_string(s, key) < 0)
		return -1;
	for (const char *c = *key; *c; c++) {
		if (toml_is_control(*c))
			return toml_fail(s, open, "Write the name of a setting.",
					 "a key with a control character");
	}
	return 0;
}

static int scan_key(struct toml_scanner *s, char **key)
{
	const char *c = s->at;

	if (*c == '"' || *c == '\'')
		return scan_quoted_key(s, key);
	while (c < s->end && toml_is_bare(*c))
		c++;
	if (c == s->at && *c == '=')
		return toml_fail(s, c, "Write key = value.", "a key is missing");
	if (c == s->at)
		return toml_fail(
			s, c,
			"Write key = value; a key has letters, digits, _ and -, and "
			"a comment begins with #.",
			"no key begins with '%.*s'", (int)utf8_length(c, s->end), c);
	*key = strndup(s->at, c - s->at);
	if (!*key)
		return toml_fail_memory(s);
	s->at = c;
	return 0;
}

static int scan_equals(struct toml_scanner *s)
{
	toml_skip_blanks(s);
	if (toml_peek(s) == '.')
		return toml_fail(s, s->at, "Write the setting's name alone.",
				 "dotted keys (a.b) are not read");
	if (toml_peek(s) != '=')
		return toml_fail(s, s->at, "Write key = value.",
				 "= is missing behind the key");
	s->at++;
	toml_skip_blanks(s);
	return 0;
}

static int scan_line_end(struct toml_scanner *s)
{
	toml_skip_blanks(s);
	toml_skip_comment(s);
	if (s->at == s->end || *s->at == '\n' || *s->at == '\r')
		return 0;
	return toml_fail(s, s->at,
			 "One key and its value take a line; a comment begins with #.",
			 "something stands behind the value");
}

static int fail_table(struct toml_scanner *s)
{
	bool array = s->end - s->at > 1 && s->at[1] == '[';

	return toml_fail(s, s->at,
			 "Leave this line out: all keys stand at the top level.",
			 array ? "arrays of tables ([[x]]) are not read" :
				 "tables ([x]) are not read");
}

int toml_scan_entry(struct toml_scanner *s, struct toml_entry *entry)
{
	*entry = (struct toml_entry){ .key = NULL };
	toml_skip_space(s);
	if (s->at == s->end)
		return 0;
	if (*s->at == '[')
		return fail_table(s);
	entry->place = toml_mark(s);
	if (scan_key(s, &entry->key) == 0 && scan_equals(s) == 0 &&
	    scan_value(s, &entry->value) == 0 && scan_line_end(s) == 0)
		return 1;
	toml_entry_free(entry);
	return -1;
}

void toml_entry_free(struct toml_entry *entry)
{
	free_value(&entry->value);
	free(entry->key);
	*entry = (struct toml_entry){ .key = NULL };
}
