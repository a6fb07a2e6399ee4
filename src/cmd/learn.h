/* --learn: a run that everything is let pass of makes the profile for the next one. */
#ifndef CMD_LEARN_H
#define CMD_LEARN_H

#include "cmd/record.h"

struct learn {
	const char *path; /* NULL: nothing is learned */
	char *temporary;
	int fd;
};

/* Makes the file that becomes cfg->learn in the end, if there is to be one. `l` must be zero. */
int learn_open(struct learn *l, const struct config *cfg, const struct record *record,
	       struct error *err);
/* Writes the profile; what stood under its name is replaced. */
int learn_finish(struct learn *l, const struct config *cfg, const struct record *record,
		 int exit_code, struct error *err);
/* Leaves everything as it was, unless it is finished. */
void learn_close(struct learn *l);

#endif
