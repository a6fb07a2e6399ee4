/*
 * Theory of operation
 *
 * The child's kernel believes it talks to a gateway that routes anywhere. This file reads
 * its frames, answers what a gateway answers itself (ARP, neighbour solicitation), and hands
 * the rest to stack_{tcp,udp,icmp}.c. The former two call tcp_input() and udp_input()
 * directly: lwIP's IP input would only take packets to an address of its own netif, and our
 * netif has none. We parse the IP header in any case, since the policy rests on it.
 *
 * Invariants: a packet goes on only when its source is the address we gave the child, so a
 * child that is root in its namespace can neither spoof nor learn; lengths and checksums
 * are verified before lwIP sees a byte (a frame that the kernel marked as "checksum still
 * to be filled in" never crossed a wire and needs none); what is dropped is counted.
 *
 * Towards the child transport checksums are left to the kernel (virtio-net NEEDS_CSUM), and
 * a TCP segment larger than the child's MSS goes as one super-segment with gso_size.
 *
 * Rejected: giving the netif addresses (changing one aborts every connection), NAT onto a
 * fixed address, lwIP's input hooks (they run after the demultiplexing), patching lwIP.
 */
#include "netif/stack.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lwip/init.h"
#include "netif/gateway.h"
#include "netif/lwip_hooks.h"
#include "netif/reass.h"
#include "netif/stack_internal.h"

/* Pieces of one packet: header, and a pbuf per write that was not merged. */
#define TX_IOV_MAX 64
/* No child announces a smaller MSS: stack_tcp.c raises those that do. */
#define MSS_MIN 536

uint32_t stack_random32(void)
{
	static uint32_t pool[64];
	static unsigned left;

	if (!left) {
		ssize_t n = getrandom(pool, sizeof(pool), 0);

		/* 256 bytes are never interrupted, random(4). */
		assert(n == sizeof(pool));
		left = ARRAY_SIZE(pool);
	}
	return pool[--left];
}

void stack_drop(struct stack *st, enum stack_drop why)
{
	st->drops[why]++;
}

void stack_to_lwip(const struct addr *a, ip_addr_t *out)
{
	memset(out, 0, sizeof(*out));
	if (addr_is_v4(a)) {
		IP_SET_TYPE(out, IPADDR_TYPE_V4);
		ip_2_ip4(out)->addr = addr_v4(a);
	} else {
		IP_SET_TYPE(out, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(out)->addr, a->b, 16);
	}
}

/* --- to the child --- */

static void eth_header(const struct stack *st, uint8_t out[PACKET_ETH_LEN], uint16_t type)
{
	memcpy(out, st->plan.child_mac, 6);
	memcpy(out + 6, st->plan.gateway_mac, 6);
	out[12] = type >> 8;
	out[13] = type & 255;
}

static void send_frame(struct stack *st, uint16_t type, const void *data, size_t len)
{
	struct virtio_net_hdr vh = { 0 };
	uint8_t eth[PACKET_ETH_LEN];
	struct iovec iov[3] = {
		{ &vh, sizeof(vh) },
		{ eth, sizeof(eth) },
		{ (void *)data, len },
	};

	eth_header(st, eth, type);
	link_tx(st->link, iov, 3);
}

/* Leaves the transport checksum to the kernel and asks for segmentation where it is due.
 * `head` has at least the headers of the packet. */
static void offload(const struct stack *st, struct virtio_net_hdr *vh, uint8_t *ip,
		    size_t head, size_t len)
{
	bool v4 = ip[0] >> 4 == 4;
	uint8_t protocol = v4 ? ip[9] : ip[6];
	size_t hlen = v4 ? 20 : 40, l4_len = len - hlen;
	struct addr src = v4 ? addr_from_v4(ip + 12) : addr_from_v6(ip + 8);
	struct addr dst = v4 ? addr_from_v4(ip + 16) : addr_from_v6(ip + 24);
	size_t offset = protocol == IPPROTO_TCP ? 16 : 6;
	uint16_t pseudo = packet_pseudo_sum(&src, &dst, protocol, l4_len);

	assert(head >= hlen + offset + 2);
	memcpy(ip + hlen + offset, &pseudo, 2);
	vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh->csum_start = PACKET_ETH_LEN + hlen;
	vh->csum_offset = offset;
	if (protocol == IPPROTO_UDP && st->udp_gso_size) {
		vh->gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		vh->gso_size = st->udp_gso_size;
		vh->hdr_len = PACKET_ETH_LEN + hlen + 8;
	}
	if (protocol == IPPROTO_TCP && l4_len > MSS_MIN) {
		const uint8_t *tcp = ip + hlen;
		size_t tcp_hlen = (tcp[12] >> 4) * 4u;
		uint16_t mss = stack_tcp_mss(st, &src, tcp[0] << 8 | tcp[1],
					     tcp[2] << 8 | tcp[3]);

		if (mss && l4_len - tcp_hlen > mss) {
			vh->gso_type = v4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
					    VIRTIO_NET_HDR_GSO_TCPV6;
			vh->gso_size = mss;
			vh->hdr_len = PACKET_ETH_LEN + hlen + tcp_hlen;
		}
	}
}

