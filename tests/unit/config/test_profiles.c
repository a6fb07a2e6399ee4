/* The profiles that come with childflow are read, with keys and kinds that there are. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/toml.h"

static const struct {
	const char *key;
	enum toml_kind kind;
} keys[] = {
	{ "capture_point", TOML_STRING },      { "default_policy", TOML_STRING },
	{ "summary_format", TOML_STRING },     { "summary", TOML_BOOLEAN },
	{ "offline", TOML_BOOLEAN },	       { "block_private", TOML_BOOLEAN },
	{ "block_metadata", TOML_BOOLEAN },    { "proxy_only", TOML_BOOLEAN },
	{ "fail_on_leak", TOML_BOOLEAN },      { "allow_domains", TOML_ARRAY },
	{ "allow_domains_exact", TOML_ARRAY },
};

/* --- one profile --- */

struct profile {
	char text[8192];
	size_t len;
	char shown[8192]; /* key=value; */
};

static int take(void *ctx, const char *key, const struct toml_value *v, struct error *err)
{
	struct profile *p = ctx;
	size_t n = strlen(p->shown), i = 0;

	while (i < ARRAY_SIZE(keys) && strcmp(keys[i].key, key) != 0)
		i++;
	if (i == ARRAY_SIZE(keys) || keys[i].kind != v->kind)
		return error_set(err, 0, "%s is no such key", key);
	for (i = 0; i < v->count; i++) {
		if (v->items[i].kind != TOML_STRING || !v->items[i].text[0])
			return error_set(err, 0, "%s has an element that is no text",
					 key);
	}
	snprintf(p->shown + n, sizeof(p->shown) - n, "%s=%s;", key,
		 v->kind == TOML_STRING	 ? v->text :
		 v->kind == TOML_BOOLEAN ? (v->boolean ? "true" : "false") :
					   v->items[0].text);
	return 0;
}

static void read_profile(const char *name, struct profile *p)
{
	const char *top = getenv("TOP_SRCDIR");
	struct error err;
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/profiles/%s.toml", top ? top : ".", name);
	file = fopen(path, "re");
	if (!file)
		fail_msg("%s is not there", path);
	*p = (struct profile){ .len = 0 };
	p->len = fread(p->text, 1, sizeof(p->text), file);
	fclose(file);
	assert_true(p->len < sizeof(p->text));
	if (toml_read(p->text, p->len, path, take, p, &err) < 0)
		fail_msg("%s", err.text);
}

static void expect(const char *name, const char *shown)
{
	struct profile p;

	read_profile(name, &p);
	assert_string_equal(p.shown, shown);
	/* It says what it is for, and what it is not. */
	assert_int_equal(p.text[0], '#');
	assert_non_null(memmem(p.text, p.len, "# What it doesn't do:", 21));
}

/* --- tests --- */

/* Of arrays, the first element. */
static const struct {
	const char *name, *shown;
} profiles[] = {
	{ "offline", "offline=true;" },
	{ "default-deny", "default_policy=deny;block_metadata=true;" },
	{ "no-private", "block_private=true;block_metadata=true;" },
	{ "ci-audit", "default_policy=allow;summary=true;summary_format=text;"
		      "fail_on_leak=false;" },
	{ "proxy-only", "proxy_only=true;fail_on_leak=true;" },
	{ "capture-all", "capture_point=both;summary=true;" },
	{ "ai-agent", "default_policy=deny;block_private=true;block_metadata=true;"
		      "summary=true;allow_domains_exact=api.anthropic.com:443;"
		      "allow_domains=githubusercontent.com:443;" },
	{ "git-over-ssh", "default_policy=deny;block_private=true;block_metadata=true;"
			  "allow_domains_exact=github.com:22;" },
};

static void test_each(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		expect(profiles[i].name, profiles[i].shown);
}

static int is_profile(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".toml") == 0;
}

static void test_no_others(void **state)
{
	const char *top = getenv("TOP_SRCDIR");
	struct dirent **found;
	char path[4096];
	int n;

	snprintf(path, sizeof(path), "%s/profiles", top ? top : ".");
	n = scandir(path, &found, is_profile, alphasort);
	assert_int_equal(n, ARRAY_SIZE(profiles));
	while (n--)
		free(found[n]);
	free(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
