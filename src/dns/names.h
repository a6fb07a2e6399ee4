/*
 * Which names an address was given for: what our resolver answered, and for how long that
 * counts. The caller brings the clock, in milliseconds that never go back.
 */
#ifndef DNS_NAMES_H
#define DNS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define NAMES_PER_ADDRESS 16	 /* of the many that share one server */
#define NAMES_TTL_MIN_S 60	 /* programs keep what they resolved for a while */
#define NAMES_TTL_MAX_S 86400	 /* as resolvers' caches cut them */
#define NAMES_GRACE_MS 60000	 /* after the last flow to the address has ended */
#define NAMES_CAPACITY_MAX 65536 /* of pairs of a name and an address */

struct names;
struct names_hold;

/* A table of at most `capacity` pairs. `seed` is a number nobody else knows, against names
 * that are chosen to share a bucket. NULL without memory. */
struct names *names_new(size_t capacity, uint64_t seed);
void names_free(struct names *t);

/* `name`, lower-case text, was answered with `addr`. False when the table is full of pairs
 * whose flows live, or memory is short: the pair isn't known then. */
bool names_learn(struct names *t, const struct addr *addr, const char *name,
		 uint32_t ttl_s, uint64_t now_ms);

/* The address's names, the oldest first; returns their number. The text lives until the table
 * is next changed. */
size_t names_of(const struct names *t, const struct addr *addr, uint64_t now_ms,
		const char *out[static NAMES_PER_ADDRESS]);
/* Whether `name` was answered with `addr`, and that still counts. */
bool names_resolved(const struct names *t, const struct addr *addr, const char *name,
		    uint64_t now_ms);

/*
 * A flow to `addr` begins: until names_release() and NAMES_GRACE_MS longer, the names it has
 * now, and those it is given meanwhile, outlive their TTL. NULL when it has none; that may be
 * released, too.
 */
struct names_hold *names_hold(struct names *t, const struct addr *addr, uint64_t now_ms);
void names_release(struct names *t, struct names_hold *hold, uint64_t now_ms);

/* Pairs in the table, those that have run out and wait for their removal included. */
size_t names_count(const struct names *t);

#endif
