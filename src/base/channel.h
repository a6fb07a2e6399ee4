/*
 * One end of a flow. The owner (flow/pump.c) calls the ops; the channel calls up.
 *
 * Reading: on_data() hands over bytes that are valid only in the call and returns how many
 * were taken. What was not taken stays with the channel, which then keeps quiet (and lets
 * its window close) until recv(). `owner` is the buffer the bytes live in, or NULL when
 * their memory can't be kept (a packet); whoever wants to keep bytes without copying takes
 * a reference to it. A near channel reads from the start, a far one from the first recv().
 * Writing: send() takes what it can now, 0 when full: on_drain() comes when more would go.
 * End: on_eof() once after the last byte. on_closed() once when the channel has failed and
 * is of no more use; the owner still calls close().
 * After close() the channel calls nothing and its memory is its own business.
 */
#ifndef BASE_CHANNEL_H
#define BASE_CHANNEL_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/addr.h"
#include "base/buf.h"

struct channel;

struct channel_ops {
	/* Bytes taken, 0 when full, or -errno when the channel has failed. */
	ssize_t (*send)(struct channel *ch, const struct iovec *iov, int n,
			struct buf *owner);
	/* Hands over what was left, then goes on reading. May call up before it returns. */
	void (*recv)(struct channel *ch);
	/* Nothing more will be sent: FIN after what was taken. */
	void (*shut)(struct channel *ch);
	/* Orderly when err is 0, else a reset. */
	void (*close)(struct channel *ch, int err);
	/* Bytes taken by send() that the peer has not acknowledged yet. */
	size_t (*unacked)(struct channel *ch);
	/* How many bytes are worth reading for send(); after 0 on_drain() comes. Of a near
	 * channel: it is the far one that asks before it reads. */
	size_t (*room)(struct channel *ch);
	/* Of a far channel: the host's socket behind it, and whom that has reached. False when
	 * it can't be told. */
	bool (*endpoints)(struct channel *ch, struct endpoint *local,
			  struct endpoint *peer);
};

struct channel_up {
	size_t (*on_data)(void *ctx, const struct iovec *iov, int n, struct buf *owner);
	void (*on_drain)(void *ctx);
	void (*on_eof)(void *ctx);
	void (*on_closed)(void *ctx, int err);
	/* How many bytes on_data() would take; after 0 recv() comes. A far channel asks before
	 * it reads, so that what nobody wants yet stays in the host's socket. */
	size_t (*room)(void *ctx);
};

struct channel {
	const struct channel_ops *ops;
	const struct channel_up *up;
	void *ctx;
};

#endif
