/* Settings of a command line, for tests of what is made of them. */
#ifndef TESTS_UNIT_CONFIG_SETTINGS_H
#define TESTS_UNIT_CONFIG_SETTINGS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/cmdline.h"
#include "config/load.h"

#define SETTINGS_WORDS_MAX 16

/* The words behind the program's name, NULL at the end; all layers below them, too. */
static inline int settings_of(struct config *cfg, const char *const *words,
			      struct error *err)
{
	char *argv[SETTINGS_WORDS_MAX + 2] = { strdup("childflow") };
	int argc = 1, ret;

	for (; words[argc - 1]; argc++)
		argv[argc] = strdup(words[argc - 1]);
	*cfg = (struct config){ 0 };
	ret = cmdline_parse(cfg, argc, argv, err);
	if (ret == 0)
		ret = config_load(cfg, err);
	while (argc--)
		free(argv[argc]);
	return ret;
}

#define SETTINGS(cfg, err, ...) \
	settings_of(cfg, (const char *const[]){ __VA_ARGS__, NULL }, err)

/* --- files of a test --- */

static char settings_dir[64];

static inline int settings_make_dir(void **state)
{
	(void)state;
	strcpy(settings_dir, "/tmp/childflow-test.XXXXXX");
	return mkdtemp(settings_dir) ? 0 : -1;
}

static inline int settings_remove_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", settings_dir);
	return system(command);
}

/* A path in the directory; valid until the eighth call from here. */
static inline const char *settings_path(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", settings_dir, name);
	return path;
}

static inline const char *settings_write(const char *name, const char *text)
{
	const char *path = settings_path(name);
	FILE *out = fopen(path, "we");

	if (!out || fputs(text, out) == EOF || fclose(out) == EOF)
		abort();
	return path;
}

#endif
