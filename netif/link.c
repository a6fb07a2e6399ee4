#include "netif/link.h"

void link_init(struct link *link, const struct link_driver *driver)
{
	*link = (struct link){ .driver = driver };
	list_init(&link->taps);
}

void link_receiver_set(struct link *link, link_rx_fn on_rx, void *ctx)
{
	link->on_rx = on_rx;
	link->ctx = ctx;
}

void link_tap_add(struct link *link, struct frame_tap *tap)
{
	list_add_tail(&link->taps, &tap->node);
}

static void show(struct link *link, const struct frame *frame)
{
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &link->taps) {
		struct frame_tap *tap = list_entry(pos, struct frame_tap, node);

		tap->on_frame(tap, frame);
	}
}

void link_rx(struct link *link, const struct virtio_net_hdr *vh, uint8_t *frame,
	     size_t len)
{
	link->rx_frames++;
	if (!list_empty(&link->taps))
		show(link, &(struct frame){ .from_child = true,
					    .vh = vh,
					    .iov = &(struct iovec){ frame, len },
					    .iov_count = 1 });
	link->on_rx(link->ctx, vh, frame, len);
}

int link_tx(struct link *link, const struct iovec *iov, int n)
{
	int r;

	if (!list_empty(&link->taps))
		show(link, &(struct frame){ .vh = iov[0].iov_base,
					    .iov = iov + 1,
					    .iov_count = n - 1 });
	r = link->driver->tx(link, iov, n);
	if (r < 0)
		link->tx_errors++;
	else
		link->tx_frames++;
	return r;
}
