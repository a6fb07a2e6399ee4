/*
 * Figures of one run in memory that supervisor and engine share: the engine may be killed at
 * any moment, and what it has counted is known all the same.
 */
#ifndef EVENT_COUNTERS_H
#define EVENT_COUNTERS_H

#include "base/error.h"
#include "event/event.h"

struct counters {
	uint64_t events[EVENT_COUNT];
	uint64_t refused_full; /* what the engine's tables had no room for */
	uint64_t lost_records; /* events that a sink could not write */
	/* Of all captures: packets seen, and those of them that are in no file. */
	uint64_t packets, packets_dropped;
	/* Of the flow log: its last line has no end; that it loses lines has been said. */
	bool log_torn, log_warned;
	/* Of one in memory, in bytes: its reader frees what it has taken. */
	uint64_t log_written, log_taken;
};

/* Zeros, shared by all processes forked later; NULL with *err set. */
struct counters *counters_new(struct error *err);
void counters_free(struct counters *c);

/* A sink that counts; the caller owns it. */
struct counter_sink {
	struct event_sink sink;
	struct counters *counters;
};

void counter_sink_init(struct counter_sink *s, struct counters *counters);

#endif
