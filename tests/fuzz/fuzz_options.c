/*
 * The command line: words between NULs. What is understood is completed and dumped as a
 * profile, which must be read as the same settings; what is not must be explained. A word
 * that names a file to read ends the input: what files hold is another target's matter.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "config/check.h"
#include "config/cmdline.h"
#include "config/dump.h"
#include "config/load.h"
#include "config/options.h"
#include "config/value.h"
#include "fuzz.h"

#define WORDS_MAX 64

static void check_explained(const struct error *err)
{
	CHECK(err->text[0]);
	CHECK(memchr(err->text, '\0', sizeof(err->text)));
	CHECK(memchr(err->cure, '\0', sizeof(err->cure)));
}

/* Reads what a file in memory holds as a profile. */
static void check_again(const struct config *cfg, int fd)
{
	char path[64], name[] = "childflow", option[] = "--profile";
	char *argv[] = { name, option, path, NULL };
	struct config again = { 0 };
	struct error err;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(cmdline_parse(&again, 3, argv, &err) == 0);
	CHECK(config_load(&again, &err) == 0);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);

		/* A relative path is an absolute one in a dump. */
		if (o->key && o->type != TYPE_PATH)
			CHECK(value_equal(o, cfg, &again));
		else if (o->key)
			CHECK(value_count(o, cfg) == value_count(o, &again));
	}
	config_free(&again);
}

static void check_settings(struct config *cfg)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	struct error err = { 0 };

	CHECK(out);
	if (config_check(cfg, &err))
		check_explained(&err);
	if (config_check_available(cfg, &err))
		check_explained(&err);
	cfg->show_secrets = true;
	if (config_dump(cfg, out, &err) == 0) {
		CHECK(fflush(out) == 0);
		check_again(cfg, fd);
	} else {
		check_explained(&err);
	}
	fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "childflow", *argv[WORDS_MAX + 2] = { name };
	struct config cfg = { 0 };
	struct error err = { 0 };
	cleanup_free char *words = malloc(size + 1);
	int argc = 1;

	CHECK(words);
	memcpy(words, data, size);
	words[size] = '\0';
	for (size_t at = 0; at < size && argc <= WORDS_MAX;
	     at += strlen(words + at) + 1) {
		if (words[at] == '@' || strstr(words + at, "=@"))
			break;
		argv[argc++] = words + at;
	}
	cmdline_runs_nothing(argc, argv);
	if (cmdline_parse(&cfg, argc, argv, &err))
		check_explained(&err);
	else if (!cfg.profile && config_load(&cfg, &err) == 0)
		check_settings(&cfg);
	config_free(&cfg);
	return 0;
}
