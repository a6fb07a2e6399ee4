#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/netplan.h"
#include "base/util.h"
#include "config/options.h"
#include "config/value.h"

#define DRAIN_TIMEOUT_DEFAULT_MS 30000
#define CONNECT_TIMEOUT_DEFAULT_MS 10000

void config_defaults(struct config *cfg)
{
	*cfg = (struct config){
		.mtu = NETPLAN_MTU,
		.connect_timeout_ms = CONNECT_TIMEOUT_DEFAULT_MS,
		.drain_timeout_ms = DRAIN_TIMEOUT_DEFAULT_MS,
		.log_level = LOG_LEVEL_WARN,
	};
	for (size_t i = 0; i < OPTION_COUNT; i++)
		cfg->from[i].kind = ORIGIN_DEFAULT;
}

void config_fill(struct config *upper, struct config *lower)
{
	bool set[OPTION_COUNT];

	for (size_t i = 0; i < OPTION_COUNT; i++)
		set[i] = upper->from[i].kind != ORIGIN_NONE;
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);
		struct origin *from = &lower->from[i];

		/* Who gives a password means it instead of the file named below, too. */
		if (from->kind == ORIGIN_NONE || set[i] || (o->rival && set[o->rival]))
			continue;
		value_move(o, upper, lower);
		upper->from[i] = *from;
		*from = (struct origin){ 0 };
	}
	config_free(lower);
}

void config_free(struct config *cfg)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		value_clear(option_get(i), cfg);
		free(cfg->from[i].file);
		cfg->from[i] = (struct origin){ 0 };
	}
}
