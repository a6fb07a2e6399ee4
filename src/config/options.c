/*
 * One row per option. Parser and help read the table, so an option can't be known to one
 * and not to the other; a new option is a row, and a new kind of value a row of `types`.
 *
 * The grammar is the one clap users know: --long VALUE, --long=VALUE, -sVALUE, -s VALUE,
 * -s=VALUE, flags in one word (-vv). No abbreviations: a script must not change its meaning
 * when an option is added. A value that stands alone and looks like an option is refused,
 * because it nearly always is one whose value was forgotten.
 */
#include "config/options.h"

#include <stddef.h>
#include <string.h>

#include "base/netplan.h"
#include "base/util.h"

#define DRAIN_TIMEOUT_DEFAULT_MS 30000
#define SECONDS_MAX 1000000
/* What IPv6 needs (RFC 8200 5), and what a tap can be given, less a word. */
#define MTU_MIN 1280
#define MTU_MAX 65520

enum group {
	GROUP_NAMES,
	GROUP_NETWORK,
	GROUP_RUN,
	GROUP_MESSAGES,
	GROUP_INFO,
};

static const char *const group_titles[] = {
	[GROUP_NAMES] = "Names",      [GROUP_NETWORK] = "Network",
	[GROUP_RUN] = "The run",      [GROUP_MESSAGES] = "Messages",
	[GROUP_INFO] = "Information",
};

enum type {
	TYPE_TRUE,	/* bool, becomes true */
	TYPE_ADDRESS,	/* struct addr, and a bool that says it is set */
	TYPE_PATH,	/* char * */
	TYPE_SECONDS,	/* unsigned, in milliseconds */
	TYPE_MTU,	/* unsigned */
	TYPE_LOG_LEVEL, /* enum log_level */
	TYPE_QUIETER,	/* enum log_level */
	TYPE_LOUDER,	/* enum log_level, one step each time */
};

struct option {
	const char *name; /* long, without "--" */
	char letter;	  /* short, or 0 */
	enum type type;
	bool repeats;
	bool ends;	   /* nothing behind it counts */
	size_t offset;	   /* in struct config */
	size_t set_offset; /* of the bool of TYPE_ADDRESS */
	const char *value; /* its name in the help; NULL for flags */
	enum group group;
	const char *help; /* lines separated by \n */
};

#define AT(field) .offset = offsetof(struct config, field)

/* clang-format off */
static const struct option table[] = {
	{ "dns", 'd', TYPE_ADDRESS, AT(dns), .set_offset = offsetof(struct config, dns_set),
	  .value = "ADDR", .group = GROUP_NAMES,
	  .help = "ask this DNS server (IPv4 or IPv6 address) instead of the host's" },
	{ "hosts-file", 0, TYPE_PATH, AT(hosts_file),
	  .value = "FILE", .group = GROUP_NAMES,
	  .help = "names in FILE (as in /etc/hosts) have the addresses given there" },
	{ "mtu", 0, TYPE_MTU, AT(mtu),
	  .value = "BYTES", .group = GROUP_NETWORK,
	  .help = "largest packet on the command's interface (default 1500; more is\n"
		  "no faster)" },
	{ "drain-timeout", 0, TYPE_SECONDS, AT(drain_timeout_ms),
	  .value = "SECONDS", .group = GROUP_RUN,
	  .help = "after the command's end wait at most so long until everything\n"
		  "it has sent is delivered (default 30)" },
	{ "as-root", 0, TYPE_TRUE, AT(as_root), .group = GROUP_RUN,
	  .help = "the command is root inside: it may set up its network and send raw\n"
		  "packets, but reaches nothing more" },
	{ "log-level", 0, TYPE_LOG_LEVEL, AT(log_level),
	  .value = "LEVEL", .group = GROUP_MESSAGES,
	  .help = "quiet, error, warn, info or debug (default warn)" },
	{ "quiet", 'q', TYPE_QUIETER, AT(log_level), .group = GROUP_MESSAGES,
	  .help = "say nothing but why a run has failed" },
	{ "verbose", 'v', TYPE_LOUDER, .repeats = true, AT(log_level),
	  .group = GROUP_MESSAGES,
	  .help = "say more; -vv says most" },
	{ "help", 'h', TYPE_TRUE, .ends = true, AT(show_help), .group = GROUP_INFO,
	  .help = "print this text" },
	{ "version", 'V', TYPE_TRUE, .ends = true, AT(show_version), .group = GROUP_INFO,
	  .help = "print the version" },
};
/* clang-format on */

/* --- values --- */

