/*
 * Counted buffer for bytes on their way to the child.
 *
 * A channel that reads fills one; the near TCP channel keeps a reference until the child
 * has acknowledged the bytes, so nothing is copied. BUF_CAP is the payload of the largest
 * segment the tap takes (65535 minus the longest IP and TCP headers we write), so one
 * buffer is one super-segment.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#define BUF_CAP 65408

struct buf {
	unsigned refs;
	/* For the one channel that queues it: a link, and where in its stream the bytes end. */
	struct buf *next;
	uint64_t end;
	uint8_t data[BUF_CAP];
};

/* One reference, or NULL without memory. */
struct buf *buf_new(void);
struct buf *buf_ref(struct buf *b);
void buf_unref(struct buf *b);
/* Gives spare buffers back to the allocator. */
void buf_trim(void);

#endif
