/*
 * The link to the child: Ethernet frames in and out, whatever device carries them.
 *
 * Every frame passes link_rx() or link_tx(), and nowhere else, so frame taps see them all.
 */
#ifndef NETIF_LINK_H
#define NETIF_LINK_H

#include "base/frame.h"

struct link;

struct link_driver {
	/* Sends one frame; iov[0] is the virtio-net header (linux/virtio_net.h). 0 or -errno. */
	int (*tx)(struct link *link, const struct iovec *iov, int n);
};

/* The frame is the receiver's to change until it returns. */
typedef void (*link_rx_fn)(void *ctx, const struct virtio_net_hdr *vh, uint8_t *frame,
			   size_t len);

struct link {
	const struct link_driver *driver;
	link_rx_fn on_rx;
	void *ctx;
	struct list taps;
	uint64_t rx_frames, tx_frames, tx_errors;
};

void link_init(struct link *link, const struct link_driver *driver);
void link_receiver_set(struct link *link, link_rx_fn on_rx, void *ctx);
void link_tap_add(struct link *link, struct frame_tap *tap);

/* A driver has read a frame. */
void link_rx(struct link *link, const struct virtio_net_hdr *vh, uint8_t *frame,
	     size_t len);
/* Sends a frame to the child; a frame the device refuses is counted and lost. 0 or -errno. */
int link_tx(struct link *link, const struct iovec *iov, int n);

#endif
