/*
 * The run is recorded, to its flow log or, when none is asked for, to memory, and read back as
 * a report would be. The profile is written beside its place and then moved there: a run that
 * fails leaves an older one alone, and that there is no room for it is known before the run.
 */
#include "cmd/learn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/util.h"
#include "cmd/learned.h"
#include "cmd/readback.h"

int learn_open(struct learn *l, const struct config *cfg, const struct record *record,
	       struct error *err)
{
	l->fd = -1;
	if (!cfg->learn)
		return 0;
	if (!readback_can(record)) {
		error_set(err, 0, "--learn: the flow log can't be read back");
		return error_cure(err, "Leave --flow-log out, or name a regular file.");
	}
	if (asprintf(&l->temporary, "%s.XXXXXX", cfg->learn) < 0) {
		l->temporary = NULL;
		return error_set(err, ENOMEM, "--learn");
	}
	l->fd = mkostemp(l->temporary, O_CLOEXEC);
	if (l->fd < 0) {
		error_set(err, errno, "make %s", l->temporary);
		free(steal_ptr(&l->temporary));
		return error_wrap(err, "--learn");
	}
	l->path = cfg->learn;
	return 0;
}

static int write_profile(struct learn *l, const struct tally *tally,
			 const struct learned_run *run, struct error *err)
{
	mode_t mask = umask(0);
	FILE *out;
	int ret;

	umask(mask);
	fchmod(l->fd, 0666 & ~mask);
	out = fdopen(l->fd, "w");
	if (!out)
		return error_set(err, errno, "write %s", l->path);
	l->fd = -1;
	ret = learned_profile(tally, run, out, err);
	if (fflush(out) == EOF && ret == 0)
		ret = error_set(err, errno, "write %s", l->path);
	if (fclose(out) == EOF && ret == 0)
		ret = error_set(err, errno, "write %s", l->path);
	if (ret == 0 && rename(l->temporary, l->path) < 0)
		ret = error_set(err, errno, "make %s", l->path);
	if (ret == 0)
		free(steal_ptr(&l->temporary));
	return ret;
}

int learn_finish(struct learn *l, const struct config *cfg, const struct record *record,
		 int exit_code, struct error *err)
{
	const struct learned_run run = {
		.command = (const char *const *)cfg->command.list,
		.exit_code = exit_code,
		.version = PACKAGE_VERSION,
		.lost_records = record->open ? record->file.counters->lost_records : 0,
	};
	struct tally tally;
	int ret;

	if (!l->path)
		return 0;
	if (tally_init_with_talks(&tally))
		return error_set(err, ENOMEM, "--learn");
	ret = readback(record, &tally, err);
	if (ret == 0)
		ret = write_profile(l, &tally, &run, err);
	tally_free(&tally);
	return ret ? error_wrap(err, "--learn") : 0;
}

void learn_close(struct learn *l)
{
	cleanup_fd_fn(&l->fd);
	l->fd = -1;
	if (l->temporary)
		unlink(l->temporary);
	free(steal_ptr(&l->temporary));
}