/* Decimal seconds, cut to milliseconds: "0.5", "30", never "" or "1e3". */
static bool parse_seconds(const char *text, unsigned *out_ms)
{
	unsigned long ms = 0, scale = 1000;
	bool digits = false, point = false;

	for (; *text; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return false;
		digits = true;
		if (!point)
			ms = ms * 10 + (*text - '0') * 1000;
		else if (scale > 1)
			ms += (*text - '0') * (scale /= 10);
		if (ms > SECONDS_MAX * 1000UL)
			return false;
	}
	*out_ms = ms;
	return digits;
}

/* Decimal digits alone, within bounds. */
static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	unsigned long n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (*text - '0');
		if (n > max)
			return false;
	}
	*out = n;
	return n >= min;
}

static bool parse_level(const char *text, enum log_level *out)
{
	static const char *const names[] = {
		[LOG_LEVEL_QUIET] = "quiet", [LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARN] = "warn",   [LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* What a value of the type is, for the error sentence. */
static const char *const expectations[] = {
	[TYPE_ADDRESS] = "an IPv4 or IPv6 address without port or scope",
	[TYPE_PATH] = "the name of a file",
	[TYPE_SECONDS] = "a number of seconds, such as 30 or 0.5, up to 1000000",
	[TYPE_MTU] = "a number of bytes from 1280 to 65520",
	[TYPE_LOG_LEVEL] = "one of quiet, error, warn, info, debug",
};

/* Stores the value; text is NULL for flags. */
static bool store(struct config *cfg, const struct option *o, char *text)
{
	void *at = (char *)cfg + o->offset;
	enum log_level *level = at;

	switch (o->type) {
	case TYPE_TRUE:
		*(bool *)at = true;
		return true;
	case TYPE_ADDRESS:
		*(bool *)((char *)cfg + o->set_offset) = true;
		return addr_parse(text, at);
	case TYPE_PATH:
		*(char **)at = text;
		return *text;
	case TYPE_SECONDS:
		return parse_seconds(text, at);
	case TYPE_MTU:
		return parse_number(text, MTU_MIN, MTU_MAX, at);
	case TYPE_LOG_LEVEL:
		return parse_level(text, at);
	case TYPE_QUIETER:
		*level = LOG_LEVEL_QUIET;
		return true;
	case TYPE_LOUDER:
		*level = MIN(*level + 1, LOG_LEVEL_DEBUG);
		return true;
	}
	return false;
}

/* --- the command line --- */

struct parser {
	struct config *cfg;
	int argc, next;
	char **argv;
	bool seen[ARRAY_SIZE(table)];
	bool done;
	struct error *err;
};

/* Levenshtein's distance of two option names, for suggestions. */
static size_t distance(const char *a, size_t a_len, const char *b)
{
	size_t row[64], b_len = strlen(b);

	if (a_len >= ARRAY_SIZE(row) || b_len >= ARRAY_SIZE(row))
		return ARRAY_SIZE(row);
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

static int unknown_long(struct parser *p, const char *name, size_t len)
{
	const struct option *nearest = NULL;
	size_t best = len / 3 + 1;

	error_set(p->err, 0, "there is no option --%.*s", (int)MIN(len, 64), name);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		size_t d = distance(name, len, table[i].name);

		/* An abbreviation is far in letters but near in mind. */
		if (len >= 2 && strncmp(name, table[i].name, len) == 0)
			d = 0;
		if (d <= best && (!nearest || d < best)) {
			nearest = &table[i];
			best = d;
		}
	}
	if (nearest)
		return error_cure(p->err,
				  "Did you mean --%s? All options: childflow --help.",
				  nearest->name);
	return error_cure(p->err,
			  "All options: childflow --help. Options of the command stand "
			  "behind it: childflow -- COMMAND %.*s",
			  (int)MIN(len + 2, 66), name - 2);
}

static int missing_value(struct parser *p, const struct option *o)
{
	error_set(p->err, 0, "--%s needs a value", o->name);
	return error_cure(p->err, "Write --%s %s, where %s is %s.", o->name, o->value,
			  o->value, expectations[o->type]);
}

/* The value in the next word. */
static char *next_word(struct parser *p)
{
	char *word = p->next < p->argc ? p->argv[p->next] : NULL;

	if (!word || (word[0] == '-' && word[1]))
		return NULL;
	p->next++;
	return word;
}

/* `attached` is a value in the same word, or NULL. */
static int apply(struct parser *p, const struct option *o, char *attached)
{
	char *text = attached;

	if (p->seen[o - table] && !o->repeats) {
		error_set(p->err, 0, "--%s is given twice", o->name);
		return error_cure(p->err, "Leave one out.");
	}
	p->seen[o - table] = true;
	if (!o->value && attached) {
		error_set(p->err, 0, "--%s takes no value, but has '%.64s'", o->name,
			  attached);
		return error_cure(p->err, "Leave the value out.");
	}
	if (o->value && !text)
		text = next_word(p);
	if (o->value && !text)
		return missing_value(p, o);
	if (!store(p->cfg, o, text)) {
		error_set(p->err, 0, "--%s: '%.100s' is not %s", o->name, text,
			  expectations[o->type]);
		return error_cure(p->err, "Write --%s %s, or leave it out.", o->name,
				  o->value);
	}
	p->done = o->ends;
	return 0;
}

static int parse_long(struct parser *p, char *word)
{
	size_t len = strcspn(word, "=");
	char *attached = word[len] ? word + len + 1 : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strlen(table[i].name) == len &&
		    strncmp(table[i].name, word, len) == 0)
			return apply(p, &table[i], attached);
	}
	return unknown_long(p, word, len);
}

static const struct option *find_letter(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].letter == letter)
			return &table[i];
	}
	return NULL;
}

