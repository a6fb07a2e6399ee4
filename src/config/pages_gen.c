/*
 * Fills in the man pages and the completions. Runs when childflow is built: copies a template
 * from stdin to stdout, in which a word like @MAN_OPTIONS@ becomes what the option table has to
 * say there.
 *
 * Prose and shell code stand in the templates, where tools for them can read them; here is
 * only what follows from a row. So an option that is new or gone is so in all pages.
 *
 * Completions offer what this build does. Options that it refuses, and hidden ones, are known
 * to them nevertheless: their values must not be taken for the command.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/options.h"
#include "config/value.h"

static bool is_offered(const struct option *o)
{
	return !o->hidden && !o->missing;
}

/* Calls write with each option that has a name; `offered` leaves out what is not. */
static void each_option(void (*write)(const struct option *o), bool offered)
{
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		if (!offered || is_offered(o))
			write(o);
	}
}

/* Text in which each character of `special` has a backslash before it. */
static void write_escaped(const char *text, const char *special)
{
	for (; *text; text++) {
		if (strchr(special, *text))
			putchar('\\');
		putchar(*text);
	}
}

/* --- lists of words, for all shells --- */

static void write_long(const struct option *o)
{
	printf(" --%s", o->name);
}

static void write_short(const struct option *o)
{
	if (o->letter)
		printf(" -%c", o->letter);
}

static void write_negation(const struct option *o)
{
	if (option_is_negatable(o))
		printf(" --no-%s", o->name);
}

static void write_with_value(const struct option *o)
{
	if (!option_is_flag(o))
		printf(" --%s", o->name);
}

static void write_with_files(const struct option *o)
{
	if (o->type == TYPE_FILES)
		printf(" --%s", o->name);
}

static void write_value_letter(const struct option *o)
{
	if (o->letter && !option_is_flag(o))
		putchar(o->letter);
}

static void write_flag_letter(const struct option *o)
{
	if (o->letter && option_is_flag(o))
		putchar(o->letter);
}

static void write_long_options(void)
{
	each_option(write_long, true);
}

static void write_short_options(void)
{
	each_option(write_short, true);
}

static void write_negations(void)
{
	each_option(write_negation, true);
}

static void write_options_with_value(void)
{
	each_option(write_with_value, false);
}

static void write_options_with_files(void)
{
	each_option(write_with_files, false);
}

static void write_value_letters(void)
{
	each_option(write_value_letter, false);
}

static void write_flag_letters(void)
{
	each_option(write_flag_letter, false);
}

static void write_choices(const struct option *o)
{
	for (size_t i = 0; o->choices[i]; i++)
		printf("%s%s", i ? " " : "", o->choices[i]);
}

/* --- bash --- */

static void write_bash_value(const struct option *o)
{
	const char *kind = o->type == TYPE_PROFILE   ? "profile" :
			   o->type == TYPE_INTERFACE ? "interface" :
			   o->choices		     ? "choice" :
			   option_is_path(o)	     ? "file" :
						       NULL;

	if (!kind)
		return;
	putchar('\t');
	if (o->letter)
		printf("-%c | ", o->letter);
	printf("--%s) value='%s'", o->name, kind);
	if (o->choices) {
		fputs(" choices=\"", stdout);
		write_choices(o);
		putchar('"');
	}
	puts(" ;;");
}

static void write_bash_values(void)
{
	each_option(write_bash_value, false);
}

/* --- zsh --- */

/* The text of an option's [explanation], inside single quotes. */
static void write_zsh_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			printf("%s%c", strchr("[]\\", *text) ? "\\" : "", *text);
	}
}

static void write_zsh_value(const struct option *o)
{
	printf(":%s:", o->value);
	if (o->choices) {
		putchar('(');
		write_choices(o);
		putchar(')');
	} else {
		fputs(o->type == TYPE_PROFILE	? "_childflow_profiles" :
		      o->type == TYPE_INTERFACE ? "_net_interfaces" :
		      option_is_path(o)		? "_files" :
						  " ",
		      stdout);
	}
}

