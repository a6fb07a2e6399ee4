#include "config/dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/options.h"
#include "config/path.h"
#include "config/toml.h"
#include "config/value.h"

struct dump {
	const struct config *cfg;
	FILE *out;
	const char *dir; /* the working directory */
	struct error *err;
};

static bool is_shown(const struct config *cfg, const struct config *defaults,
		     const struct option *o)
{
	bool asked = false;

	/* A profile of its own extends nothing: what it took over stands in it. */
	if (!o->key || o == option_get(OPTION_EXTENDS) || !value_count(o, cfg))
		return false;
	if (o->shown_by) {
		const struct option *by = option_get(o->shown_by);

		asked = value_count(by, cfg) && !value_equal(by, cfg, defaults);
	}
	return o->always || asked || !value_equal(o, cfg, defaults);
}

/* A comment can't hold line ends and other controls, nor can it hold what isn't UTF-8. */
static void put_comment(FILE *out, const char *text)
{
	cleanup_free char *scratch = NULL;
	size_t len;
	FILE *trial = open_memstream(&scratch, &len);
	bool utf8 = trial && toml_write_string(trial, text) == 0;

	if (trial)
		fclose(trial);
	for (; *text; text++) {
		unsigned char c = *text;

		fputc(c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : c, out);
	}
}

static void put_origin(struct dump *d, const struct option *o)
{
	const struct origin *from = &d->cfg->from[option_id(o)];

	if (!d->cfg->origins)
		return;
	fputs(" # ", d->out);
	switch (from->kind) {
	case ORIGIN_NONE:
	case ORIGIN_DEFAULT:
		fputs("default", d->out);
		break;
	case ORIGIN_PROFILE:
		put_comment(d->out, from->file ? from->file : "a profile");
		fprintf(d->out, ":%u", from->line);
		break;
	case ORIGIN_ENVIRONMENT:
		fputs(o->environment, d->out);
		break;
	case ORIGIN_COMMAND_LINE:
		if (from->by)
			o = option_get(from->by);
		fprintf(d->out, "%s%s", o->name ? "--" : "",
			o->name ? o->name : "command line");
		break;
	}
}

static bool is_integer(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static int put_text(struct dump *d, const struct option *o, size_t i)
{
	cleanup_free char *text = value_text(o, d->cfg, i, d->cfg->show_secrets);
	cleanup_free char *plain = NULL;
	unsigned forms = value_forms(o);

	/* On the command line, a path counts from here; in a profile, from the profile. */
	if (text && option_is_path(o)) {
		plain = steal_ptr(&text);
		text = path_from(d->dir, plain);
	}
	if (!text)
		return error_set(d->err, ENOMEM, "print the settings");
	if (forms & FORM_BOOLEAN || (forms & FORM_INTEGER && is_integer(text))) {
		fputs(text, d->out);
		return 0;
	}
	if (toml_write_string(d->out, text) == 0)
		return 0;
	error_set(d->err, 0, "%s: '%.100s' is not UTF-8, as a profile must be", o->key,
		  text);
	return error_cure(d->err, "Use another name, or leave it out.");
}

/* Is there a password that the printed text doesn't show? */
static bool hides_something(struct dump *d, const struct option *o)
{
	for (size_t i = 0; i < value_count(o, d->cfg); i++) {
		cleanup_free char *all = value_text(o, d->cfg, i, true);
		cleanup_free char *shown = value_text(o, d->cfg, i, d->cfg->show_secrets);

		if (!all || !shown || strcmp(all, shown) != 0)
			return true;
	}
	return false;
}

static void put_hint(struct dump *d)
{
	fprintf(d->out, "left out, --%s prints it",
		option_get(OPTION_SHOW_SECRETS)->name);
}

static int put_value(struct dump *d, const struct option *o)
{
	size_t n = value_count(o, d->cfg);
	bool array = value_forms(o) & FORM_ARRAY &&
		     !(value_forms(o) & FORM_STRING && n == 1);
	bool lines = array && n > 1;

	fprintf(d->out, "%s = %s", o->key, array ? "[" : "");
	if (lines)
		put_origin(d, o);
	for (size_t i = 0; i < n; i++) {
		fputs(lines ? "\n    " : "", d->out);
		if (put_text(d, o, i))
			return -1;
		fputs(lines ? "," : "", d->out);
	}
	fputs(lines ? "\n]" : array ? "]" : "", d->out);
	if (!lines)
		put_origin(d, o);
	if (hides_something(d, o)) {
		fputs(" # the password is ", d->out);
		put_hint(d);
	}
	fputc('\n', d->out);
	return 0;
}

int config_dump(const struct config *cfg, FILE *out, struct error *err)
{
	cleanup_free char *dir = get_current_dir_name();
	struct dump d = { cfg, out, dir, err };
	struct config defaults;

	if (!dir)
		return error_set(err, errno, "find the working directory");
	config_defaults(&defaults);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);

		if (!is_shown(cfg, &defaults, o))
			continue;
		if (o->secret && !cfg->show_secrets) {
			fprintf(out, "# %s is ", o->key);
			put_hint(&d);
			fputc('\n', out);
		} else if (put_value(&d, o)) {
			return -1;
		}
	}
	return ferror(out) ? error_set(err, errno, "print the settings") : 0;
}
