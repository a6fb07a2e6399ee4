/* Puts the fragments of the child's datagrams together (RFC 791 3.2, RFC 8200 4.5). */
#ifndef NETIF_REASS_H
#define NETIF_REASS_H

#include "netif/packet.h"

struct reass;

/* NULL without memory. */
struct reass *reass_new(void);
void reass_free(struct reass *r);

/*
 * Takes a packet of status PACKET_FRAGMENT. Returns the whole IP packet and its length once
 * it is complete, else NULL; the memory is reass's, valid until the next call.
 */
uint8_t *reass_add(struct reass *r, const struct packet *pkt, uint64_t now_ms,
		   size_t *len);

#endif
