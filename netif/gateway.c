#include "netif/gateway.h"

#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>

#include "base/util.h"

#define MLD2_REPORT 143 /* RFC 9777 5.2; the last of the types a kernel sends by itself */

static_assert(sizeof(struct ether_arp) == GATEWAY_ARP_LEN, "RFC 826");

bool gateway_arp(const struct netplan *np, const uint8_t *data, size_t len,
		 uint8_t reply[static GATEWAY_ARP_LEN])
{
	struct ether_arp arp;

	if (len < sizeof(arp))
		return false;
	memcpy(&arp, data, sizeof(arp));
	if (arp.arp_op != htons(ARPOP_REQUEST) || arp.arp_pro != htons(ETHERTYPE_IP) ||
	    memcmp(arp.arp_tpa, np->gateway4.b + 12, 4) != 0)
		return false;
	arp.arp_op = htons(ARPOP_REPLY);
	memcpy(arp.arp_tha, arp.arp_sha, 6);
	memcpy(arp.arp_tpa, arp.arp_spa, 4);
	memcpy(arp.arp_sha, np->gateway_mac, 6);
	memcpy(arp.arp_spa, np->gateway4.b + 12, 4);
	memcpy(reply, &arp, sizeof(arp));
	return true;
}

bool gateway_neighbour(const struct netplan *np, const struct packet *pkt,
		       uint8_t reply[static GATEWAY_NEIGHBOUR_LEN])
{
	struct {
		struct nd_neighbor_advert na;
		uint8_t option[8];
	} body = { .na.nd_na_hdr.icmp6_type = ND_NEIGHBOR_ADVERT };
	size_t hlen;

	if (pkt->v4 || pkt->protocol != IPPROTO_ICMPV6 || pkt->ttl != 255 ||
	    pkt->l4_len < sizeof(struct nd_neighbor_solicit) ||
	    pkt->l4[0] != ND_NEIGHBOR_SOLICIT ||
	    memcmp(pkt->l4 + 8, np->gateway6.b, 16) != 0)
		return false;
	static_assert(sizeof(body) == GATEWAY_NEIGHBOUR_LEN - 40, "RFC 4861 4.4, 4.6.1");
	body.na.nd_na_flags_reserved = ND_NA_FLAG_ROUTER | ND_NA_FLAG_SOLICITED |
				       ND_NA_FLAG_OVERRIDE;
	memcpy(&body.na.nd_na_target, np->gateway6.b, 16);
	body.option[0] = ND_OPT_TARGET_LINKADDR;
	body.option[1] = 1;
	memcpy(body.option + 2, np->gateway_mac, 6);
	hlen = packet_ip_header(reply, &np->gateway6, &pkt->src, IPPROTO_ICMPV6, 255,
				sizeof(body));
	body.na.nd_na_hdr.icmp6_cksum = ~packet_sum(
		&body, sizeof(body),
		packet_pseudo_sum(&np->gateway6, &pkt->src, IPPROTO_ICMPV6,
				  sizeof(body)));
	memcpy(reply + hlen, &body, sizeof(body));
	return true;
}

static bool is_echo_request(const struct packet *pkt)
{
	return pkt->l4_len >= 8 &&
	       pkt->l4[0] == (pkt->v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST) &&
	       pkt->l4[1] == 0;
}

bool gateway_echo(const struct netplan *np, const struct packet *pkt)
{
	uint8_t *icmp = pkt->l4;
	uint16_t sum;

	if (!is_echo_request(pkt) ||
	    !addr_eq(&pkt->dst, pkt->v4 ? &np->gateway4 : &np->gateway6))
		return false;
	/* Swapping source and destination leaves the IP header's checksum as it is; so does
	 * keeping the TTL. */
	memcpy(pkt->ip + (pkt->v4 ? 12 : 8), pkt->dst.b + (pkt->v4 ? 12 : 0),
	       pkt->v4 ? 4 : 16);
	memcpy(pkt->ip + (pkt->v4 ? 16 : 24), pkt->src.b + (pkt->v4 ? 12 : 0),
	       pkt->v4 ? 4 : 16);
	icmp[0] = pkt->v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	memset(icmp + 2, 0, 2);
	sum = ~packet_sum(icmp, pkt->l4_len,
			  pkt->v4 ? 0 :
				    packet_pseudo_sum(&pkt->src, &pkt->dst,
						      IPPROTO_ICMPV6, pkt->l4_len));
	memcpy(icmp + 2, &sum, 2);
	return true;
}

bool gateway_is_noise(const struct packet *pkt)
{
	if (pkt->v4)
		return pkt->protocol == IPPROTO_IGMP;
	return pkt->protocol == IPPROTO_ICMPV6 && pkt->dst.b[0] == 0xff && pkt->l4_len &&
	       pkt->l4[0] >= MLD_LISTENER_QUERY && pkt->l4[0] <= MLD2_REPORT;
}
