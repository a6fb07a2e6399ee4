/*
 * The grammar is the one clap users know: --long VALUE, --long=VALUE, -sVALUE, -s VALUE,
 * -s=VALUE, flags in one word (-vv). No abbreviations: a script must not change its meaning
 * when an option is added. A value that stands alone and looks like an option is refused,
 * because it nearly always is one whose value was forgotten.
 */
#include "config/cmdline.h"

#include <string.h>

#include "base/util.h"
#include "config/options.h"
#include "config/proxyurl.h"
#include "config/route.h"
#include "config/suggest.h"
#include "config/value.h"

struct parser {
	struct config *cfg;
	int argc, next;
	char **argv;
	const struct option *files; /* the option that takes the positionals, or NULL */
	bool done;
	struct error *err;
};

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

/* --- errors --- */

static int unknown_long(struct parser *p, const char *name, size_t len)
{
	bool no = strncmp(name, "no-", 3) == 0;
	struct suggestion s, negated;

	error_set(p->err, 0, "there is no option --%.*s", (int)MIN(len, 64), name);
	suggest_init(&s, name, len);
	suggest_init(&negated, name + 3 * no, len - 3 * no);
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		suggest_offer(&s, o->name);
		if (no && option_is_negatable(o))
			suggest_offer(&negated, o->name);
	}
	if (negated.nearest)
		return error_cure(p->err,
				  "Did you mean --no-%s? All options: childflow --help.",
				  negated.nearest);
	if (s.nearest)
		return error_cure(p->err,
				  "Did you mean --%s? All options: childflow --help.",
				  s.nearest);
	return error_cure(p->err,
			  "All options: childflow --help. Options of the command stand "
			  "behind it: childflow -- COMMAND %.*s",
			  (int)MIN(len + 2, 66), name - 2);
}

static int missing_value(struct parser *p, const struct option *o)
{
	char buffer[128];

	error_set(p->err, 0, "--%s needs a value", o->name);
	return error_cure(p->err, "Write --%s %s, where %s is %s.", o->name, o->value,
			  o->value, value_expectation(o, buffer));
}

static int bad_value(struct parser *p, const struct option *o, const char *text)
{
	const char *nearest = value_suggest(o, text);

	error_wrap(p->err, "--%s", o->name);
	if (nearest)
		return error_cure(p->err, "Did you mean --%s %s?", o->name, nearest);
	return error_cure(p->err, "Write --%s %s, or leave it out.", o->name, o->value);
}

/* --- options --- */

/* The value in the next word. */
static char *next_word(struct parser *p)
{
	char *word = p->next < p->argc ? p->argv[p->next] : NULL;

	if (!word || is_option(word))
		return NULL;
	p->next++;
	return word;
}

/* What others can read in /proc/PID/cmdline. */
static void wipe(const struct option *o, char *text)
{
	size_t len = strlen(text);
	char *secret = o->secret ? text : NULL;

	if (o->type == TYPE_PROXIES)
		secret = proxyurl_find_password(text, &len);
	if (o->type == TYPE_ROUTES)
		secret = route_find_password(text, &len);
	if (secret)
		memset(secret, '*', len);
}

static int store(struct parser *p, const struct option *o, const char *text)
{
	p->cfg->from[option_id(o)].kind = ORIGIN_COMMAND_LINE;
	return value_parse(o, p->cfg, text, NULL, p->err);
}

/* `attached` is a value in the same word, or NULL. */
static int apply(struct parser *p, const struct option *o, bool negated, char *attached)
{
	bool flag = option_is_flag(o);
	char *text = attached;

	if (p->cfg->from[option_id(o)].kind != ORIGIN_NONE && !option_is_list(o)) {
		error_set(p->err, 0, "--%s is given twice", o->name);
		return error_cure(p->err, "Leave one out.");
	}
	if (flag && attached) {
		error_set(p->err, 0, "--%s takes no value, but has '%.64s'", o->name,
			  attached);
		return error_cure(p->err, "Leave the value out.");
	}
	p->done = o->ends;
	if (flag)
		return store(p, o, negated ? "false" : "true");
	if (!text)
		text = next_word(p);
	if (!text)
		return missing_value(p, o);
	if (store(p, o, text))
		return bad_value(p, o, text);
	wipe(o, text);
	if (o->type == TYPE_FILES)
		p->files = o;
	return 0;
}

