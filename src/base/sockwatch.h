/* Who watches what crosses the host's interface must know which sockets are ours. */
#ifndef BASE_SOCKWATCH_H
#define BASE_SOCKWATCH_H

#include "base/addr.h"

/* NULL where nobody watches. */
struct sock_watch {
	/* It has its local address. `peer`: of TCP, to which it is connecting; else nothing
	 * has been sent yet, and it is NULL. */
	void (*opened)(struct sock_watch *w, int fd, const struct endpoint *peer);
	/* Of sockets that aren't TCP: its port may be another's from now on. */
	void (*closing)(struct sock_watch *w, int fd);
};

#endif
