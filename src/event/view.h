/*
 * A tally, ranked and correlated: what summary and report print, in their order.
 *
 * A name owns a target when the target's address is among the answers to it, in a run that
 * has talked to the target. Domain rules belong to an address, by what was refused there.
 */
#ifndef EVENT_VIEW_H
#define EVENT_VIEW_H

#include "event/tally.h"

#define VIEW_NAMES 10
#define VIEW_TARGETS 10
#define VIEW_NAME_TARGETS 3

struct view_count {
	struct text key;
	uint64_t n;
};

/* The most first, then by key; what found no room is "other" and last. Schema versions in
 * their own order. */
struct view_counts {
	struct view_count *items;
	size_t count;
};

struct view_texts {
	struct text *items; /* in order */
	size_t count;
};

struct view_target {
	struct text target, ip;
	struct tally_connects connects;
	struct view_texts names;    /* only of a top target */
	struct view_counts matched; /* rules, by what was refused at its address */
};

struct view_name {
	struct text name;
	uint64_t queries, answers;
	struct view_texts ips;
	struct view_target *targets; /* the first VIEW_NAME_TARGETS */
	size_t target_count;
	struct view_counts matched;
};

struct view_row {
	const struct view_name *name;
	const struct view_target *target;  /* or NULL */
	const struct view_counts *matched; /* the target's, or the name's */
};

struct view {
	const struct tally *tally;
	struct view_counts counts[COUNT_TABLES];
	struct view_name names[VIEW_NAMES];
	size_t name_count;
	struct view_target targets[VIEW_TARGETS];
	size_t target_count;
	struct block *blocks;
};

/* NULL without memory. The tally must stay as it is. */
struct view *view_new(const struct tally *t);
void view_free(struct view *v);

/* Names with a target or a rule are those of the policy's correlations. */
static inline bool view_is_policy_name(const struct view_name *n)
{
	return n->target_count || n->matched.count;
}

/* The rows of at most so many such names, and at most so many targets of each. */
size_t view_rows(const struct view *v, size_t names, size_t targets,
		 struct view_row out[static VIEW_NAMES * VIEW_NAME_TARGETS]);

/* As memcmp(), the shorter first. */
int text_compare(struct text a, struct text b);

#endif
