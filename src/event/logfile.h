/* The descriptor that a log of lines goes to. */
#ifndef EVENT_LOGFILE_H
#define EVENT_LOGFILE_H

#include "base/error.h"
#include "event/counters.h"

#define LOGFILE_MEMORY_MAX (64u << 20)

enum logfile_kind {
	LOGFILE_PLAIN,	/* write(2) returns at once */
	LOGFILE_SOCKET, /* so does send(2), when it is asked to */
	LOGFILE_OTHER,	/* might wait: is asked before */
	LOGFILE_MEMORY, /* a plain one of bounded size */
};

struct logfile {
	int fd;
	enum logfile_kind kind;
	struct counters *counters;
};

/* The file is made or emptied. To be called before anything is forked. SIGPIPE and SIGXFSZ
 * should be ignored from now on. */
int logfile_open(struct logfile *log, const char *path, struct counters *counters,
		 struct error *err);
/* The same with a descriptor that we were started with, which stays as it is. */
int logfile_take(struct logfile *log, int given, struct counters *counters,
		 struct error *err);
/* In memory, for those who read it back while it is written, and tell that by logfile_taken():
 * what they leave there is at most LOGFILE_MEMORY_MAX. */
int logfile_memory(struct logfile *log, struct counters *counters, struct error *err);
/* The bytes before `end` have been read, and are needed no more; `end` never goes back. */
void logfile_taken(struct logfile *log, uint64_t end);
void logfile_close(struct logfile *log);

/* Writes text and a line end. Never waits and never fails: what can't be written is counted. */
void logfile_line(struct logfile *log, const char *text, size_t len);

/* A line that could not even be made is one that is lost. `code` is an errno, or 0: a part of
 * it was written. */
void logfile_lost(struct logfile *log, int code);

#endif
