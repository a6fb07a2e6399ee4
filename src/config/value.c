#include "config/value_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/path.h"
#include "config/suggest.h"

#define SECONDS_MAX 1000000
/* What IPv6 needs (RFC 8200 5), and what a tap can be given, less a word. */
#define MTU_MIN 1280
#define MTU_MAX 65520
#define SNAPLEN_MAX 262144 /* libpcap's */
#define ROTATE_NUMBER_MAX 99999
#define ROTATE_BYTES_MIN (64 << 10)
#define INTERFACE_MAX 15 /* IFNAMSIZ - 1 */
#define COUNT_MAX 100

/* --- numbers and words --- */

static enum outcome parse_flag(const struct source *src, const char *text, void *field,
			       struct error *err)
{
	*(bool *)field = strcmp(text, "true") == 0;
	return *(bool *)field || strcmp(text, "false") == 0 ? GOOD : BAD;
}

static enum outcome parse_count(const struct source *src, const char *text, void *field,
				struct error *err)
{
	unsigned *n = field;

	*n = MIN(*n + 1, COUNT_MAX);
	return GOOD;
}

/* Decimal seconds, cut to milliseconds: "0.5", "30", never "" or "1e3". */
static enum outcome parse_seconds(const struct source *src, const char *text, void *field,
				  struct error *err)
{
	unsigned long ms = 0, scale = 1000;
	bool digits = false, point = false;

	for (; *text; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return BAD;
		digits = true;
		if (!point)
			ms = ms * 10 + (*text - '0') * 1000;
		else if (scale > 1)
			ms += (*text - '0') * (scale /= 10);
		if (ms > SECONDS_MAX * 1000UL)
			return BAD;
	}
	*(unsigned *)field = ms;
	return digits ? GOOD : BAD;
}

static enum outcome parse_mtu(const struct source *src, const char *text, void *field,
			      struct error *err)
{
	unsigned long n = 0;

	if (!*text)
		return BAD;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return BAD;
		n = n * 10 + (*text - '0');
		if (n > MTU_MAX)
			return BAD;
	}
	*(unsigned *)field = n;
	return n >= MTU_MIN ? GOOD : BAD;
}

/* Digits up to a value of max; leaves *text behind them. */
static bool take_number(const char **text, uint64_t max, uint64_t *n)
{
	const char *digits = *text;

	for (*n = 0; **text >= '0' && **text <= '9'; (*text)++) {
		*n = *n * 10 + (**text - '0');
		if (*n > max)
			return false;
	}
	return *text != digits;
}

static enum outcome parse_snaplen(const struct source *src, const char *text, void *field,
				  struct error *err)
{
	uint64_t n;

	if (!take_number(&text, SNAPLEN_MAX, &n) || *text || !n)
		return BAD;
	*(unsigned *)field = n;
	return GOOD;
}

static const struct {
	const char *name;
	uint64_t bytes, seconds;
} rotate_units[] = {
	{ "K", 1 << 10, 0 }, { "M", 1 << 20, 0 }, { "G", 1 << 30, 0 },
	{ "s", 0, 1 },	     { "min", 0, 60 },	  { "h", 0, 3600 },
};

static enum outcome parse_rotate(const struct source *src, const char *text, void *field,
				 struct error *err)
{
	struct config_rotate *r = field;
	uint64_t n, count = 0;
	size_t len;

	if (!take_number(&text, ROTATE_NUMBER_MAX, &n) || !n)
		return BAD;
	len = strcspn(text, ":");
	*r = (struct config_rotate){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(rotate_units); i++) {
		if (strlen(rotate_units[i].name) == len &&
		    memcmp(rotate_units[i].name, text, len) == 0) {
			r->bytes = n * rotate_units[i].bytes;
			r->seconds = n * rotate_units[i].seconds;
		}
	}
	text += len;
	if (*text == ':' && text++ &&
	    (!take_number(&text, ROTATE_NUMBER_MAX, &count) || !count))
		return BAD;
	r->count = count;
	return *text || (r->bytes < ROTATE_BYTES_MIN && !r->seconds) ? BAD : GOOD;
}

