#include "config/load.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/options.h"
#include "config/path.h"
#include "config/search.h"
#include "config/suggest.h"
#include "config/toml.h"
#include "config/value.h"

#define CHAIN_MAX 32 /* profiles that extend each other */
#define SECRET_FILE_MAX 4096

/* --- one profile --- */

struct reading {
	struct config *cfg;
	const char *file; /* canonical */
	const char *dir;  /* that it stands in */
};

static const struct {
	enum value_form form;
	const char *name;
} kinds[] = {
	[TOML_STRING] = { FORM_STRING, "a string" },
	[TOML_BOOLEAN] = { FORM_BOOLEAN, "true or false" },
	[TOML_INTEGER] = { FORM_INTEGER, "an integer" },
	[TOML_ARRAY] = { FORM_ARRAY, "an array of strings" },
};

static int unknown_key(const char *key, struct error *err)
{
	struct suggestion s;

	error_set(err, 0, "unknown field `%.64s`", key);
	suggest_init(&s, key, strlen(key));
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (option_get(i)->key)
			suggest_offer(&s, option_get(i)->key);
	}
	if (s.nearest)
		return error_cure(err, "Did you mean %s?", s.nearest);
	return error_cure(err,
			  "Leave it out. childflow --help lists the options; a key is an "
			  "option's name with _ for -.");
}

static int wrong_kind(const struct option *o, enum toml_kind is, struct error *err)
{
	char expected[96] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (value_forms(o) & kinds[i].form)
			n += snprintf(expected + n, sizeof(expected) - n, "%s%s",
				      n ? " or " : "", kinds[i].name);
	}
	error_set(err, 0, "%s must be %s, not %s", o->key, expected, kinds[is].name);
	return error_cure(err, "Write %s = %s, or leave it out.", o->key,
			  value_forms(o) & FORM_BOOLEAN ? "true" :
			  value_forms(o) & FORM_INTEGER ? "NUMBER" :
			  value_forms(o) & FORM_STRING	? "\"TEXT\"" :
							  "[\"TEXT\", \"TEXT\"]");
}

static int read_text(struct reading *r, const struct option *o, const char *text,
		     struct error *err)
{
	const char *nearest = value_suggest(o, text);

	if (value_parse(o, r->cfg, text, r->dir, err) == 0)
		return 0;
	error_wrap(err, "%s", o->key);
	if (nearest)
		return error_cure(err, "Did you mean \"%s\"?", nearest);
	return error_cure(err, "Correct it, or leave %s out.", o->key);
}

static void wrong_item(const struct option *o, enum toml_kind is, struct error *err)
{
	error_set(err, 0, "%s must be an array of strings, not of %s", o->key,
		  is == TOML_INTEGER ? "integers" : "booleans");
	error_cure(err, "Put each element into quotes.");
}

static int read_items(struct reading *r, const struct option *o,
		      const struct toml_value *v, struct error *err)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct toml_value *item = &v->items[i];

		if (item->kind != TOML_STRING)
			wrong_item(o, item->kind, err);
		else if (read_text(r, o, item->text, err) == 0)
			continue;
		return item->line == v->line ? -1 :
					       error_wrap(err, "line %u, column %u",
							  item->line, item->column);
	}
	return 0;
}

static int on_entry(void *ctx, const char *key, const struct toml_value *v,
		    struct error *err)
{
	struct reading *r = ctx;
	const struct option *o = option_by_key(key);
	char number[24];

	if (!o)
		return unknown_key(key, err);
	if (!(value_forms(o) & kinds[v->kind].form))
		return wrong_kind(o, v->kind, err);
	r->cfg->from[option_id(o)] = (struct origin){ ORIGIN_PROFILE, strdup(r->file),
						      v->line, v->column };
	switch (v->kind) {
	case TOML_ARRAY:
		return read_items(r, o, v, err);
	case TOML_BOOLEAN:
		return read_text(r, o, v->boolean ? "true" : "false", err);
	case TOML_INTEGER:
		snprintf(number, sizeof(number), "%lld", (long long)v->integer);
		return read_text(r, o, number, err);
	case TOML_STRING:
		break;
	}
	return read_text(r, o, v->text, err);
}

/* cfg holds nothing. On failure it may hold something. */
static int read_profile(const char *file, struct config *cfg, struct error *err)
{
	size_t len;
	cleanup_free char *text = path_read(file, TOML_SIZE_MAX, &len, err);
	const char *slash = strrchr(file, '/');
	/* A pipe, which has no canonical name, has no directory either. */
	cleanup_free char *dir = slash ? strndup(file, MAX(slash - file, 1)) : NULL;
	struct reading r = { .cfg = cfg, .file = file, .dir = dir };
	int ret;

	if (!text)
		return -1;
	if (slash && !dir)
		return error_set(err, ENOMEM, "read %s", file);
	ret = toml_read(text, len, file, on_entry, &r, err);
	/* It may have held a password. */
	explicit_bzero(text, len);
	return ret;
}

/* --- the chain --- */

struct chain {
	char *files[CHAIN_MAX];
	size_t count;
};

static int cycle(const struct chain *c, size_t first, struct error *err)
{
	char text[384];
	size_t n = 0;

	for (size_t i = first; i < c->count && n < sizeof(text); i++)
		n += snprintf(text + n, sizeof(text) - n, "%s -> ", c->files[i]);
	error_set(err, 0, "profile inheritance cycle detected: %s%s", text,
		  c->files[first]);
	return error_cure(err, "Take one `extends` out.");
}

