/* --summary: what a run was, told on stderr when it is over. */
#ifndef CMD_SUMMARY_H
#define CMD_SUMMARY_H

#include "cmd/record.h"

/* `record` is the run's, closed or not yet; all its lines are written. */
void summary_print(const struct config *cfg, const struct record *record,
		   const struct counters *counters, int exit_code);

#endif
