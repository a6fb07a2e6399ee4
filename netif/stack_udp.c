/*
 * Datagrams. One port object and one lwIP pcb per child endpoint, made at its first datagram
 * and kept until the flow side closes it; shown to lwIP alone, as connections are. The pcb
 * has no address and no port of its own: it bears the other side's port for the length of a
 * call, so the child sees answers from whom it wrote to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/udp.h"
#include "netif/stack_internal.h"

#define UDP_HEADER 8
#define PORTS 65536
/* Child endpoints at a time; beyond that datagrams are lost, as in any full queue. */
#define PORT_MAX 8192
/* IPv4 counts its own header in the length, IPv6 does not (RFC 791 3.1, RFC 8200 3). */
#define DATA_MAX_V4 (0xffff - 20 - UDP_HEADER)
#define DATA_MAX_V6 (0xffff - UDP_HEADER)
/* A pbuf chain counts its length, IP header included, in 16 bits. */
#define CHAIN_MAX_V4 DATA_MAX_V4
#define CHAIN_MAX_V6 (DATA_MAX_V6 - 40)

struct port {
	struct dgram_port dp;
	struct stack *st;
	struct udp_pcb *pcb;
};

struct dgram_table {
	struct port *v4[PORTS], *v6[PORTS]; /* by the child's port */
	size_t count;
	const struct packet *current; /* the datagram being read */
	struct pbuf *rx_new;	      /* what udp_input() has brought */
	bool no_bursts;		      /* the device takes no UDP super-segments */
};

static struct port **slot(const struct stack *st, bool v4, uint16_t child_port)
{
	return &(v4 ? st->dgram->v4 : st->dgram->v6)[child_port];
}

static struct port *of(struct dgram_port *dp)
{
	return container_of(dp, struct port, dp);
}

static void mount(struct port *p, uint16_t local_port)
{
	p->pcb->next = NULL;
	p->pcb->local_port = local_port;
	udp_pcbs = p->pcb;
}

static void unmount(void)
{
	udp_pcbs = NULL;
}

/* One frame of n datagrams: with more than one it is a super-segment. */
static int send_frame(struct port *p, const struct endpoint *from,
		      const struct iovec *iov, int n)
{
	struct stack *st = p->st;
	struct pbuf *head = NULL;
	ip_addr_t src, dst;
	err_t e;

	for (int i = 0; i < n; i++) {
		struct pbuf *q = pbuf_alloc(PBUF_RAW, iov[i].iov_len, PBUF_REF);

		if (!q) {
			if (head)
				pbuf_free(head);
			return -ENOMEM;
		}
		q->payload = iov[i].iov_base;
		if (head)
			pbuf_cat(head, q);
		else
			head = q;
	}
	stack_to_lwip(&from->addr, &src);
	stack_to_lwip(&p->dp.child.addr, &dst);
	st->udp_gso_size = n > 1 ? iov[0].iov_len : 0;
	mount(p, from->port);
	e = udp_sendto_if_src(p->pcb, head, &dst, p->dp.child.port, &st->netif, &src);
	unmount();
	st->udp_gso_size = 0;
	pbuf_free(head);
	return e == ERR_OK ? 0 : -ENOBUFS;
}

static void write_header(uint8_t out[UDP_HEADER], uint16_t from, uint16_t to,
			 size_t l4_len)
{
	memcpy(out,
	       (uint8_t[]){ from >> 8, from & 255, to >> 8, to & 255, l4_len >> 8,
			    l4_len & 255, 0, 0 },
	       UDP_HEADER);
}

/* One frame of a datagram too long for lwIP. The child's kernel takes it, whatever its MTU. */
static int send_long(struct port *p, const struct endpoint *from, const struct iovec *iov)
{
	uint8_t head[40 + UDP_HEADER];
	size_t l4_len = UDP_HEADER + iov->iov_len;
	size_t hlen = packet_ip_header(head, &from->addr, &p->dp.child.addr, IPPROTO_UDP,
				       UDP_TTL, l4_len);

	write_header(head + hlen, from->port, p->dp.child.port, l4_len);
	return stack_send_packet(p->st, head, hlen + UDP_HEADER, iov);
}

static int port_send(struct dgram_port *dp, const struct endpoint *from,
		     const struct iovec *iov, int n)
{
	struct port *p = of(dp);
	struct dgram_table *t = p->st->dgram;
	bool v4 = addr_is_v4(&dp->child.addr);
	size_t max = v4 ? CHAIN_MAX_V4 : CHAIN_MAX_V6;
	int r = 0, taken;

	for (; n; iov += taken, n -= taken) {
		size_t sum = iov->iov_len;

		taken = 1;
		if (sum > (v4 ? DATA_MAX_V4 : DATA_MAX_V6))
			return -EMSGSIZE;
		if (sum > max) {
			r = send_long(p, from, iov);
			continue;
		}
		for (; taken < n && !t->no_bursts; taken++) {
			sum += iov[taken].iov_len;
			if (sum > max)
				break;
		}
		r = send_frame(p, from, iov, taken);
		if (r && taken > 1) {
			/* A kernel before 6.2 knows no GSO_UDP_L4 on a tap. */
			t->no_bursts = true;
			taken = 0;
		}
	}
	return r;
}