static enum outcome parse_choice(const struct source *src, const char *text, void *field,
				 struct error *err)
{
	for (unsigned i = 0; src->o->choices[i]; i++) {
		if (strcmp(text, src->o->choices[i]) == 0) {
			*(unsigned *)field = i;
			return GOOD;
		}
	}
	return BAD;
}

static enum outcome parse_address(const struct source *src, const char *text, void *field,
				  struct error *err)
{
	struct config_addr *a = field;

	a->set = addr_parse(text, &a->addr);
	return a->set ? GOOD : BAD;
}

/* --- texts --- */

/* Takes over text. */
static enum outcome set_text(char **field, char *text, struct error *err)
{
	if (!text) {
		error_set(err, ENOMEM, "keep a value");
		return BAD_WITH_SENTENCE;
	}
	free(*field);
	*field = text;
	return GOOD;
}

static enum outcome parse_text(const struct source *src, const char *text, void *field,
			       struct error *err)
{
	return *text ? set_text(field, strdup(text), err) : BAD;
}

static enum outcome parse_path(const struct source *src, const char *text, void *field,
			       struct error *err)
{
	return *text ? set_text(field, path_from(src->dir, text), err) : BAD;
}

static enum outcome parse_interface(const struct source *src, const char *text,
				    void *field, struct error *err)
{
	/* As the kernel's dev_valid_name(). */
	if (strlen(text) > INTERFACE_MAX || strpbrk(text, "/: \t\n\v\f\r") ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return BAD;
	return parse_text(src, text, field, err);
}

static enum outcome parse_words(const struct source *src, const char *text, void *field,
				struct error *err)
{
	struct words *words = field;
	char *copy = strdup(text);

	/* A shell's * can be very many, so one by one would take too long. */
	if (copy && words->count + 1 >= words->room) {
		size_t room = MAX(words->room * 2, (size_t)8);
		char **more = realloc(words->list, room * sizeof(*more));

		if (more) {
			words->list = more;
			words->room = room;
		}
	}
	if (!copy || words->count + 1 >= words->room) {
		free(copy);
		error_set(err, ENOMEM, "keep a value");
		return BAD_WITH_SENTENCE;
	}
	words->list[words->count++] = copy;
	words->list[words->count] = NULL;
	return GOOD;
}

static enum outcome parse_file(const struct source *src, const char *text, void *field,
			       struct error *err)
{
	return *text ? parse_words(src, text, field, err) : BAD;
}

/* --- back to text --- */

static size_t count_one(const void *field)
{
	return 1;
}

static size_t count_address(const void *field)
{
	return ((const struct config_addr *)field)->set;
}

static size_t count_text(const void *field)
{
	return *(char *const *)field != NULL;
}

static size_t count_of_words(const void *field)
{
	return ((const struct words *)field)->count;
}

static char *text_of_flag(const struct option *o, const void *field, size_t i,
			  bool secrets)
{
	return strdup(*(const bool *)field ? "true" : "false");
}

static char *text_of_number(const struct option *o, const void *field, size_t i,
			    bool secrets)
{
	char *text;

	return asprintf(&text, "%u", *(const unsigned *)field) < 0 ? NULL : text;
}

static size_t count_number(const void *field)
{
	return *(const unsigned *)field != 0;
}

static size_t count_rotate(const void *field)
{
	const struct config_rotate *r = field;

	return r->bytes || r->seconds;
}

/* In the largest unit that divides it. */
static char *text_of_rotate(const struct option *o, const void *field, size_t i,
			    bool secrets)
{
	const struct config_rotate *r = field;
	const char *unit = "";
	char count[16] = "", *text;
	uint64_t n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(rotate_units); k++) {
		uint64_t value = r->bytes ? r->bytes : r->seconds;
		uint64_t one = r->bytes ? rotate_units[k].bytes : rotate_units[k].seconds;

		if (one && value % one == 0) {
			n = value / one;
			unit = rotate_units[k].name;
		}
	}
	if (r->count)
		snprintf(count, sizeof(count), ":%u", r->count);
	return asprintf(&text, "%llu%s%s", (unsigned long long)n, unit, count) < 0 ?
		       NULL :
		       text;
}

