#include "netif/tap.h"

#include <errno.h>

/* A batch is what one wake-up reads: enough to amortise the wake-up and the acknowledgements
 * at its end, small enough that sockets get their turn. */
#define BATCH_MAX 64
/* 64 KiB of IP packet behind an Ethernet header; TSO hands over no more. */
#define FRAME_MAX (65535 + 14 + 4)

struct tap {
	struct link link;
	uv_poll_t poll;
	int fd;
	bool gone;
	void (*on_gone)(void *ctx, int err);
	void *ctx;
	struct {
		_Alignas(16) struct virtio_net_hdr vh;
		uint8_t pad[8]; /* 10 + 8 + Ethernet's 14 bytes: the IP header is aligned by 16 */
		uint8_t frame[FRAME_MAX];
	} rx;
};

static int tap_tx(struct link *link, const struct iovec *iov, int n)
{
	struct tap *tap = container_of(link, struct tap, link);
	ssize_t r;

	do
		r = writev(tap->fd, iov, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static const struct link_driver tap_driver = { .tx = tap_tx };

bool tap_drain(struct tap *tap)
{
	struct iovec iov[2] = {
		{ &tap->rx.vh, sizeof(tap->rx.vh) },
		{ tap->rx.frame, sizeof(tap->rx.frame) },
	};

	for (int i = 0; i < BATCH_MAX && !tap->gone; i++) {
		ssize_t r = readv(tap->fd, iov, 2);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN)
			return false;
		if (r < (ssize_t)sizeof(tap->rx.vh)) {
			tap->gone = true;
			uv_poll_stop(&tap->poll);
			if (tap->on_gone)
				tap->on_gone(tap->ctx, r < 0 ? errno : EIO);
			return false;
		}
		link_rx(&tap->link, &tap->rx.vh, tap->rx.frame, r - sizeof(tap->rx.vh));
	}
	return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	tap_drain(container_of(poll, struct tap, poll));
}

struct tap *tap_new(uv_loop_t *loop, int fd, int *err)
{
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap) {
		*err = -ENOMEM;
		return NULL;
	}
	link_init(&tap->link, &tap_driver);
	tap->fd = fd;
	*err = uv_poll_init(loop, &tap->poll, fd);
	if (*err) {
		free(tap);
		return NULL;
	}
	return tap;
}

struct link *tap_link(struct tap *tap)
{
	return &tap->link;
}

void tap_start(struct tap *tap, void (*on_gone)(void *ctx, int err), void *ctx)
{
	tap->on_gone = on_gone;
	tap->ctx = ctx;
	uv_poll_start(&tap->poll, UV_READABLE, on_readable);
}

static void on_closed(uv_handle_t *h)
{
	struct tap *tap = container_of((uv_poll_t *)h, struct tap, poll);

	close(tap->fd);
	free(tap);
}

void tap_close(struct tap *tap)
{
	uv_close((uv_handle_t *)&tap->poll, on_closed);
}
