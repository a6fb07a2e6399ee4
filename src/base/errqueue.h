/* The error queue of a host socket (ip(7), IP_RECVERR). */
#ifndef BASE_ERRQUEUE_H
#define BASE_ERRQUEUE_H

#include <sys/types.h>

#include "base/neterror.h"

/* Of the quoted packet's content; what a router quotes beyond that is not needed. */
#define ERRQUEUE_DATA_MAX 1232

struct errqueue_entry {
	struct neterror error;
	struct endpoint to; /* where the packet went */
	size_t len;	    /* of what is known of its content */
	uint8_t data[ERRQUEUE_DATA_MAX];
};

/* Has the network's errors queued; 0 or -errno. */
int errqueue_enable(int fd, bool v4);
void errqueue_disable(int fd, bool v4);
/* Has the TTL of what comes told, too: cmsgs of each datagram, and neterror's ttl. */
void errqueue_want_ttl(int fd, bool v4, bool want);

/* Takes the next message of a router out of the queue; what sending calls have told already
 * is passed over. False when there is none. */
bool errqueue_next(int fd, struct errqueue_entry *e);

#endif