static char *text_of_seconds(const struct option *o, const void *field, size_t i,
			     bool secrets)
{
	unsigned ms = *(const unsigned *)field;
	char *text;

	if (ms % 1000 == 0)
		return asprintf(&text, "%u", ms / 1000) < 0 ? NULL : text;
	return asprintf(&text, "%u.%03u", ms / 1000, ms % 1000) < 0 ? NULL : text;
}

static char *text_of_choice(const struct option *o, const void *field, size_t i,
			    bool secrets)
{
	return strdup(o->choices[*(const unsigned *)field]);
}

static char *text_of_address(const struct option *o, const void *field, size_t i,
			     bool secrets)
{
	char text[ADDR_TEXT_MAX];

	return strdup(addr_format(&((const struct config_addr *)field)->addr, text));
}

static char *text_of_text(const struct option *o, const void *field, size_t i,
			  bool secrets)
{
	return strdup(*(char *const *)field);
}

static char *text_of_word(const struct option *o, const void *field, size_t i,
			  bool secrets)
{
	return strdup(((const struct words *)field)->list[i]);
}

/* --- the end of a value --- */

static void clear_text(void *field)
{
	char *text = *(char **)field;

	/* It may be a password. */
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void clear_words(void *field)
{
	struct words *words = field;

	for (size_t i = 0; i < words->count; i++)
		free(words->list[i]);
	free(words->list);
}

/* --- the table --- */

struct value_type {
	const char *expected; /* NULL: the choices */
	size_t size;	      /* of the field */
	unsigned forms;	      /* enum value_form */
	enum outcome (*parse)(const struct source *src, const char *text, void *field,
			      struct error *err);
	size_t (*count)(const void *field);
	char *(*text)(const struct option *o, const void *field, size_t i, bool secrets);
	void (*clear)(void *field); /* NULL: it owns nothing */
};

/* clang-format off */
static const struct value_type types[] = {
	[TYPE_FLAG] = { "true or false", sizeof(bool), FORM_BOOLEAN,
			parse_flag, count_one, text_of_flag },
	[TYPE_ACTION] = { "true or false", sizeof(bool), FORM_BOOLEAN,
			  parse_flag, count_one, text_of_flag },
	[TYPE_COUNT] = { "a number", sizeof(unsigned), FORM_INTEGER,
			 parse_count, count_one, text_of_number },
	[TYPE_ADDRESS] = { "an IPv4 or IPv6 address without port or scope",
			   sizeof(struct config_addr), FORM_STRING,
			   parse_address, count_address, text_of_address },
	[TYPE_PATH] = { "the name of a file", sizeof(char *), FORM_STRING,
			parse_path, count_text, text_of_text, clear_text },
	[TYPE_PROFILE] = { "the name of a file or of a profile", sizeof(char *), FORM_STRING,
			   parse_text, count_text, text_of_text, clear_text },
	[TYPE_TEXT] = { "a text of at least one character", sizeof(char *), FORM_STRING,
			parse_text, count_text, text_of_text, clear_text },
	[TYPE_INTERFACE] = { "the name of a network interface", sizeof(char *), FORM_STRING,
			     parse_interface, count_text, text_of_text, clear_text },
	[TYPE_CHOICE] = { NULL, sizeof(unsigned), FORM_STRING,
			  parse_choice, count_one, text_of_choice },
	[TYPE_SECONDS] = { "a number of seconds, such as 30 or 0.5, up to 1000000",
			   sizeof(unsigned), FORM_INTEGER | FORM_STRING,
			   parse_seconds, count_one, text_of_seconds },
	[TYPE_MTU] = { "a number of bytes from 1280 to 65520",
		       sizeof(unsigned), FORM_INTEGER,
		       parse_mtu, count_one, text_of_number },
	[TYPE_SNAPLEN] = { "a number of bytes from 1 to 262144",
			   sizeof(unsigned), FORM_INTEGER,
			   parse_snaplen, count_number, text_of_number },
	[TYPE_ROTATE] = { "a size from 64K or a time, such as 100M, 2G, 30s, 10min or 1h, and "
			  "maybe :COUNT",
			  sizeof(struct config_rotate), FORM_STRING,
			  parse_rotate, count_rotate, text_of_rotate },
	[TYPE_CIDRS] = { "an IPv4 or IPv6 address or a CIDR such as 192.0.2.0/24",
			 sizeof(struct rule_list), FORM_ARRAY,
			 value_parse_rules, value_count_rules, value_text_of_rule, value_clear_rules },
	[TYPE_DOMAINS] = { "a domain name such as example.org",
			   sizeof(struct rule_list), FORM_ARRAY,
			   value_parse_rules, value_count_rules, value_text_of_rule, value_clear_rules },
	[TYPE_DOMAINS_EXACT] = { "a domain name such as example.org",
				 sizeof(struct rule_list), FORM_ARRAY,
				 value_parse_rules, value_count_rules, value_text_of_rule, value_clear_rules },
	[TYPE_RULES] = { "an address, a CIDR or a domain name",
			 sizeof(struct rule_list), FORM_ARRAY,
			 value_parse_rules, value_count_rules, value_text_of_rule, value_clear_rules },
	[TYPE_ROUTES] = { "a rule with its way, such as example.org=direct",
			  sizeof(struct route_list), FORM_ARRAY,
			  value_parse_route, value_count_routes, value_text_of_route, value_clear_routes },
	[TYPE_PROXIES] = { "the URL of a proxy such as http://192.0.2.1:3128",
			   sizeof(struct proxy_list), FORM_STRING | FORM_ARRAY,
			   value_parse_proxy, value_count_proxies, value_text_of_proxy, value_clear_proxies },
	[TYPE_WORDS] = { "a command and its arguments", sizeof(struct words), FORM_ARRAY,
			 parse_words, count_of_words, text_of_word, clear_words },
	[TYPE_FILES] = { "the name of a file", sizeof(struct words), FORM_ARRAY,
			 parse_file, count_of_words, text_of_word, clear_words },
};
/* clang-format on */
static_assert(ARRAY_SIZE(types) == TYPE_COUNT_OF_TYPES, "each type has a row");

unsigned value_forms(const struct option *o)
{
	return types[o->type].forms;
}

const char *value_expectation(const struct option *o, char out[static 128])
{
	size_t n;

	if (types[o->type].expected)
		return types[o->type].expected;
	n = snprintf(out, 128, "one of");
	for (size_t i = 0; o->choices[i] && n < 128; i++)
		n += snprintf(out + n, 128 - n, "%s %s", i ? "," : "", o->choices[i]);
	return out;
}

int value_parse(const struct option *o, struct config *cfg, const char *text,
		const char *dir, struct error *err)
{
	struct source src = { o, dir };
	char buffer[128];

	switch (types[o->type].parse(&src, text, option_field(o, cfg), err)) {
	case GOOD:
		return 0;
	case BAD_WITH_SENTENCE:
		return -1;
	case BAD:
		break;
	}
	return error_set(err, 0, "'%.100s' is not %s", o->secret ? "***" : text,
			 value_expectation(o, buffer));
}

const char *value_suggest(const struct option *o, const char *text)
{
	struct suggestion s;

	suggest_init(&s, text, strlen(text));
	for (size_t i = 0; o->choices && o->choices[i]; i++)
		suggest_offer(&s, o->choices[i]);
	return s.nearest;
}

size_t value_count(const struct option *o, const struct config *cfg)
{
	return types[o->type].count(option_value(o, cfg));
}

char *value_text(const struct option *o, const struct config *cfg, size_t i, bool secrets)
{
	return types[o->type].text(o, option_value(o, cfg), i, secrets);
}

void value_clear(const struct option *o, struct config *cfg)
{
	if (types[o->type].clear)
		types[o->type].clear(option_field(o, cfg));
	memset(option_field(o, cfg), 0, types[o->type].size);
}

void value_move(const struct option *o, struct config *to, struct config *from)
{
	memcpy(option_field(o, to), option_field(o, from), types[o->type].size);
	memset(option_field(o, from), 0, types[o->type].size);
}

bool value_equal(const struct option *o, const struct config *a, const struct config *b)
{
	size_t n = value_count(o, a);
	bool equal = n == value_count(o, b);

	for (size_t i = 0; equal && i < n; i++) {
		cleanup_free char *one = value_text(o, a, i, true);
		cleanup_free char *other = value_text(o, b, i, true);

		equal = one && other && strcmp(one, other) == 0;
	}
	return equal;
}
