#include "config/help.h"

#include <string.h>

#include "config/options.h"

#define HELP_WIDTH 98
#define HELP_COLUMN 34 /* where the texts begin */

/* Writes text word by word from the column on, where *at is where the line stands. */
static void write_words(FILE *out, const char *text, int *at)
{
	while (*(text += strspn(text, " "))) {
		int len = strcspn(text, " ");

		if (*at + 1 + len > HELP_WIDTH) {
			fprintf(out, "\n%*s", HELP_COLUMN, "");
			*at = HELP_COLUMN;
		}
		if (*at > HELP_COLUMN) {
			fputc(' ', out);
			++*at;
		}
		fprintf(out, "%.*s", len, text);
		*at += len;
		text += len;
	}
}

static void write_row(FILE *out, const struct option *o)
{
	char letter[] = { '-', o->letter, ',', ' ', '\0' };
	int at = fprintf(out, "  %s--%s%s%s", o->letter ? letter : "    ", o->name,
			 o->value ? " " : "", o->value ? o->value : "");

	/* Two spaces at least between a name and its text. */
	if (at > HELP_COLUMN - 2) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", HELP_COLUMN - at, "");
	at = HELP_COLUMN;
	write_words(out, o->help, &at);
	if (o->missing)
		write_words(out, "[not in this build]", &at);
	fputc('\n', out);
}

void help_write(FILE *out)
{
	fputs("Usage: childflow [OPTIONS] [--] COMMAND [ARGUMENTS]\n\n"
	      "Runs COMMAND and all it starts in a network of its own. Every connection\n"
	      "goes through childflow, which needs no privileges for it.\n",
	      out);
	for (unsigned g = 0; g < GROUP_COUNT; g++) {
		fprintf(out, "\n%s:\n", option_group_title(g));
		for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
			if (o->group == g && !o->hidden)
				write_row(out, o);
		}
	}
	fputs("\nA flag of a profile is taken back by --no-OPTION, as in --no-as-root. "
	      "Options\n"
	      "with rules may be repeated and take commas.\n"
	      "\nExamples:\n"
	      "  childflow -- curl https://example.org/\n"
	      "  childflow --dns 9.9.9.9 -- dig example.org\n"
	      "  childflow --hosts-file ./hosts -- ./run-tests --all\n"
	      "  childflow --profile ./ci.toml --drain-timeout 5 -- make check\n"
	      "  childflow --profile ./ci.toml --dump-profile --origins\n"
	      "\nExit status: the command's own; 128+N when signal N ended it; 125 when\n"
	      "childflow failed, 126 when the command can't be executed, 127 when it is\n"
	      "not found. What runs no command: 0; 1 when it failed; 2 when it was not\n"
	      "understood.\n",
	      out);
}
