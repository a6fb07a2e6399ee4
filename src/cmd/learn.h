/* --learn: a run that everything is let pass of makes the profile for the next one. */
#ifndef CMD_LEARN_H
#define CMD_LEARN_H

#include "cmd/record.h"
#include "event/reader.h"

struct learn {
	const char *path; /* NULL: nothing is learned */
	char *temporary;
	int fd;
	struct record *record;
	/* What has been read of it, from when that began. */
	struct reader *reader;
	struct tally tally;
	int log;
	bool failed; /* err is why, and nothing more is read */
	struct error err;
};

/* Makes the file that becomes cfg->learn in the end, if there is to be one. `l` must be zero; the
 * record stays. */
int learn_open(struct learn *l, const struct config *cfg, struct record *record,
	       struct error *err);
/* Takes some of what has been recorded so far out of memory. Returns after how many milliseconds
 * that should be done again. */
unsigned learn_meanwhile(void *learn);
/* Writes the profile; what stood under its name is replaced. */
int learn_finish(struct learn *l, const struct config *cfg, int exit_code,
		 struct error *err);
/* Leaves everything as it was, unless it is finished. */
void learn_close(struct learn *l);

#endif
