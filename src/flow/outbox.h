/*
 * Datagrams on their way out: those of one socket to one peer, of one length but for the last,
 * wait for each other until the loop sleeps and leave by one call.
 */
#ifndef FLOW_OUTBOX_H
#define FLOW_OUTBOX_H

#include "base/dgram.h"
#include "flow/marks.h"

#define OUTBOX_DATA_MAX 65536

struct outbox_socket {
	int fd;
	struct marks marks;
	struct dgram_port *port;
};

struct outbox {
	struct outbox_socket *sock; /* NULL when empty */
	struct dgram first;	    /* of those that wait; the data is below */
	size_t segment, len;
	uint8_t data[OUTBOX_DATA_MAX];
};

/* Copies the datagram; what can't wait beside it is sent first. Errors are told to the child
 * through the socket's port. */
void outbox_put(struct outbox *o, struct outbox_socket *s, const struct dgram *d);
void outbox_flush(struct outbox *o);
/* The socket is about to be closed. */
void outbox_forget(struct outbox *o, const struct outbox_socket *s);

#endif
