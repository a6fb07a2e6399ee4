/* Refusals as lines on stderr: what was blocked, why, and which option would allow it; and
 * what proxies have failed by. */
#ifndef EVENT_NOTICE_H
#define EVENT_NOTICE_H

#include "event/event.h"

#define NOTICE_LINES_MAX 20

/* Plain memory of the caller. */
struct notice_sink {
	struct event_sink sink;
	uint64_t said[NOTICE_LINES_MAX]; /* hashes of the lines */
	unsigned count;
	bool silent; /* there was more, and that has been said */
};

/* Each refusal is told once, however often it comes; NOTICE_LINES_MAX of them at most. */
void notice_sink_init(struct notice_sink *n);
/* Of proxies each sentence, whichever target it was about. */
void notice_sink_init_proxies(struct notice_sink *n);

#endif
