/* The verb without a name: run a command. */
#ifndef CMD_RUN_H
#define CMD_RUN_H

#include "base/error.h"
#include "config/config.h"

/* Returns 0 and the exit code the run has earned, or -1 with err and one of our own. */
int run_command(const struct config *cfg, int *exit_code, struct error *err);

#endif
