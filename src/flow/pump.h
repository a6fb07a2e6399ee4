/* Joins two channels: bytes, half-close, back-pressure and failure pass from each to the other. */
#ifndef FLOW_PUMP_H
#define FLOW_PUMP_H

#include "base/channel.h"

#define PUMP_HELD_MAX 16384

struct pump;

/* What the near side has sent and the far side has not been given yet. */
struct pump_held {
	/* Shows it after each addition; false when that has ended the pump. NULL: released. */
	bool (*on_more)(struct pump *p);
	size_t len, sent;
	bool eof;
	uint8_t bytes[PUMP_HELD_MAX];
};

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
	const struct pump_side *failed; /* of an end with an errno */
	bool ended;
	struct pump_held *held; /* or NULL: bytes pass as they come */
};

/* Starts moving bytes; may call on_end before it returns. */
void pump_start(struct pump *p, struct channel *near, struct channel *far,
		void (*on_end)(struct pump *p, int err));
/* The same, but what the near side sends is held back until pump_release(): p->held->bytes,
 * no more to come if p->held->eof. 0, or -ENOMEM: nothing has been done then. */
int pump_start_held(struct pump *p, struct channel *near, struct channel *far,
		    void (*on_end)(struct pump *p, int err),
		    bool (*on_more)(struct pump *p));
/* Sends what was held, then goes on as any pump. May end it: false then. */
bool pump_release(struct pump *p);
/* Closes both channels, orderly when err is 0. */
void pump_close(struct pump *p, int err);

#endif
