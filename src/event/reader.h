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
/* The same bit by bit, of a log that still grows: what follows is of `name`. */
void reader_begin(struct reader *r, const char *name);
/* Reads what there is, but no more than `max` bytes and a buffer; a line without an end is left
 * for the next call. 1: there may be more; 0: there is none now; -1. */
int reader_some(struct reader *r, int fd, size_t max, struct error *err);
/* That was all of it. 0 or -1. */
int reader_end(struct reader *r, struct error *err);
/* Reads lines that stand in memory; the last may have no line end. */
int reader_lines(struct reader *r, const char *text, size_t len, const char *name,
		 struct error *err);

#endif
