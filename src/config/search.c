#include "config/search.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/suggest.h"

#define SUFFIX ".toml"
#define PLACES 3

/* The first beats the others. Fewer when the caller has no home. */
struct places {
	char *dirs[PLACES];
	size_t count;
};

static void add_place(struct places *p, const char *base, const char *rest)
{
	if (asprintf(&p->dirs[p->count], "%s%s", base, rest) >= 0)
		p->count++;
}

static struct places list_places(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct places p = { 0 };

	/* A relative one is to be ignored, says the XDG specification. */
	if (config && *config == '/')
		add_place(&p, config, "/childflow/profiles");
	else if (home && *home == '/')
		add_place(&p, home, "/.config/childflow/profiles");
	add_place(&p, "/etc", "/childflow/profiles");
	add_place(&p, PROFILES_DIR, "");
	return p;
}

static void free_places(struct places *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->dirs[i]);
}

static bool is_profile(const char *file)
{
	size_t len = strlen(file);

	return file[0] != '.' && len > strlen(SUFFIX) &&
	       strcmp(file + len - strlen(SUFFIX), SUFFIX) == 0;
}

static int select_profiles(const struct dirent *entry)
{
	return is_profile(entry->d_name);
}

/* The profiles of a directory, in order; one that isn't there has none. */
static int scan(const char *dir, struct dirent ***out)
{
	int n = scandir(dir, out, select_profiles, alphasort);

	return MAX(n, 0);
}

bool search_is_name(const char *profile)
{
	return *profile && !strpbrk(profile, "/.");
}

static char *not_found(const struct places *p, const char *name, struct error *err)
{
	char near[64] = "";
	struct suggestion s;

	suggest_init(&s, name, strlen(name));
	for (size_t i = 0; i < p->count; i++) {
		struct dirent **list = NULL;
		int n = scan(p->dirs[i], &list);

		for (int k = 0; k < n; k++) {
			list[k]->d_name[strlen(list[k]->d_name) - strlen(SUFFIX)] = '\0';
			suggest_offer(&s, list[k]->d_name);
			if (s.nearest == list[k]->d_name)
				snprintf(near, sizeof(near), "%s", s.nearest);
			if (s.nearest)
				s.nearest = near;
			free(list[k]);
		}
		free(list);
	}
	error_set(err, 0, "there is no profile '%.64s' in %s%s%s%s%s", name,
		  p->count > 0 ? p->dirs[0] : "", p->count > 1 ? ", " : "",
		  p->count > 1 ? p->dirs[1] : "", p->count > 2 ? " or " : "",
		  p->count > 2 ? p->dirs[2] : "");
	if (s.nearest)
		error_cure(err,
			   "Did you mean %s? All profiles: childflow --list-profiles.",
			   near);
	else
		error_cure(err,
			   "All profiles: childflow --list-profiles. A file in this "
			   "directory is ./%.64s",
			   name);
	return NULL;
}

char *search_profile(const char *name, struct error *err)
{
	struct places p = list_places();
	char *path = NULL;

	for (size_t i = 0; i < p.count && !path; i++) {
		if (asprintf(&path, "%s/%s" SUFFIX, p.dirs[i], name) < 0) {
			path = NULL;
			break;
		}
		/* One that is there but can't be read is an error, not a reason to go on. */
		if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
			free(path);
			path = NULL;
		}
	}
	if (!path)
		not_found(&p, name, err);
	free_places(&p);
	return path;
}

/* Is there a file of that name in a place before this one? */
static bool is_shadowed(const struct places *p, size_t place, const char *file)
{
	for (size_t i = 0; i < place; i++) {
		cleanup_free char *path = NULL;

		if (asprintf(&path, "%s/%s", p->dirs[i], file) < 0)
			path = NULL;
		if (path && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

int search_list(FILE *out, struct error *err)
{
	struct places p = list_places();

	for (size_t i = 0; i < p.count; i++) {
		struct dirent **list = NULL;
		int n = scan(p.dirs[i], &list);

		for (int k = 0; k < n; k++) {
			const char *file = list[k]->d_name;

			if (!is_shadowed(&p, i, file))
				fprintf(out, "%-20.*s %s/%s\n",
					(int)(strlen(file) - strlen(SUFFIX)), file,
					p.dirs[i], file);
			free(list[k]);
		}
		free(list);
	}
	free_places(&p);
	return ferror(out) ? error_set(err, errno, "list the profiles") : 0;
}
