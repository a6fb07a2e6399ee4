/*
 * toml_scan_init() looks at every character once, so that all behind it deals with UTF-8
 * without NUL and without control characters but tab, LF and CR before LF. Each function
 * begins at s->at and leaves it behind what it has taken.
 *
 * Where a value stands is counted from the place asked for last: the questions come in the
 * order of the text, so all of them together walk it once.
 */
#include "config/toml_token.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/util.h"

#define SHOWN_MAX 60

/* --- places and errors --- */

static struct toml_place place_of(const struct toml_scanner *s, const char *at)
{
	/* A place before the mark is an error's: the only one. */
	struct toml_place p = s->mark;

	if (at < s->mark.at)
		p = (struct toml_place){ s->start, 1, 1 };
	for (; p.at < at; p.at++) {
		if (*p.at == '\n') {
			p.line++;
			p.column = 1;
		} else if ((*p.at & 0xc0) != 0x80) {
			p.column++;
		}
	}
	return p;
}

struct toml_place toml_mark(struct toml_scanner *s)
{
	s->mark = place_of(s, s->at);
	return s->mark;
}

int toml_fail(struct toml_scanner *s, const char *at, const char *cure, const char *fmt,
	      ...)
{
	struct toml_place p = place_of(s, at);
	char sentence[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	error_set(s->err, 0, "%.*s:%u:%u: %s", TOML_NAME_SHOWN, s->name, p.line, p.column,
		  sentence);
	return error_cure(s->err, "%s", cure);
}

int toml_fail_memory(struct toml_scanner *s)
{
	return error_set(s->err, ENOMEM, "read %.*s", TOML_NAME_SHOWN, s->name);
}

int toml_shown(const char *text, size_t len)
{
	if (len <= SHOWN_MAX)
		return len;
	len = SHOWN_MAX;
	while (len && (text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

/* --- characters --- */

bool toml_is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool toml_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

unsigned toml_digit_value(char c)
{
	if (toml_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

bool toml_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static int check_characters(struct toml_scanner *s)
{
	size_t n;

	for (const char *c = s->start; c < s->end; c += n) {
		n = utf8_length(c, s->end);
		if (!n)
			return toml_fail(s, c, "Save the file as UTF-8.",
					 "byte 0x%02x is not UTF-8", (unsigned char)*c);
		if (*c == '\r' && s->end - c > 1 && c[1] == '\n')
			continue;
		if (*c == '\r')
			return toml_fail(s, c, "End lines with LF or CR LF.",
					 "a carriage return without a line feed");
		if (toml_is_control(*c) && *c != '\t' && *c != '\n')
			return toml_fail(
				s, c,
				"Leave it out, or write it as an escape such as \\u001b "
				"in a string with double quotes.",
				"control character U+%04X", (unsigned)*c);
	}
	return 0;
}

int toml_scan_init(struct toml_scanner *s, const char *text, size_t len, const char *name,
		   struct error *err)
{
	*s = (struct toml_scanner){
		.start = text, .end = text + len, .name = name, .err = err
	};
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		s->start += 3;
	s->at = s->start;
	s->mark = (struct toml_place){ s->start, 1, 1 };
	return check_characters(s);
}

char toml_peek(const struct toml_scanner *s)
{
	return s->at < s->end ? *s->at : '\0';
}

void toml_skip_blanks(struct toml_scanner *s)
{
	while (toml_peek(s) == ' ' || toml_peek(s) == '\t')
		s->at++;
}

void toml_skip_comment(struct toml_scanner *s)
{
	if (toml_peek(s) != '#')
		return;
	while (s->at < s->end && *s->at != '\n')
		s->at++;
}

void toml_skip_space(struct toml_scanner *s)
{
	const char *before;

	do {
		before = s->at;
		toml_skip_blanks(s);
		toml_skip_comment(s);
		if (toml_peek(s) == '\r' || toml_peek(s) == '\n')
			s->at++;
	} while (s->at != before);
}

/* --- strings --- */

/* The quote that closes a string of one line, or NULL. */
static const char *find_quote(const struct toml_scanner *s, const char *c, char quote)
{
	for (; c < s->end && *c != '\n'; c++) {
		if (*c == quote)
			return c;
		if (quote == '"' && *c == '\\' && s->end - c > 1 &&
		    (c[1] == '"' || c[1] == '\\'))
			c++;
	}
	return NULL;
}

/* The three quotes that close a multi-line string, or NULL. Up to two more in front of them
 * are the string's own. */
static const char *find_quotes(const struct toml_scanner *s, const char *c, char quote)
{
	size_t run = 0;

	for (; c < s->end; c++) {
		if (*c == quote) {
			run++;
			if (run == 5 || (run >= 3 && (s->end - c == 1 || c[1] != quote)))
				return c - 2;
			continue;
		}
		run = 0;
		if (quote == '"' && *c == '\\')
			c++;
	}
	return NULL;
}

static char *put_utf8(char *out, uint32_t code)
{
	if (code < 0x80) {
		*out++ = code;
		return out;
	}
	if (code < 0x800) {
		*out++ = 0xc0 | code >> 6;
	} else {
		if (code < 0x10000) {
			*out++ = 0xe0 | code >> 12;
		} else {
			*out++ = 0xf0 | code >> 18;
			*out++ = 0x80 | (code >> 12 & 0x3f);
		}
		*out++ = 0x80 | (code >> 6 & 0x3f);
	}
	*out++ = 0x80 | (code & 0x3f);
	return out;
}

/* \uXXXX and \UXXXXXXXX; the backslash is at c. Returns the place behind, or NULL. Digits
 * that are too few end with the quote behind the string, which is none. */
static const char *decode_unicode(struct toml_scanner *s, const char *c, char **out)
{
	int digits = c[1] == 'u' ? 4 : 8;
	uint32_t code = 0;

	for (int i = 0; i < digits; i++) {
		unsigned digit = toml_digit_value(c[2 + i]);

		if (digit == 16) {
			toml_fail(s, c,
				  "Write \\u with four hexadecimal digits, or \\U with "
				  "eight.",
				  "\\%c has fewer than %d hexadecimal digits", c[1],
				  digits);
			return NULL;
		}
		code = code << 4 | digit;
	}
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
		toml_fail(s, c, "Write one \\u or \\U per character; leave NUL out.",
			  "\\%.*s is %s", digits + 1, c + 1,
			  code == 0	  ? "NUL, which no setting can hold" :
			  code > 0x10ffff ? "no character" :
					    "half of a surrogate pair, not a character");
		return NULL;
	}
	*out = put_utf8(*out, code);
	return c + 2 + digits;
}

/* A backslash at the end of a line takes the line end and the blanks around it. Returns the
 * place behind, or NULL when the backslash at c is not one of these. */
static const char *skip_line_end(const char *c, const char *end)
{
	c++;
	while (c < end && (*c == ' ' || *c == '\t'))
		c++;
	if (c == end || (*c != '\n' && *c != '\r'))
		return NULL;
	while (c < end && strchr(" \t\r\n", *c))
		c++;
	return c;
}

/* Returns the place behind the escape at c, or NULL. A backslash is never a string's last:
 * it would have kept the quote from closing it. */
static const char *decode_escape(struct toml_scanner *s, const char *c, const char *end,
				 char **out)
{
	static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
	char letter = c[1];
	const char *known = strchr(letters, letter);
	const char *behind;

	if (known) {
		*(*out)++ = meanings[known - letters];
		return c + 2;
	}
	if (letter == 'u' || letter == 'U')
		return decode_unicode(s, c, out);
	behind = skip_line_end(c, end);
	if (!behind)
		toml_fail(s, c,
			  "Write \\\\ for a backslash, or the string in single quotes, "
			  "where it stands for itself.",
			  "the escape %.*s is not known", letter > ' ' ? 2 : 1, c);
	return behind;
}

int toml_scan_string(struct toml_scanner *s, char **out)
{
	const char *open = s->at, *c, *close;
	char quote = *open, *to;
	bool multi = s->end - open >= 3 && open[1] == quote && open[2] == quote;
	cleanup_free char *text = NULL;

	c = open + (multi ? 3 : 1);
	close = multi ? find_quotes(s, c, quote) : find_quote(s, c, quote);
	if (!close)
		return toml_fail(
			s, open,
			multi ? "Close it with three of the quotes it begins with." :
				"Close it with the quote it begins with, on the same "
				"line.",
			multi ? "a string of several lines has no end" :
				"a string has no end on its line");
	/* Nothing takes more room in memory than in the file. */
	to = text = malloc(close - c + 1);
	if (!text)
		return toml_fail_memory(s);
	if (multi && *c == '\r')
		c++;
	if (multi && *c == '\n')
		c++;
	while (c < close) {
		if (quote == '"' && *c == '\\') {
			c = decode_escape(s, c, close, &to);
			if (!c)
				return -1;
		} else if (*c == '\r') {
			c++; /* lines end with LF, however they end in the file */
		} else {
			*to++ = *c++;
		}
	}
	*to = '\0';
	*out = steal_ptr(&text);
	s->at = close + (multi ? 3 : 1);
	return 0;
}
