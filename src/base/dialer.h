/* Turns a target into a channel: direct, or through a proxy. */
#ifndef BASE_DIALER_H
#define BASE_DIALER_H

#include "base/channel.h"
#include "base/target.h"

struct dialer;
struct dial;

/* Called once: the channel with err 0, or NULL with an errno and, when there is more to say, a
 * sentence that is valid in the call. Never from within dial(). */
typedef void (*dial_fn)(void *ctx, struct channel *far, int err, const char *why);

/* What dial() came to: one of the three is set. */
struct dial_result {
	struct dial *pending; /* the callback will come */
	struct channel *far;  /* connected at once */
	int err;	      /* failed at once */
};

struct dialer_ops {
	struct dial_result (*dial)(struct dialer *d, const struct target *t, dial_fn done,
				   void *ctx);
	/* The callback will not come any more. */
	void (*cancel)(struct dial *dial);
};

struct dialer {
	const struct dialer_ops *ops;
};

#endif
