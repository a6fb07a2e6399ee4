/*
 * The run is recorded, to its flow log or, when none is asked for, to memory, and read back as
 * a report would be. What is in memory is read while the command runs, and then freed: however
 * long that takes, there is no more of it than the tables of a report hold, and what the engine
 * writes in a moment. The profile is written beside its place and then moved there: a run that
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

#define MEANWHILE_MS 250

int learn_open(struct learn *l, const struct config *cfg, struct record *record,
	       struct error *err)
{
	l->fd = l->log = -1;
	l->record = record;
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

/* --- reading --- */

static int begin(struct learn *l, struct error *err)
{
	if (l->reader)
		return 0;
	l->log = readback_open(l->record, err);
	if (l->log < 0)
		return -1;
	if (tally_init_with_talks(&l->tally) == 0)
		l->reader = reader_new(&l->tally, false);
	if (!l->reader) {
		tally_free(&l->tally);
		return error_set(err, ENOMEM, "read the flow log back");
	}
	reader_only_run(l->reader, l->record->run_id);
	reader_begin(l->reader, "the flow log");
	return 0;
}

/* A part of it. 1: there may be more; 0; -1. */
static int read_some(struct learn *l)
{
	int ret;

	if (l->failed)
		return -1;
	ret = begin(l, &l->err);
	if (ret == 0)
		ret = reader_some(l->reader, l->log, 1, &l->err);
	if (ret >= 0)
		logfile_taken(&l->record->file, lseek(l->log, 0, SEEK_CUR));
	l->failed = ret < 0;
	return ret;
}

unsigned learn_meanwhile(void *learn)
{
	return read_some(learn) > 0 ? 0 : MEANWHILE_MS;
}

static int read_rest(struct learn *l, struct error *err)
{
	int ret;

	while ((ret = read_some(l)) > 0)
		;
	if (ret < 0) {
		*err = l->err;
		return -1;
	}
	ret = reader_end(l->reader, err);
	tally_finish(&l->tally);
	return ret;
}

/* --- writing --- */

static int write_profile(struct learn *l, const struct learned_run *run,
			 struct error *err)
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
	ret = learned_profile(&l->tally, run, out, err);
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

int learn_finish(struct learn *l, const struct config *cfg, int exit_code,
		 struct error *err)
{
	const struct record *record = l->record;
	const struct learned_run run = {
		.command = (const char *const *)cfg->command.list,
		.exit_code = exit_code,
		.version = PACKAGE_VERSION,
		.lost_records = record->open ? record->file.counters->lost_records : 0,
	};

	if (!l->path)
		return 0;
	if (read_rest(l, err) < 0 || write_profile(l, &run, err) < 0)
		return error_wrap(err, "--learn");
	return 0;
}

void learn_close(struct learn *l)
{
	if (l->reader)
		tally_free(&l->tally);
	reader_free(steal_ptr(&l->reader));
	cleanup_fd_fn(&l->log);
	cleanup_fd_fn(&l->fd);
	l->fd = l->log = -1;
	if (l->temporary)
		unlink(l->temporary);
	free(steal_ptr(&l->temporary));
}
