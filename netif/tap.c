#include "netif/tap.h"

#include <errno.h>

/* A batch is what one wake-up reads: enough to amortise the wake-up and the acknowledgements
 * at its end, small enough that sockets get their turn. */
#define BATCH_MAX 64
/* 64 KiB of IP packet behind an Ethernet header; TSO hands over no more. */
#define FRAME_MAX (65535 + 14 + 4)

struct tap {
	struct link link;
	struct poller *poller;
	struct poll_source source;
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
			tap->on_gone(tap->ctx, r < 0 ? errno : EIO);
			return false;
		}
		link_rx(&tap->link, &tap->rx.vh, tap->rx.frame, r - sizeof(tap->rx.vh));
	}
	return true;
}

static void on_readable(struct poll_source *source, uint32_t events)
{
	(void)events;
	tap_drain(container_of(source, struct tap, source));
}

struct tap *tap_new(struct poller *poller, int fd)
{
	struct tap *tap = alloc_but(sizeof(*tap), offsetof(struct tap, rx));

	if (!tap)
		return NULL;
	link_init(&tap->link, &tap_driver);
	tap->poller = poller;
	tap->source.on_ready = on_readable;
	tap->fd = fd;
	return tap;
}

struct link *tap_link(struct tap *tap)
{
	return &tap->link;
}

int tap_start(struct tap *tap, void (*on_gone)(void *ctx, int err), void *ctx)
{
	tap->on_gone = on_gone;
	tap->ctx = ctx;
	return poller_add_level(tap->poller, &tap->source, tap->fd);
}

void tap_close(struct tap *tap)
{
	close(tap->fd);
	poller_retire(tap->poller, &tap->source, tap);
}
