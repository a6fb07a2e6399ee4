/*
 * An Ethernet frame on its way to or from the child, and who may watch it pass.
 *
 * A frame with offloads pending (linux/virtio_net.h) is not as it would be on a wire: a
 * super-segment of up to 64 KiB, or one whose transport checksum is still to be filled in.
 */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* linux/virtio_net.h since Linux 6.2 */
#endif

/* Valid only while it is shown. */
struct frame {
	bool from_child;
	const struct virtio_net_hdr *vh;
	const struct iovec *iov; /* Ethernet header and packet, in pieces */
	int iov_count;
};

/* Sees every frame before anybody acts on it. */
struct frame_tap {
	struct list node;
	void (*on_frame)(struct frame_tap *tap, const struct frame *frame);
};

#endif
