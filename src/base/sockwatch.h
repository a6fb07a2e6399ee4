/* Who watches what crosses the host's interface must know which sockets are ours. */
#ifndef BASE_SOCKWATCH_H
#define BASE_SOCKWATCH_H

#include "base/addr.h"

struct sock_watch {
	/* It has its local address. `peer`: of TCP, to which it is connecting; else nothing
	 * has been sent yet, and it is NULL. */
	void (*opened)(struct sock_watch *w, int fd, const struct endpoint *peer);
	/* Of sockets that aren't TCP: its port may be another's from now on. */
	void (*closing)(struct sock_watch *w, int fd);
	/* An identifier of echoes is ours, or no more. */
	void (*echo)(struct sock_watch *w, bool v4, uint16_t id, bool ours);
};

/* w is NULL where nobody watches. */
static inline void sock_watch_opened(struct sock_watch *w, int fd,
				     const struct endpoint *peer)
{
	if (w)
		w->opened(w, fd, peer);
}

static inline void sock_watch_echo(struct sock_watch *w, bool v4, uint16_t id, bool ours)
{
	if (w)
		w->echo(w, v4, id, ours);
}

static inline void sock_watch_closing(struct sock_watch *w, int fd)
{
	if (w)
		w->closing(w, fd);
}

#endif