/* One word for _arguments: '(-d --dns)'{-d+,--dns=}'[explanation]:ADDR: '. */
static void write_zsh_option(const struct option *o)
{
	bool flag = option_is_flag(o);

	printf("\t\t'%s", is_offered(o) ? "" : "!");
	if (o->ends)
		fputs("(- *)", stdout);
	else if (option_is_list(o))
		putchar('*');
	else if (o->letter)
		printf("(-%c --%s)", o->letter, o->name);
	if (o->letter)
		printf("'{-%c%s,--%s%s}'", o->letter, flag ? "" : "+", o->name,
		       flag ? "" : "=");
	else
		printf("--%s%s", o->name, flag ? "" : "=");
	putchar('[');
	write_zsh_text(o->help);
	putchar(']');
	if (!flag)
		write_zsh_value(o);
	puts("'");
}

static void write_zsh_options(void)
{
	each_option(write_zsh_option, false);
}

/* --- fish --- */

static void write_fish_text(const char *text)
{
	putchar('\'');
	write_escaped(text, "'\\");
	putchar('\'');
}

static void write_fish_value(const struct option *o)
{
	if (o->choices) {
		fputs(" -x -a '", stdout);
		write_choices(o);
		putchar('\'');
	} else {
		fputs(o->type == TYPE_PROFILE	? " -r -F -a '(__childflow_profiles)'" :
		      o->type == TYPE_INTERFACE ? " -x -a '(__fish_print_interfaces)'" :
		      option_is_path(o)		? " -r -F" :
						  " -x",
		      stdout);
	}
}

static void write_fish_option(const struct option *o)
{
	fputs("complete -c childflow -n 'not __childflow_begun'", stdout);
	if (o->letter)
		printf(" -s %c", o->letter);
	printf(" -l %s", o->name);
	if (!option_is_flag(o))
		write_fish_value(o);
	fputs(" -d ", stdout);
	write_fish_text(o->help);
	putchar('\n');
}

static void write_fish_negation(const struct option *o)
{
	if (option_is_negatable(o))
		printf("complete -c childflow -n __childflow_negates -l no-%s"
		       " -d 'take --%s back'\n",
		       o->name, o->name);
}

static void write_fish_options(void)
{
	each_option(write_fish_option, true);
	each_option(write_fish_negation, true);
}

/* --- man pages: mdoc --- */

/* Text or an argument; a hyphen is one that can be copied into a shell. */
static void write_man_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else
			printf("%s%c", *text == '-' ? "\\" : "", *text);
	}
}

/* A sentence from the fragment that a row has. */
static void write_man_sentence(const struct option *o)
{
	bool literal = false;

	/* A choice is spelt as it is. */
	for (size_t i = 0; o->choices && o->choices[i]; i++)
		literal |= strncmp(o->help, o->choices[i], strlen(o->choices[i])) == 0;
	putchar(literal ? *o->help : toupper((unsigned char)*o->help));
	write_man_text(o->help + 1);
	puts(".");
	if (o->missing) {
		puts(".Em Not available in this build :");
		write_man_text(o->missing);
		puts(".");
	}
}

/* A line "text .Macro argument ." as two. */
static void write_man_mention(const char *text, const char *macro, const char *argument)
{
	printf("%s\n.%s ", text, macro);
	write_man_text(argument);
	puts(" .");
}

static void write_man_name(const char *text, const char *prefix, const struct option *o)
{
	printf("%s\n.Fl ", text);
	write_man_text(prefix);
	write_man_text(o->name);
	puts(" .");
}

static void write_man_option(const struct option *o)
{
	fputs(".It ", stdout);
	if (o->letter)
		printf("Fl %c , ", o->letter);
	fputs("Fl \\-", stdout);
	write_man_text(o->name);
	if (o->value)
		printf(" Ar %s", o->value);
	putchar('\n');
	write_man_sentence(o);
	if (option_is_negatable(o))
		write_man_name("Taken back by", "-no-", o);
	if (option_is_list(o))
		puts("May be repeated.");
	if (o->environment)
		write_man_mention("In the environment:", "Ev", o->environment);
	if (o->key)
		write_man_mention("In a profile:", "Va", o->key);
}

