/*
 * Addresses that stand for names: what the child is given when the name is to be resolved by
 * a proxy, and how a connection to the address finds the name again.
 */
#ifndef DNS_POOL_H
#define DNS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define POOL_NAMES_MAX 65536
#define POOL_NAME_LEN_MAX 253 /* of a name without escapes, RFC 1035 2.3.4 */
#define POOL_TTL_S 60	      /* of answers: names of a full pool lose their address */

struct pool;
struct pool_hold;

struct pool_range {
	struct addr network; /* host bits are zero */
	uint8_t prefix;	     /* of the 128 bits of a struct addr: 96 + n for IPv4 */
};

/* The two addresses of one name. */
struct pool_addrs {
	struct addr v4, v6;
};

/* `seed` is a number nobody else knows, against names that are chosen to share a bucket. Each
 * range has room for two names at least. NULL without memory. */
struct pool *pool_new(const struct pool_range *v4, const struct pool_range *v6,
		      uint64_t seed);
void pool_free(struct pool *p);

/* How many names can have addresses at a time. */
size_t pool_capacity(const struct pool *p);

/* The address belongs to the pool, whether it stands for a name or not. */
bool pool_contains(const struct pool *p, const struct addr *a);

/*
 * The addresses of `name`, lower-case text; the name is given some if it has none, if need be
 * those of the name that was used least recently. False when the name is none of a host (it is
 * too long, or has octets that are no printable ASCII, or escapes), when flows hold all
 * addresses, or when memory is short.
 */
bool pool_give(struct pool *p, const char *name, struct pool_addrs *out);

/* The name that the address stands for now, or NULL. The text lives until pool_give(). */
const char *pool_name(const struct pool *p, const struct addr *a);

/* A flow to the address begins: until pool_release() it stands for the name that it stands
 * for now. NULL when that is none; that may be released, too. */
struct pool_hold *pool_hold(struct pool *p, const struct addr *a);
const char *pool_hold_name(const struct pool_hold *hold);
void pool_release(struct pool *p, struct pool_hold *hold);

#endif