/* One word of letters: flags, of which the last may be an option with its value. */
static int parse_letters(struct parser *p, char *word)
{
	while (*word && !p->done) {
		const struct option *o = find_letter(*word);
		char *rest = word + 1;

		if (!o) {
			error_set(p->err, 0, "there is no option -%c", *word);
			return error_cure(p->err, "All options: childflow --help.");
		}
		if (o->value || *rest == '=')
			return apply(p, o, !*rest ? NULL : rest + (*rest == '='));
		if (apply(p, o, NULL) < 0)
			return -1;
		word = rest;
	}
	return 0;
}

int options_parse(struct config *cfg, int argc, char **argv, struct error *err)
{
	struct parser p = {
		.cfg = cfg, .argc = argc, .next = 1, .argv = argv, .err = err
	};

	while (p.next < argc && !p.done) {
		char *word = argv[p.next];
		int ret;

		if (word[0] != '-' || !word[1])
			break;
		p.next++;
		if (strcmp(word, "--") == 0)
			break;
		ret = word[1] == '-' ? parse_long(&p, word + 2) :
				       parse_letters(&p, word + 1);
		if (ret < 0)
			return -1;
	}
	if (p.done)
		return 0;
	if (p.next >= argc) {
		error_set(err, 0, "there is no command to run");
		return error_cure(err,
				  "Write childflow [OPTIONS] -- COMMAND [ARGUMENTS], or "
				  "childflow --help.");
	}
	cfg->command = argv + p.next;
	return 0;
}

void options_defaults(struct config *cfg)
{
	*cfg = (struct config){
		.mtu = NETPLAN_MTU,
		.drain_timeout_ms = DRAIN_TIMEOUT_DEFAULT_MS,
		.log_level = LOG_LEVEL_WARN,
	};
}

/* --- help --- */

#define HELP_COLUMN 32 /* where the texts begin */

static void help_row(FILE *out, const struct option *o)
{
	char head[64];
	int n;

	if (o->letter)
		n = snprintf(head, sizeof(head), "  -%c, --%s", o->letter, o->name);
	else
		n = snprintf(head, sizeof(head), "      --%s", o->name);
	if (o->value)
		n += snprintf(head + n, sizeof(head) - n, " %s", o->value);
	fprintf(out, "%-*s", HELP_COLUMN, head);
	for (const char *line = o->help; line;) {
		int len = strcspn(line, "\n");

		fprintf(out, "%*s%.*s\n", line == o->help ? 0 : HELP_COLUMN, "", len,
			line);
		line = line[len] ? line + len + 1 : NULL;
	}
}

void options_help(FILE *out)
{
	fputs("Usage: childflow [OPTIONS] [--] COMMAND [ARGUMENTS]\n\n"
	      "Runs COMMAND and all it starts in a network of its own. Every connection\n"
	      "goes through childflow, which needs no privileges for it.\n",
	      out);
	for (size_t g = 0; g < ARRAY_SIZE(group_titles); g++) {
		fprintf(out, "\n%s:\n", group_titles[g]);
		for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
			if (table[i].group == g)
				help_row(out, &table[i]);
		}
	}
	fputs("\nExamples:\n"
	      "  childflow -- curl https://example.org/\n"
	      "  childflow --dns 9.9.9.9 -- dig example.org\n"
	      "  childflow --hosts-file ./hosts -- ./run-tests --all\n"
	      "\nExit status: the command's own; 128+N when signal N ended it; 125 when\n"
	      "childflow failed, 126 when the command can't be executed, 127 when it is\n"
	      "not found.\n",
	      out);
}