static void write_man_options(void)
{
	for (unsigned g = 0; g < GROUP_COUNT; g++) {
		printf(".Ss %s\n.Bl -tag -width 4n\n", option_group_title(g));
		for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
			if (o->group == g && !o->hidden)
				write_man_option(o);
		}
		puts(".El");
	}
}

static void write_man_environment(void)
{
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		if (!o->environment)
			continue;
		printf(".It Ev %s\n", o->environment);
		write_man_name("Says the same as", "-", o);
		if (o->missing)
			puts(".Em Not available in this build .");
	}
}

static void write_man_forms(const struct option *o)
{
	static const struct {
		enum value_form form;
		const char *name;
	} forms[] = {
		{ FORM_STRING, "string" },
		{ FORM_BOOLEAN, "boolean" },
		{ FORM_INTEGER, "integer" },
		{ FORM_ARRAY, "array of strings" },
	};
	const char *before = "";

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!(value_forms(o) & forms[i].form))
			continue;
		printf("%s%s", before, forms[i].name);
		before = " or ";
	}
}

static void write_man_key(const struct option *o)
{
	char buffer[128];

	printf(".It Va %s Pq ", o->key);
	write_man_forms(o);
	putchar('\n');
	write_man_sentence(o);
	if (!option_is_flag(o)) {
		fputs(value_forms(o) & FORM_ARRAY ? "Each is " : "It is ", stdout);
		write_man_text(value_expectation(o, buffer));
		puts(".");
	}
	if (o->name && !o->hidden)
		write_man_name("On the command line:", "-", o);
}

static void write_man_keys(void)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (option_get(i)->key)
			write_man_key(option_get(i));
	}
}

static void write_version(void)
{
	fputs(PACKAGE_VERSION, stdout);
}

static void write_profiles_dir(void)
{
	fputs(PROFILES_DIR, stdout);
}

static void write_schema_dir(void)
{
	fputs(SCHEMA_DIR, stdout);
}

/* --- the template --- */

static const struct part {
	const char *name;
	void (*write)(void);
} parts[] = {
	{ "VERSION", write_version },
	{ "PROFILES_DIR", write_profiles_dir },
	{ "SCHEMA_DIR", write_schema_dir },
	{ "LONG_OPTIONS", write_long_options },
	{ "SHORT_OPTIONS", write_short_options },
	{ "NEGATIONS", write_negations },
	{ "OPTIONS_WITH_VALUE", write_options_with_value },
	{ "OPTIONS_WITH_FILES", write_options_with_files },
	{ "VALUE_LETTERS", write_value_letters },
	{ "FLAG_LETTERS", write_flag_letters },
	{ "BASH_VALUES", write_bash_values },
	{ "ZSH_OPTIONS", write_zsh_options },
	{ "FISH_OPTIONS", write_fish_options },
	{ "MAN_OPTIONS", write_man_options },
	{ "MAN_ENVIRONMENT", write_man_environment },
	{ "MAN_KEYS", write_man_keys },
};

static const struct part *find_part(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strlen(parts[i].name) == len && memcmp(parts[i].name, name, len) == 0)
			return &parts[i];
	}
	fprintf(stderr, "pages_gen: there is no @%.*s@\n", (int)len, name);
	exit(EXIT_FAILURE);
}

static void fill_in(const char *line)
{
	for (const char *at; (at = strchr(line, '@')); line = at) {
		size_t len = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

		fwrite(line, 1, at - line, stdout);
		if (len == 0 || at[len + 1] != '@') {
			putchar(*at++);
			continue;
		}
		find_part(at + 1, len)->write();
		at += len + 2;
		/* Parts of whole lines bring their ends themselves. */
		if (strcmp(at, "\n") == 0 && at - line == (ptrdiff_t)len + 2)
			at++;
	}
	fputs(line, stdout);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) >= 0)
		fill_in(line);
	free(line);
	return ferror(stdin) || fflush(stdout) == EOF ? EXIT_FAILURE : EXIT_SUCCESS;
}
