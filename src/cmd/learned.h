/* From what a run has reached, the profile that allows just that. */
#ifndef CMD_LEARNED_H
#define CMD_LEARNED_H

#include <stdio.h>

#include "base/error.h"
#include "event/tally.h"

struct learned_run {
	const char *const *command; /* up to NULL */
	int exit_code;
	const char *version;
	uint64_t lost_records;
};

/* Writes the profile. The tally has talks (event/talks.h) and is finished. 0, or -1 when what was
 * reached is more than a profile holds; whether out took it is for ferror(). */
int learned_profile(const struct tally *t, const struct learned_run *run, FILE *out,
		    struct error *err);

#endif
