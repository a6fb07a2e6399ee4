/*
 * Theory of operation
 *
 * The egress view has the child's packets as if its kernel had sent them from the host's
 * socket: addresses and ports are those of the socket and of whom it has reached (a proxy,
 * where there is one), and the checksums follow; every other field is the child's. Between
 * a synthetic address of one family and a socket of the other the IP header is written anew.
 *
 * A flow's first packets pass before its socket has an address. They are held until the
 * event that tells it, and written with the time at which they passed; of a flow that was
 * refused, or whose connection failed, nothing is shown, as nothing of it left. What is held
 * is bounded: beyond that the oldest is forgotten.
 *
 * Checksums are changed by the difference (RFC 1624), so one that the child has sent wrong
 * stays wrong. Fragments, ARP and neighbour discovery have no socket and are not shown, nor
 * are questions to port 53: our resolver asks its own.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture_internal.h"

#define HELD_BYTES_MAX (UINT32_C(8) << 20)
#define HELD_PER_FLOW 64
#define DNS_PORT 53
#define V4_LEN 20
#define V6_LEN 40

struct held {
	struct list of_flow, all;
	struct known_flow *flow;
	struct shape shape;
	struct pcapng_packet packet;
	bool from_child;
	size_t len;
	uint8_t data[];
};

/* --- rewriting --- */

/* The checksum at `field` when the words that add up to `was` have become `is`. */
static void change_sum(uint8_t *field, uint64_t was, uint64_t is, bool udp)
{
	uint16_t sum, without = ~cut_fold(was);

	memcpy(&sum, field, 2);
	sum = ~sum;
	sum = ~cut_fold((uint64_t)sum + without + cut_fold(is));
	if (!sum && udp)
		sum = 0xffff;
	memcpy(field, &sum, 2);
}

static size_t put_addrs(uint8_t *ip, bool v4, const struct addr *src,
			const struct addr *dst)
{
	size_t at = v4 ? 12 : 8, len = v4 ? 4 : 16;

	memcpy(ip + at, src->b + 16 - len, len);
	memcpy(ip + at + len, dst->b + 16 - len, len);
	return 2 * len;
}

static uint64_t sum_addrs(const uint8_t *ip, bool v4)
{
	return cut_sum(ip + (v4 ? 12 : 8), v4 ? 8 : 32, 0);
}

/* Ports, or the identifier of an echo. Returns where the checksum is. */
static uint8_t *put_ports(uint8_t *l4, uint8_t protocol, uint16_t src, uint16_t dst,
			  bool from_child)
{
	const uint16_t ports[2] = { htons(src), htons(dst) };
	uint16_t id = from_child ? ports[0] : ports[1];

	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
		memcpy(l4, ports, 4);
		return l4 + (protocol == IPPROTO_TCP ? 16 : 6);
	}
	memcpy(l4 + 4, &id, 2);
	return l4 + 2;
}

/* A header of the other family that says the same, as far as it can. */
static size_t other_header(uint8_t *out, const uint8_t *ip, const struct shape *s,
			   size_t l4_len)
{
	uint16_t len = htons(l4_len + (s->v4 ? 0 : V4_LEN));
	uint8_t traffic_class = s->v4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);

	if (s->v4) {
		memset(out, 0, V6_LEN);
		out[0] = 0x60 | traffic_class >> 4;
		out[1] = traffic_class << 4;
		memcpy(out + 4, &len, 2);
		out[6] = s->protocol;
		out[7] = ip[8];
		return V6_LEN;
	}
	memset(out, 0, V4_LEN);
	out[0] = 0x45;
	out[1] = traffic_class;
	memcpy(out + 2, &len, 2);
	out[6] = 0x40; /* IPv6 routers don't fragment either */
	out[8] = ip[7];
	out[9] = s->protocol;
	return V4_LEN;
}

static uint64_t sum_l4(const uint8_t *l4, uint8_t protocol)
{
	bool ports = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;

	return cut_sum(l4 + (ports ? 0 : 4), ports ? 4 : 2, 0);
}