static err_t output(struct netif *netif, struct pbuf *p, bool v4)
{
	static uint8_t flat[65536];
	struct stack *st = netif->state;
	struct virtio_net_hdr vh = { 0 };
	uint8_t eth[PACKET_ETH_LEN];
	struct iovec iov[TX_IOV_MAX] = { { &vh, sizeof(vh) }, { eth, sizeof(eth) } };
	int n = 2;

	eth_header(st, eth, v4 ? ETH_P_IP : ETH_P_IPV6);
	offload(st, &vh, p->payload, p->len, p->tot_len);
	for (struct pbuf *q = p; q && n < TX_IOV_MAX; q = q->next)
		if (q->len)
			iov[n++] = (struct iovec){ q->payload, q->len };
	if (n == TX_IOV_MAX) {
		pbuf_copy_partial(p, flat, p->tot_len, 0);
		iov[2] = (struct iovec){ flat, p->tot_len };
		n = 3;
	}
	return link_tx(st->link, iov, n) ? ERR_BUF : ERR_OK;
}

static err_t output_v4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	(void)to;
	return output(netif, p, true);
}

static err_t output_v6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	(void)to;
	return output(netif, p, false);
}

static int send_packet(struct stack *st, struct virtio_net_hdr *vh, uint8_t *head,
		       size_t head_len, const struct iovec *data)
{
	uint8_t eth[PACKET_ETH_LEN];
	struct iovec iov[4] = {
		{ vh, sizeof(*vh) }, { eth, sizeof(eth) }, { head, head_len }, *data
	};

	eth_header(st, eth, head[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
	return link_tx(st->link, iov, data->iov_len ? 4 : 3);
}

int stack_send_packet(struct stack *st, uint8_t *head, size_t head_len,
		      const struct iovec *data)
{
	struct virtio_net_hdr vh = { 0 };

	offload(st, &vh, head, head_len, head_len + data->iov_len);
	return send_packet(st, &vh, head, head_len, data);
}

int stack_send_plain(struct stack *st, uint8_t *head, size_t head_len,
		     const struct iovec *data)
{
	struct virtio_net_hdr vh = { 0 };

	return send_packet(st, &vh, head, head_len, data);
}

void stack_send_ip(struct stack *st, bool v4, const uint8_t *packet, size_t len)
{
	send_frame(st, v4 ? ETH_P_IP : ETH_P_IPV6, packet, len);
}

/* --- the gateway's own services --- */

static void serve_arp(struct stack *st, const uint8_t *data, size_t len)
{
	uint8_t reply[GATEWAY_ARP_LEN];

	if (gateway_arp(&st->plan, data, len, reply))
		send_frame(st, ETH_P_ARP, reply, sizeof(reply));
	else
		stack_drop(st, STACK_DROP_NOISE);
}

static bool serve_neighbour(struct stack *st, const struct packet *pkt)
{
	uint8_t reply[GATEWAY_NEIGHBOUR_LEN];

	if (!gateway_neighbour(&st->plan, pkt, reply))
		return false;
	send_frame(st, ETH_P_IPV6, reply, sizeof(reply));
	return true;
}

/* --- from the child --- */

struct pbuf *stack_input_begin(struct stack *st, const struct addr *src,
			       const struct addr *dst, const uint8_t *ip, size_t ip_hlen,
			       void *l4, size_t l4_len)
{
	bool v4 = addr_is_v4(src);

	ip_data.current_netif = &st->netif;
	ip_data.current_input_netif = &st->netif;
	ip_data.current_ip4_header = v4 ? (const struct ip_hdr *)ip : NULL;
	ip_data.current_ip6_header = v4 ? NULL : (struct ip6_hdr *)(uintptr_t)ip;
	ip_data.current_ip_header_tot_len = ip_hlen;
	stack_to_lwip(src, &ip_data.current_iphdr_src);
	stack_to_lwip(dst, &ip_data.current_iphdr_dest);
	return pbuf_alloced_custom(PBUF_RAW, l4_len, PBUF_REF, &st->rx_pbuf, l4, l4_len);
}

/* A whole packet from the child's own address. `verify` when its transport checksum is
 * complete, so that it can be wrong. */
static void input_packet(struct stack *st, struct packet *pkt, bool verify)
{
	if (stack_icmp_expire(st, pkt))
		return;
	pkt->sum_is_whole = verify;
	switch (pkt->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((pkt->protocol == IPPROTO_ICMP) == pkt->v4)
			return stack_icmp_input(st, pkt);
		/* fall through */
	default:
		stack_drop(st, STACK_DROP_UNSUPPORTED);
		stack_icmp_error(st, pkt->ip, pkt->ip_len, &pkt->src, ENOPROTOOPT, 0);
		return;
	}
	if (verify && !packet_l4_sum_ok(pkt))
		stack_drop(st, STACK_DROP_MALFORMED);
	else if (pkt->protocol == IPPROTO_TCP)
		stack_tcp_input(st, pkt);
	else
		stack_udp_input(st, pkt);
}

/* A piece of a datagram: goes on as a whole packet once the last piece has come. */
static void input_fragment(struct stack *st, const struct packet *piece)
{
	struct packet pkt;
	size_t len;
	uint8_t *whole = reass_add(st->reass, piece, uv_now(st->loop), &len);

	if (!whole)
		return;
	if (packet_parse(whole, len, &pkt) != PACKET_OK)
		return stack_drop(st, STACK_DROP_MALFORMED);
	pkt.dont_fragment = false; /* its sender has fragmented it */
	input_packet(st, &pkt, true);
}

static void input_ip(struct stack *st, const struct virtio_net_hdr *vh, uint8_t *ip,
		     size_t len)
{
	struct packet pkt;
	enum packet_status status = packet_parse(ip, len, &pkt);

	if (status == PACKET_MALFORMED)
		return stack_drop(st, STACK_DROP_MALFORMED);
	if (status == PACKET_MARTIAN)
		return stack_drop(st, STACK_DROP_MARTIAN);
	if (!pkt.v4 && serve_neighbour(st, &pkt))
		return;
	if (gateway_is_noise(&pkt))
		return stack_drop(st, STACK_DROP_NOISE);
	if (!addr_eq(&pkt.src, pkt.v4 ? &st->plan.child4 : &st->plan.child6))
		return stack_drop(st, STACK_DROP_SPOOFED);
	if (status == PACKET_FRAGMENT)
		return input_fragment(st, &pkt);
	input_packet(st, &pkt, !(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM));
}

static void on_rx(void *ctx, const struct virtio_net_hdr *vh, uint8_t *frame, size_t len)
{
	struct stack *st = ctx;

	if (len < PACKET_ETH_LEN)
		return stack_drop(st, STACK_DROP_MALFORMED);
	switch (frame[12] << 8 | frame[13]) {
	case ETH_P_ARP:
		return serve_arp(st, frame + PACKET_ETH_LEN, len - PACKET_ETH_LEN);
	case ETH_P_IP:
	case ETH_P_IPV6:
		return input_ip(st, vh, frame + PACKET_ETH_LEN, len - PACKET_ETH_LEN);
	default:
		stack_drop(st, STACK_DROP_UNSUPPORTED);
	}
}

/* --- life --- */

static err_t netif_up(struct netif *netif)
{
	netif->output = output_v4;
	netif->output_ip6 = output_v6;
	netif->flags = NETIF_FLAG_UP | NETIF_FLAG_LINK_UP;
	netif->mtu = 0; /* lwIP neither fragments nor clips */
	NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_GEN_IP);
	return ERR_OK;
}

static void rx_pbuf_free(struct pbuf *p)
{
	(void)p; /* its memory is the frame's, its struct the stack's */
}

struct stack *stack_new(uv_loop_t *loop, struct link *link, const struct netplan *plan,
			const struct stack_up *up)
{
	static bool initialised;
	struct stack *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	if (!initialised)
		lwip_init();
	initialised = true;
	st->loop = loop;
	st->link = link;
	st->plan = *plan;
	st->up = *up;
	st->rx_pbuf.custom_free_function = rx_pbuf_free;
	stack_icmp_init(st);
	netif_add_noaddr(&st->netif, st, netif_up, NULL);
	netif_set_default(&st->netif); /* the single one, as lwIP looks it up */
	st->tcp = stack_tcp_new(st);
	st->dgram = st->tcp ? stack_udp_new(st) : NULL;
	st->reass = st->dgram ? reass_new() : NULL;
	if (!st->reass) {
		if (st->dgram)
			stack_udp_free(st);
		if (st->tcp)
			stack_tcp_free(st);
		netif_remove(&st->netif);
		free(st);
		return NULL;
	}
	link_receiver_set(link, on_rx, st);
	return st;
}

void stack_flush(struct stack *st)
{
	stack_tcp_flush(st);
}

void stack_timer(struct stack *st)
{
	stack_tcp_timer(st);
}

size_t stack_connections(const struct stack *st)
{
	return stack_tcp_count(st);
}

const uint64_t *stack_drops(const struct stack *st)
{
	return st->drops;
}

void stack_close(struct stack *st)
{
	stack_tcp_close(st);
	stack_udp_close(st);
}

void stack_free(struct stack *st)
{
	stack_tcp_free(st);
	stack_udp_free(st);
	reass_free(st->reass);
	netif_remove(&st->netif);
	free(st);
}
