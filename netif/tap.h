/* Link driver for a tap device with a virtio-net header (linux/if_tun.h, IFF_VNET_HDR). */
#ifndef NETIF_TAP_H
#define NETIF_TAP_H

#include <uv.h>

#include "netif/link.h"

struct tap;

/* Takes fd over. Reads begin with tap_start(). NULL without memory; *err is then -errno. */
struct tap *tap_new(uv_loop_t *loop, int fd, int *err);
struct link *tap_link(struct tap *tap);

/* on_gone is called once when the device can't be read any more. */
void tap_start(struct tap *tap, void (*on_gone)(void *ctx, int err), void *ctx);
/* Reads what is there now; true when it stopped at its bound and more may be left. */
bool tap_drain(struct tap *tap);
/* Frees the tap when the loop has run its close callback. */
void tap_close(struct tap *tap);

#endif