/* The option that --NAME means, with "no-" before it or not. */
static const struct option *find_long(const char *name, size_t len, bool *negated)
{
	const struct option *o = option_by_name(name, len);

	*negated = false;
	if (o || len < 3 || strncmp(name, "no-", 3) != 0)
		return o;
	*negated = true;
	o = option_by_name(name + 3, len - 3);
	return o && option_is_negatable(o) ? o : NULL;
}

static int parse_long(struct parser *p, char *word)
{
	size_t len = strcspn(word, "=");
	bool negated;
	const struct option *o = find_long(word, len, &negated);

	if (!o)
		return unknown_long(p, word, len);
	return apply(p, o, negated, word[len] ? word + len + 1 : NULL);
}

/* One word of letters: flags, of which the last may be an option with its value. */
static int parse_letters(struct parser *p, char *word)
{
	while (*word && !p->done) {
		const struct option *o = option_by_letter(*word);
		char *rest = word + 1;

		if (!o) {
			error_set(p->err, 0, "there is no option -%c", *word);
			return error_cure(p->err, "All options: childflow --help.");
		}
		if (!option_is_flag(o) || *rest == '=')
			return apply(p, o, false, !*rest ? NULL : rest + (*rest == '='));
		if (apply(p, o, false, NULL) < 0)
			return -1;
		word = rest;
	}
	return 0;
}

/* --- the line --- */

static int take_command(struct parser *p)
{
	const struct option *command = option_get(OPTION_COMMAND);

	for (; p->next < p->argc; p->next++) {
		if (store(p, command, p->argv[p->next]))
			return -1;
	}
	return 0;
}

/* Behind "--" no option is meant, and a verb that reads files has had its files. */
static int take_rest(struct parser *p)
{
	if (!p->files || p->next >= p->argc)
		return take_command(p);
	error_set(p->err, 0, "--%s runs no command, such as '%.100s'", p->files->name,
		  p->argv[p->next]);
	return error_cure(p->err, "Leave out -- and what is behind it.");
}

int cmdline_parse(struct config *cfg, int argc, char **argv, struct error *err)
{
	struct parser p = {
		.cfg = cfg, .argc = argc, .next = 1, .argv = argv, .err = err
	};
	int ret = 0;

	while (ret == 0 && p.next < argc && !p.done) {
		char *word = argv[p.next];

		if (!is_option(word)) {
			if (!p.files)
				return take_command(&p);
			p.next++;
			ret = store(&p, p.files, word) ? bad_value(&p, p.files, word) : 0;
			continue;
		}
		p.next++;
		if (strcmp(word, "--") == 0)
			return take_rest(&p);
		ret = word[1] == '-' ? parse_long(&p, word + 2) :
				       parse_letters(&p, word + 1);
	}
	return ret;
}

/* Does the word say what runs nothing? *takes: its value is the next word. */
static bool word_runs_nothing(const char *word, bool *takes)
{
	const struct option *o = NULL;
	bool negated;

	*takes = false;
	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");

		o = find_long(word + 2, len, &negated);
		*takes = o && !option_is_flag(o) && !word[2 + len];
		return o && o->instead;
	}
	while (*++word) {
		o = option_by_letter(*word);
		if (!o || o->instead)
			break;
		if (!option_is_flag(o)) {
			*takes = !word[1];
			return false;
		}
	}
	return o && o->instead;
}

bool cmdline_runs_nothing(int argc, char **argv)
{
	for (int i = 1; i < argc && is_option(argv[i]) && strcmp(argv[i], "--") != 0;
	     i++) {
		bool takes;

		if (word_runs_nothing(argv[i], &takes))
			return true;
		if (takes && i + 1 < argc && !is_option(argv[i + 1]))
			i++;
	}
	return false;
}
