/* Datagrams through a SOCKS5 proxy: UDP ASSOCIATE (RFC 1928 7). */
#ifndef DIAL_SOCKS5_UDP_H
#define DIAL_SOCKS5_UDP_H

#include "base/poller.h"
#include "base/relay.h"
#include "base/sockwatch.h"
#include "dial/chain.h"

#define SOCKS5_UDP_HEAD_MAX (4 + 1 + UINT8_MAX + 2)
#define SOCKS5_UDP_DATA_MAX 65507 /* of an IPv4 datagram, its head included */

/* Writes what stands in front of a datagram and returns its length; 0 for a name that may not
 * be told to a proxy. */
size_t socks5_udp_write_head(const struct relay_peer *to,
			     uint8_t out[static SOCKS5_UDP_HEAD_MAX]);
/* Reads it and returns its length; 0 when it is malformed or the datagram is but a fragment. A
 * name is copied to `name`. */
size_t socks5_udp_read_head(const uint8_t *msg, size_t len, struct relay_peer *from,
			    char name[static UINT8_MAX + 1]);

struct socks5_relayer;

/* The chain is one SOCKS5 proxy, and outlives it; `watch` may be NULL; at most `capacity` relays
 * at a time. NULL without memory. */
struct socks5_relayer *socks5_relayer_new(struct chain *chain, struct poller *poller,
					  struct sock_watch *watch, size_t capacity);
struct relayer *socks5_relayer(struct socks5_relayer *r);
/* Every relay has been closed. */
void socks5_relayer_free(struct socks5_relayer *r);

#endif