/* Puts the canonical name of a file at the chain's end. */
static int chain_add(struct chain *c, const char *path, struct error *err)
{
	char *file = realpath(path, NULL);

	/* A pipe, as of a shell's <(...), can be read but not named. */
	if (!file && errno == ENOENT && access(path, R_OK) == 0)
		file = strdup(path);
	if (!file)
		return error_set(err, errno, "open %s", path);
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->files[i], file) == 0) {
			free(file);
			return cycle(c, i, err);
		}
	}
	if (c->count == CHAIN_MAX) {
		free(file);
		return error_set(err, 0, "more than %d profiles extend each other",
				 CHAIN_MAX);
	}
	c->files[c->count++] = file;
	return 0;
}

/* Says who named the file that can't be added. */
static int not_added(const struct chain *c, const char *path, struct error *err)
{
	if (!c->count) {
		error_wrap(err, "--%s", option_get(OPTION_PROFILE)->name);
		return error_cure(err,
				  "Name a file, or one of childflow --list-profiles.");
	}
	error_wrap(err, "%s extends %s", c->files[c->count - 1], path);
	if (err->cure[0])
		return -1;
	return error_cure(err,
			  "Correct it: a path counts from the profile that names it.");
}

/* Fills cfg from one profile. *path becomes the one that it extends, or NULL. */
static int add_profile(struct config *cfg, struct chain *c, char **path,
		       struct error *err)
{
	struct config layer = { 0 };
	const char *file;

	if (chain_add(c, *path, err))
		return not_added(c, *path, err);
	file = c->files[c->count - 1];
	if (read_profile(file, &layer, err)) {
		config_free(&layer);
		return -1;
	}
	free(*path);
	*path = steal_ptr(&layer.extends);
	config_fill(cfg, &layer);
	return 0;
}

static int add_profiles(struct config *cfg, struct error *err)
{
	struct chain chain = { .count = 0 };
	char *path = search_is_name(cfg->profile) ? search_profile(cfg->profile, err) :
						    strdup(cfg->profile);
	int ret = path ? 0 : -1;

	while (ret == 0 && path)
		ret = add_profile(cfg, &chain, &path, err);
	free(path);
	for (size_t i = 0; i < chain.count; i++)
		free(chain.files[i]);
	return ret;
}

/* --- the layers --- */

static int add_environment(struct config *cfg, struct error *err)
{
	struct config layer = { 0 };

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);
		char *text = o->environment ? getenv(o->environment) : NULL;
		int ret;

		if (!text || !*text)
			continue;
		layer.from[i].kind = ORIGIN_ENVIRONMENT;
		ret = value_parse(o, &layer, text, NULL, err);
		/* /proc/PID/environ shows it, and the command would inherit it. */
		if (o->secret) {
			memset(text, '*', strlen(text));
			unsetenv(o->environment);
		}
		if (ret) {
			config_free(&layer);
			return error_wrap(err, "%s", o->environment);
		}
	}
	config_fill(cfg, &layer);
	return 0;
}

/* Is there a user whose password is missing? */
static bool wants_password(const struct config *cfg)
{
	bool user = cfg->proxy_user && cfg->proxies.count, password = false;

	for (size_t i = 0; i < cfg->proxies.count; i++) {
		user |= cfg->proxies.proxies[i].user != NULL;
		password |= cfg->proxies.proxies[i].password != NULL;
	}
	return user && !password;
}

static void set_by(struct config *cfg, enum option_id id, enum option_id by)
{
	free(cfg->from[id].file);
	cfg->from[id] = (struct origin){ .kind = ORIGIN_COMMAND_LINE, .by = by };
}

/* Other words for a setting become that setting, and what stands in the environment for
 * all runs counts only for those that it is meant for. */
static void settle(struct config *cfg)
{
	if (cfg->from[OPTION_PROXY_PASSWORD].kind == ORIGIN_ENVIRONMENT &&
	    !wants_password(cfg)) {
		value_clear(option_get(OPTION_PROXY_PASSWORD), cfg);
		cfg->from[OPTION_PROXY_PASSWORD].kind = ORIGIN_DEFAULT;
	}
	if (cfg->root) {
		cfg->backend = BACKEND_ROOTFUL;
		set_by(cfg, OPTION_BACKEND, OPTION_ROOT);
	}
	if (cfg->quiet)
		cfg->log_level = LOG_LEVEL_QUIET;
	cfg->log_level = MIN(cfg->log_level + cfg->verbose, (unsigned)LOG_LEVEL_DEBUG);
	if (cfg->quiet || cfg->verbose)
		set_by(cfg, OPTION_LOG_LEVEL,
		       cfg->verbose ? OPTION_VERBOSE : OPTION_QUIET);
}

int config_load(struct config *cfg, struct error *err)
{
	struct config defaults;

	if (add_environment(cfg, err))
		return -1;
	if (cfg->profile && add_profiles(cfg, err))
		return -1;
	config_defaults(&defaults);
	config_fill(cfg, &defaults);
	settle(cfg);
	return 0;
}

int config_load_secrets(struct config *cfg, struct error *err)
{
	const char *name = option_get(OPTION_PROXY_PASSWORD_FILE)->name;
	const char *path = cfg->proxy_password_file;
	cleanup_free char *text = NULL;
	size_t len;

	if (!path || cfg->proxy_password)
		return 0;
	text = path_read(path, SECRET_FILE_MAX, &len, err);
	if (!text) {
		error_wrap(err, "--%s", name);
		return error_cure(err, "Name a file that you can read.");
	}
	text[strcspn(text, "\r\n")] = '\0';
	if (!*text) {
		error_set(err, 0, "--%s: the first line of %s is empty", name, path);
		return error_cure(err, "Write the password into it.");
	}
	cfg->proxy_password = steal_ptr(&text);
	return 0;
}
