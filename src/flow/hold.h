/*
 * As long as a process gets no answer it waits, and is there to be found. So what a socket has
 * received is not read while the process of one of its flows is being found out (who.h).
 */
#ifndef FLOW_HOLD_H
#define FLOW_HOLD_H

#include "base/poller.h"

/* One per socket. */
struct hold {
	struct poller *poller;
	struct poll_source *source;
	size_t flows;	 /* that are being found out */
	uint32_t events; /* of the socket meanwhile */
};

static inline void hold_begin(struct hold *h)
{
	h->flows++;
}

static inline void hold_end(struct hold *h)
{
	if (--h->flows == 0 && h->events)
		poller_again(h->poller, h->source);
}

/* Whether these events have to wait; if not, adds those that had to. */
static inline bool hold_back(struct hold *h, uint32_t *events)
{
	*events |= h->events;
	h->events = h->flows ? *events | EPOLLIN : 0;
	return h->flows > 0;
}

#endif
