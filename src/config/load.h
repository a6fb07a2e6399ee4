/* All layers of settings below the command line. */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "base/error.h"
#include "config/config.h"

/*
 * Fills the settings of a command line from the environment, then from its profile and the
 * profiles that this extends, then with the defaults. Variables with secrets are wiped and
 * leave the environment. Returns 0, or -1 with what is wrong where.
 */
int config_load(struct config *cfg, struct error *err);

/* Puts the content of files that hold secrets where the secrets stand. */
int config_load_secrets(struct config *cfg, struct error *err);

#endif