size_t egress_rewrite(uint8_t *out, const uint8_t *data, size_t len, struct shape *s,
		      bool from_child, const struct known_flow *f)
{
	const struct endpoint *src = from_child ? &f->local : &f->peer;
	const struct endpoint *dst = from_child ? &f->peer : &f->local;
	const uint8_t *old_ip = data + CUT_ETH_LEN;
	bool v4 = addr_is_v4(&f->local.addr), pseudo = s->protocol != IPPROTO_ICMP;
	bool same = v4 == s->v4, udp = s->protocol == IPPROTO_UDP;
	uint8_t *ip = out + CUT_ETH_LEN, *l4, *field;
	size_t hlen = s->l4 - CUT_ETH_LEN;
	uint64_t was, is;

	if (v4 != addr_is_v4(&f->peer.addr) ||
	    (!same && s->protocol != IPPROTO_TCP && !udp))
		return 0;
	memcpy(out, data, CUT_ETH_LEN);
	if (same)
		memcpy(ip, old_ip, hlen);
	else
		hlen = other_header(ip, old_ip, s, len - s->l4);
	l4 = ip + hlen;
	memcpy(l4, data + s->l4, len - s->l4);
	put_addrs(ip, v4, &src->addr, &dst->addr);
	field = put_ports(l4, s->protocol, src->port, dst->port, from_child);
	was = sum_l4(data + s->l4, s->protocol) + (pseudo ? sum_addrs(old_ip, s->v4) : 0);
	is = sum_l4(l4, s->protocol) + (pseudo ? sum_addrs(ip, v4) : 0);
	if (!udp || field[0] | field[1])
		change_sum(field, was, is, udp);
	if (v4 && same)
		change_sum(ip + 10, sum_addrs(old_ip, true), sum_addrs(ip, true), false);
	if (v4 && !same) {
		uint16_t sum = ~cut_fold(cut_sum(ip, V4_LEN, 0));

		memcpy(ip + 10, &sum, 2);
	}
	if (!same) {
		out[12] = (v4 ? ETH_P_IP : ETH_P_IPV6) >> 8;
		out[13] = (v4 ? ETH_P_IP : ETH_P_IPV6) & 255;
	}
	return CUT_ETH_LEN + hlen + len - s->l4;
}

static void show(struct capture *c, struct known_flow *f, const uint8_t *data, size_t len,
		 struct shape *s, bool from_child, struct pcapng_packet *p)
{
	static uint8_t out[CUT_FRAME_MAX + V6_LEN - V4_LEN];
	size_t n = f->has_socket ? egress_rewrite(out, data, len, s, from_child, f) : 0;

	if (n)
		capture_write(c, VIEW_EGRESS, f, from_child, out, n, p);
}

/* --- holding --- */

static void drop_held(struct capture *c, struct held *h)
{
	list_del(&h->of_flow);
	list_del(&h->all);
	h->flow->held_count--;
	c->held_bytes -= h->len;
	free(h);
}

static void hold(struct capture *c, struct known_flow *f, const uint8_t *data, size_t len,
		 const struct shape *s, const struct pcapng_packet *p)
{
	struct held *h = f->held_count < HELD_PER_FLOW ? malloc(sizeof(*h) + len) : NULL;

	if (!h)
		return;
	*h = (struct held){ .flow = f,
			    .shape = *s,
			    .packet = *p,
			    .from_child = c->passing.from_child,
			    .len = len };
	memcpy(h->data, data, len);
	list_add_tail(&f->held, &h->of_flow);
	list_add_tail(&c->held, &h->all);
	f->held_count++;
	c->held_bytes += len;
	while (c->held_bytes > HELD_BYTES_MAX)
		drop_held(c, list_entry(c->held.next, struct held, all));
}

void egress_forget(struct capture *c, struct known_flow *f)
{
	while (!list_empty(&f->held))
		drop_held(c, list_entry(f->held.next, struct held, of_flow));
}

/* --- what passes, what is told --- */

void egress_packet(struct capture *c, const uint8_t *data, size_t len, struct shape *s,
		   struct pcapng_packet *packet)
{
	struct passing *p = &c->passing;

	if (!p->flow || p->quoted || p->remote.port == DNS_PORT)
		return;
	if (p->flow->phase == FLOW_PENDING)
		hold(c, p->flow, data, len, s, packet);
	else
		show(c, p->flow, data, len, s, p->from_child, packet);
}

/* A socket that isn't connected has none of its own: the one that leads to its peer. */
static bool find_local(struct endpoint *local, const struct endpoint *peer)
{
	struct endpoint to = { peer->addr, peer->port ? peer->port : 9 }, found;
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&to, &sa);
	cleanup_fd int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0)
		return false;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    !endpoint_from_sockaddr((struct sockaddr *)&sa, &found))
		return false;
	local->addr = found.addr;
	return true;
}

static bool is_any(const struct addr *a)
{
	static const struct addr any6;

	return addr_is_v4(a) ? addr_v4(a) == 0 : addr_eq(a, &any6);
}

void egress_open(struct capture *c, struct known_flow *f, const struct endpoint *local,
		 const struct endpoint *peer)
{
	f->local = *local;
	f->peer = *peer;
	f->has_socket = !is_any(&local->addr) || find_local(&f->local, peer);
	while (!list_empty(&f->held)) {
		struct held *h = list_entry(f->held.next, struct held, of_flow);

		show(c, f, h->data, h->len, &h->shape, h->from_child, &h->packet);
		drop_held(c, h);
	}
}
