/* Settings as a profile. */
#ifndef CONFIG_DUMP_H
#define CONFIG_DUMP_H

#include <stdio.h>

#include "base/error.h"
#include "config/config.h"

/* Writes what a profile has to say so that a run has the same settings: TOML, which this
 * program and others read. -1 when a value is no text, with something written or not. */
int config_dump(const struct config *cfg, FILE *out, struct error *err);

#endif
