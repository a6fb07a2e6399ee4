/* What flow logs hold, told. */
#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include "base/error.h"
#include "config/config.h"

/* --report: prints what the logs hold. 0 or -1. */
int report_print(const struct config *cfg, struct error *err);

#endif
