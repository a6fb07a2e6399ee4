/* The addresses that the host itself has or answers for, and what becomes of them. */
#ifndef SANDBOX_HOSTADDRS_H
#define SANDBOX_HOSTADDRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/error.h"

#define HOSTADDRS_MAX 4096
#define HOSTADDRS_DUMPS 2

struct hostaddrs_list {
	struct addr_range *ranges; /* sorted, none overlap */
	size_t count, room;
	bool cut; /* there are more than HOSTADDRS_MAX */
};

/* Plain memory of the caller; `list` is for reading, the rest is hostaddrs.c's. */
struct hostaddrs {
	int fd; /* readable: hostaddrs_read() may have news */
	struct hostaddrs_list list;

	struct hostaddrs_list next; /* what the dumps have told so far */
	uint32_t port, seq;	    /* by which the messages of one are known */
	unsigned dump; /* of HOSTADDRS_DUMPS: it is under way or comes next */
	bool asking;   /* it is under way */
	bool broken;   /* ... but the list won't be complete */
	bool stale;    /* something has changed since it began */
};

/* Subscribes to the current network namespace; the list is complete on return. */
int hostaddrs_open(struct hostaddrs *h, struct error *err);
void hostaddrs_close(struct hostaddrs *h);

/* Never blocks, bounded. 1: the list is another one; 0: as before; -errno: as before, and it
 * may be out of date. */
int hostaddrs_read(struct hostaddrs *h);

/* Takes what the kernel sent, one datagram; pure. 1 when that completed another list, 0, or
 * -errno. */
int hostaddrs_take(struct hostaddrs *h, const void *bytes, size_t len);

#endif
