/* Link driver for a tap device with a virtio-net header (linux/if_tun.h, IFF_VNET_HDR). */
#ifndef NETIF_TAP_H
#define NETIF_TAP_H

#include "base/poller.h"
#include "netif/link.h"

struct tap;

/* Takes fd over. Reads begin with tap_start(). NULL without memory. */
struct tap *tap_new(struct poller *poller, int fd);
struct link *tap_link(struct tap *tap);

/* on_gone is called once when the device can't be read any more. 0 or -errno. */
int tap_start(struct tap *tap, void (*on_gone)(void *ctx, int err), void *ctx);
/* Reads what is there now; true when it stopped at its bound and more may be left. */
bool tap_drain(struct tap *tap);
/* Before the poller is closed, which frees the tap. */
void tap_close(struct tap *tap);

#endif
