/* Flow logs, read from files into a tally. */
#ifndef EVENT_READER_H
#define EVENT_READER_H

#include "base/error.h"
#include "event/tally.h"

#define READER_LINE_MAX (1u << 20)

struct reader;

/* NULL without memory. With `progress` stderr is told, now and then, how far it is. */
struct reader *reader_new(struct tally *tally, bool progress);
void reader_free(struct reader *r);

/* What is of another run is read, but not counted. `run_id` stays the caller's. */
void reader_only_run(struct reader *r, const char *run_id);

/* Reads all of the file, or of fd from where it stands; name is for errors, which say
 * "NAME:LINE: why". 0 or -1. */
int reader_file(struct reader *r, const char *path, struct error *err);
int reader_fd(struct reader *r, int fd, const char *name, struct error *err);
/* Reads lines that stand in memory; the last may have no line end. */
int reader_lines(struct reader *r, const char *text, size_t len, const char *name,
		 struct error *err);

#endif
