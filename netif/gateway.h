/* What a gateway answers itself: ARP, neighbour solicitations, ping. Pure. */
#ifndef NETIF_GATEWAY_H
#define NETIF_GATEWAY_H

#include "base/netplan.h"
#include "netif/packet.h"

#define GATEWAY_ARP_LEN 28	 /* RFC 826 with Ethernet and IPv4 addresses */
#define GATEWAY_NEIGHBOUR_LEN 72 /* IPv6 header, advertisement, one option */

/* The reply to an ARP packet that asks for the gateway; false when it asks for another. */
bool gateway_arp(const struct netplan *np, const uint8_t *arp, size_t len,
		 uint8_t reply[static GATEWAY_ARP_LEN]);

/* The advertisement for a solicitation of the gateway's address (RFC 4861 4.3, 4.4); false
 * when pkt is none. Writes the whole IPv6 packet. */
bool gateway_neighbour(const struct netplan *np, const struct packet *pkt,
		       uint8_t reply[static GATEWAY_NEIGHBOUR_LEN]);

/* Turns an echo request to the gateway into its reply, in place; false when it is none. */
bool gateway_echo(const struct netplan *np, const struct packet *pkt);

/* What a kernel sends without being asked: router solicitations, ND, MLD, IGMP. */
bool gateway_is_noise(const struct packet *pkt);

#endif
