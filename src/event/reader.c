#include "event/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/util.h"

#define PROGRESS_FIRST_MS 1000
#define PROGRESS_MS 200

struct reader {
	struct tally *tally;
	struct entry_reader *records;
	const char *name, *only_run;
	uint64_t line; /* the last one read */
	bool progress, told;
	uint64_t started_ms, told_ms;
	uint64_t done, size; /* bytes; size 0: not known */
	size_t have;	     /* of a line without an end yet, in: */
	char buf[READER_LINE_MAX + 1];
};

struct reader *reader_new(struct tally *tally, bool progress)
{
	struct reader *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	r->tally = tally;
	r->progress = progress;
	r->told = false;
	r->only_run = NULL;
	r->records = entry_reader_new();
	if (r->records)
		return r;
	free(r);
	return NULL;
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	entry_reader_free(r->records);
	free(r);
}

void reader_only_run(struct reader *r, const char *run_id)
{
	r->only_run = run_id;
}

static void tell_progress(struct reader *r)
{
	const char *slash = strrchr(r->name, '/'), *name = slash ? slash + 1 : r->name;
	uint64_t now;

	if (!r->progress)
		return;
	now = clock_now_ms();
	if (now - r->started_ms < PROGRESS_FIRST_MS || now - r->told_ms < PROGRESS_MS)
		return;
	r->told_ms = now;
	r->told = true;
	if (r->size)
		dprintf(STDERR_FILENO, "\r\033[Kchildflow: %.60s: %llu %% of %llu MB",
			name, (unsigned long long)(r->done * 100 / r->size),
			(unsigned long long)(r->size / 1000000));
	else
		dprintf(STDERR_FILENO, "\r\033[Kchildflow: %.60s: %llu MB", name,
			(unsigned long long)(r->done / 1000000));
}

static void end_progress(struct reader *r)
{
	if (r->told)
		dprintf(STDERR_FILENO, "\r\033[K");
	r->told = false;
}

static bool is_of_run(const struct entry *rec, const char *run_id)
{
	struct text id = rec->text[TEXT_RUN_ID];

	return id.s && id.len == strlen(run_id) && memcmp(id.s, run_id, id.len) == 0;
}

static int add_line(struct reader *r, const char *line, size_t len, struct error *err)
{
	const struct entry *rec;

	r->line++;
	rec = entry_read(r->records, line, len, err);
	if (!rec)
		return error_wrap(err, "%s:%llu", r->name, (unsigned long long)r->line);
	if (!r->only_run || is_of_run(rec, r->only_run))
		tally_add(r->tally, rec);
	return 0;
}

/* Adds what ends in the text; returns its length, or -1. */
static ssize_t add_lines(struct reader *r, const char *text, size_t len,
			 struct error *err)
{
	const char *at = text, *end = text + len, *stop;

	while (at < end && (stop = memchr(at, '\n', end - at))) {
		if (add_line(r, at, stop + 1 - at, err))
			return -1;
		at = stop + 1;
	}
	return at - text;
}

void reader_begin(struct reader *r, const char *name)
{
	r->name = name;
	r->line = 0;
	r->have = 0;
	r->done = 0;
	r->size = 0;
	r->started_ms = r->told_ms = clock_now_ms();
	tally_next_log(r->tally);
}

int reader_lines(struct reader *r, const char *text, size_t len, const char *name,
		 struct error *err)
{
	ssize_t used;

	reader_begin(r, name);
	used = add_lines(r, text, len, err);
	if (used < 0)
		return -1;
	return (size_t)used < len ? add_line(r, text + used, len - used, err) : 0;
}

int reader_some(struct reader *r, int fd, size_t max, struct error *err)
{
	ssize_t n, used;

	for (size_t done = 0; done < max; done += n) {
		n = read(fd, r->buf + r->have, sizeof(r->buf) - r->have);
		if (n < 0 && errno == EINTR) {
			n = 0;
			continue;
		}
		if (n < 0)
			return error_set(err, errno, "read %s", r->name);
		if (n == 0)
			return 0;
		r->have += n;
		r->done += n;
		used = add_lines(r, r->buf, r->have, err);
		if (used < 0)
			return -1;
		r->have -= used;
		memmove(r->buf, r->buf + used, r->have);
		if (r->have == sizeof(r->buf))
			return error_set(err, 0,
					 "%s:%llu: the line is longer than %u bytes",
					 r->name, (unsigned long long)r->line + 1,
					 READER_LINE_MAX);
		tell_progress(r);
	}
	return 1;
}

int reader_end(struct reader *r, struct error *err)
{
	size_t len = r->have;

	r->have = 0;
	return len ? add_line(r, r->buf, len, err) : 0;
}

int reader_fd(struct reader *r, int fd, const char *name, struct error *err)
{
	struct stat st;
	int ret;

	reader_begin(r, name);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		r->size = st.st_size;
	ret = reader_some(r, fd, SIZE_MAX, err);
	if (ret == 0)
		ret = reader_end(r, err);
	end_progress(r);
	return ret;
}

int reader_file(struct reader *r, const char *path, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "open %s", path);
	return reader_fd(r, fd, path, err);
}