static void port_refuse(struct dgram_port *dp, int err, uint32_t mtu)
{
	struct stack *st = of(dp)->st;
	const struct packet *pkt = st->dgram->current;

	assert(pkt);
	stack_icmp_error(st, pkt->ip, pkt->ip_len, &pkt->src, err, mtu);
}

static void port_error(struct dgram_port *dp, const struct dgram *d, const void *data,
		       size_t n, const struct neterror *e)
{
	uint8_t quote[PACKET_ICMP_MAX];
	struct packet_marks marks = { .ttl = d->ttl,
				      .tos = d->tos,
				      .ip_id = d->ip_id,
				      .dont_fragment = d->dont_fragment };
	size_t hlen = packet_ip_header_marked(quote, &dp->child.addr, &d->to.addr,
					      IPPROTO_UDP, &marks, UDP_HEADER + d->len);

	n = MIN(MIN(n, d->len), sizeof(quote) - hlen - UDP_HEADER);
	write_header(quote + hlen, dp->child.port, d->to.port, UDP_HEADER + d->len);
	memcpy(quote + hlen + 6, &d->sum, 2);
	memcpy(quote + hlen + UDP_HEADER, data, n);
	stack_icmp_tell(of(dp)->st, quote, hlen + UDP_HEADER + n, &dp->child.addr, e);
}

static void port_free(struct port *p)
{
	struct stack *st = p->st;

	mount(p, 0);
	udp_remove(p->pcb);
	unmount();
	*slot(st, addr_is_v4(&p->dp.child.addr), p->dp.child.port) = NULL;
	st->dgram->count--;
	free(p);
}

static void port_close(struct dgram_port *dp)
{
	struct port *p = of(dp);

	dp->owner = NULL;
	/* While its own datagram is being read, stack_udp_input() still needs it. */
	if (!p->st->dgram->current)
		port_free(p);
}

static const struct dgram_port_ops port_ops = {
	.send = port_send,
	.refuse = port_refuse,
	.error = port_error,
	.close = port_close,
};

static void on_recv(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *addr,
		    u16_t port)
{
	struct stack *st = arg;

	(void)pcb;
	(void)addr;
	(void)port;
	st->dgram->rx_new = p;
}

static struct port *port_new(struct stack *st, const struct endpoint *child)
{
	struct port *p = st->dgram->count < PORT_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return NULL;
	p->pcb = udp_new_ip_type(IPADDR_TYPE_ANY);
	if (!p->pcb) {
		free(p);
		return NULL;
	}
	udp_recv(p->pcb, on_recv, st);
	p->st = st;
	p->dp.ops = &port_ops;
	p->dp.child = *child;
	st->dgram->count++;
	return p;
}

void stack_udp_input(struct stack *st, const struct packet *pkt)
{
	struct dgram_table *t = st->dgram;
	struct endpoint child;
	struct port **s, *p;
	struct dgram d = { .ttl = pkt->ttl, .tos = pkt->tos, .ip_id = pkt->ip_id };
	size_t len;

	if (pkt->l4_len < UDP_HEADER)
		return stack_drop(st, STACK_DROP_MALFORMED);
	len = pkt->l4[4] << 8 | pkt->l4[5];
	if (len < UDP_HEADER || len > pkt->l4_len)
		return stack_drop(st, STACK_DROP_MALFORMED);
	child = (struct endpoint){ pkt->src, pkt->l4[0] << 8 | pkt->l4[1] };
	d.to = (struct endpoint){ pkt->dst, pkt->l4[2] << 8 | pkt->l4[3] };
	s = slot(st, pkt->v4, child.port);
	if (!*s)
		*s = port_new(st, &child);
	p = *s;
	if (!p)
		return stack_drop(st, STACK_DROP_FULL);

	mount(p, d.to.port);
	udp_input(stack_input_begin(st, &pkt->src, &pkt->dst, pkt->ip, pkt->l4 - pkt->ip,
				    pkt->l4, len),
		  &st->netif);
	unmount();
	if (!t->rx_new) /* lwIP takes none to a broadcast address */
		return stack_drop(st, STACK_DROP_UNSUPPORTED);
	d.data = t->rx_new->payload;
	d.len = t->rx_new->tot_len;
	d.dont_fragment = pkt->dont_fragment;
	if (pkt->sum_is_whole)
		memcpy(&d.sum, pkt->l4 + 6, 2);
	t->current = pkt;
	st->up.on_dgram(st->up.dgram_ctx, &p->dp, &d);
	t->current = NULL;
	pbuf_free(steal_ptr(&t->rx_new));
	if (!p->dp.owner)
		port_free(p);
}

struct dgram_table *stack_udp_new(struct stack *st)
{
	(void)st;
	return calloc(1, sizeof(struct dgram_table));
}

void stack_udp_close(struct stack *st)
{
	assert(!st->dgram->count); /* the sessions have ended */
}

void stack_udp_free(struct stack *st)
{
	free(st->dgram);
}
