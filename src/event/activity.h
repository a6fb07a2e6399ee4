/* How much happened when, in a fixed number of bins: what falls outside doubles their width. */
#ifndef EVENT_ACTIVITY_H
#define EVENT_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

#define ACTIVITY_BINS 240

struct activity_bin {
	uint64_t flows, refusals, queries, up, down;
};

/* Zeros are one in which nothing has happened. */
struct activity {
	struct activity_bin bins[ACTIVITY_BINS];
	bool any;
	uint64_t start_ms, bin_ms;
	uint64_t first_ms, last_ms;
};

/* The bin of a time, valid until the next call; what has none counts nowhere. */
struct activity_bin *activity_at(struct activity *a, uint64_t ms);

#endif
