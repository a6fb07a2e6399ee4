/* --dump-profile and --list-profiles. */
#ifndef CMD_PROFILE_H
#define CMD_PROFILE_H

#include "base/error.h"
#include "config/config.h"

/* Prints the settings on stdout, all or nothing. */
int profile_dump(const struct config *cfg, struct error *err);

/* Prints names and files of the profiles that are called by name. */
int profile_list(struct error *err);

#endif
