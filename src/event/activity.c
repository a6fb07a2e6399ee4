#include "event/activity.h"

#include <stddef.h>
#include <string.h>

#include "base/util.h"

#define FIRST_BIN_MS 10

static void widen_up(struct activity *a)
{
	for (size_t i = 0; i < ACTIVITY_BINS; i++) {
		struct activity_bin sum = { 0 };

		for (size_t k = 2 * i; k < 2 * i + 2 && k < ACTIVITY_BINS; k++) {
			sum.flows += a->bins[k].flows;
			sum.refusals += a->bins[k].refusals;
			sum.queries += a->bins[k].queries;
			sum.up += a->bins[k].up;
			sum.down += a->bins[k].down;
		}
		a->bins[i] = sum;
	}
	a->bin_ms *= 2;
}

/* The same, and what there was stands in the second half. */
static void widen_down(struct activity *a)
{
	uint64_t span = a->bin_ms * ACTIVITY_BINS;

	widen_up(a);
	memmove(a->bins + ACTIVITY_BINS / 2, a->bins,
		ACTIVITY_BINS / 2 * sizeof(a->bins[0]));
	memset(a->bins, 0, ACTIVITY_BINS / 2 * sizeof(a->bins[0]));
	a->start_ms = a->start_ms > span ? a->start_ms - span : 0;
}

struct activity_bin *activity_at(struct activity *a, uint64_t ms)
{
	static struct activity_bin never;

	if (!ms || ms > UINT64_MAX / 4)
		return &never;
	if (!a->any)
		*a = (struct activity){ .any = true,
					.bin_ms = FIRST_BIN_MS,
					.start_ms = ms,
					.first_ms = ms,
					.last_ms = ms };
	a->first_ms = MIN(a->first_ms, ms);
	a->last_ms = MAX(a->last_ms, ms);
	while (ms < a->start_ms)
		widen_down(a);
	while ((ms - a->start_ms) / a->bin_ms >= ACTIVITY_BINS)
		widen_up(a);
	return &a->bins[(ms - a->start_ms) / a->bin_ms];
}
