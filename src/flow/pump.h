/* Joins two channels: bytes, half-close, back-pressure and failure pass from each to the other. */
#ifndef FLOW_PUMP_H
#define FLOW_PUMP_H

#include "base/channel.h"

struct pump;

struct pump_side {
	struct pump *pump;
	struct channel *ch;
	uint64_t bytes; /* read from this side */
	bool eof;
};

struct pump {
	struct pump_side near, far;
	/* Called once, when both directions have ended (err 0) or one has failed. The channels
	 * are the pump's no more: the callee closes them by pump_close(). */
	void (*on_end)(struct pump *p, int err);
	bool ended;
};

/* Starts moving bytes; may call on_end before it returns. */
void pump_start(struct pump *p, struct channel *near, struct channel *far,
		void (*on_end)(struct pump *p, int err));
/* Closes both channels, orderly when err is 0. */
void pump_close(struct pump *p, int err);

#endif
