/* --diff: in what two flow logs differ. */
#ifndef CMD_DIFF_H
#define CMD_DIFF_H

#include "base/error.h"
#include "config/config.h"

/* Prints it. *exit_code is 1 when something is new and cfg->fail_on_new. 0 or -1. */
int diff_print(const struct config *cfg, int *exit_code, struct error *err);

#endif
