/* What settings may stand together. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "base/error.h"
#include "config/config.h"

/* Says what contradicts itself, or what is missing: the first rule that fails. */
int config_check(const struct config *cfg, struct error *err);

/* Refuses what is asked for, but not part of this build. */
int config_check_available(const struct config *cfg, struct error *err);

#endif
