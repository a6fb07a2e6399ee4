/*
 * The child wants to reach a target and has had no answer yet.
 *
 * The backend makes it and calls attempt_fn; the flow answers once, at once or later, with
 * accept or refuse, after which the attempt is gone. When the child gives up first the
 * backend calls on_cancel and the attempt is gone too.
 */
#ifndef BASE_ATTEMPT_H
#define BASE_ATTEMPT_H

#include "base/addr.h"
#include "base/channel.h"
#include "base/neterror.h"

struct attempt;

struct attempt_ops {
	/* The near channel, or NULL without memory (the child was refused then). */
	struct channel *(*accept)(struct attempt *a);
	/* err is the errno the child should see: ECONNREFUSED a reset, EACCES "prohibited",
	 * EHOSTUNREACH, ENETUNREACH …; ETIMEDOUT stays silent. */
	void (*refuse)(struct attempt *a, int err);
	/* The same, when a router has said why. */
	void (*refuse_as)(struct attempt *a, const struct neterror *e);
};

struct attempt {
	const struct attempt_ops *ops;
	struct endpoint child, remote;
	uint8_t probe_ttl; /* of a SYN that counts hops, as it came; else 0 */
	void (*on_cancel)(void *owner);
	void *owner;
};

typedef void (*attempt_fn)(void *ctx, struct attempt *a);

#endif
