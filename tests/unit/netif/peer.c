#include "peer.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

static int peer_tx(struct link *link, const struct iovec *iov, int n)
{
	struct peer *p = container_of(link, struct peer, link);
	const struct virtio_net_hdr *vh = iov[0].iov_base;
	struct peer_frame *f;

	if (p->refuse_gso && vh->gso_type) {
		p->refusals++;
		return -EINVAL;
	}
	f = &p->frames[p->tail++ % PEER_FRAMES];
	if (p->tail - p->head > PEER_FRAMES)
		p->head++; /* nobody reads: the oldest is lost */
	assert(iov[0].iov_len == sizeof(f->vh));
	memcpy(&f->vh, iov[0].iov_base, sizeof(f->vh));
	f->len = 0;
	for (int i = 1; i < n; i++) {
		assert(f->len + iov[i].iov_len <= sizeof(f->data));
		memcpy(f->data + f->len, iov[i].iov_base, iov[i].iov_len);
		f->len += iov[i].iov_len;
	}
	return 0;
}

static const struct link_driver driver = { .tx = peer_tx };

void peer_init(struct peer *p, const struct stack_up *up)
{
	int r;

	memset(p, 0, offsetof(struct peer, frames));
	r = uv_loop_init(&p->loop);
	assert(!r);
	link_init(&p->link, &driver);
	netplan_choose(&p->plan, 0x12345678, 1500);
	p->plan.ipv6 = true;
	p->st = stack_new(&p->loop, &p->link, &p->plan, up);
	assert(p->st);
}

void peer_fini(struct peer *p)
{
	int r;

	stack_close(p->st);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	stack_free(p->st);
	r = uv_loop_close(&p->loop);
	assert(!r); /* nothing is left */
}

void peer_timers(struct peer *p, unsigned n)
{
	while (n--) {
		stack_timer(p->st);
		stack_flush(p->st);
	}
}

void peer_send_ip(struct peer *p, const uint8_t *ip, size_t len, bool checksummed)
{
	/* as a link has it: the IP header behind Ethernet's 14 bytes is aligned */
	static _Alignas(16) uint8_t area[2 + 66000];
	uint8_t *frame = area + 2;
	struct virtio_net_hdr vh = { .flags = checksummed ? 0 :
							    VIRTIO_NET_HDR_F_NEEDS_CSUM };
	bool v4 = ip[0] >> 4 == 4;

	memcpy(frame, p->plan.gateway_mac, 6);
	memcpy(frame + 6, p->plan.child_mac, 6);
	frame[12] = v4 ? 0x08 : 0x86;
	frame[13] = v4 ? 0x00 : 0xdd;
	memcpy(frame + PACKET_ETH_LEN, ip, len);
	link_rx(&p->link, &vh, frame, PACKET_ETH_LEN + len);
}

void peer_send(struct peer *p, struct peer_conn *c, uint8_t flags, const void *options,
	       size_t options_len, const void *data, size_t len)
{
	static _Alignas(16) uint8_t ip[66000];
	const struct addr *child = addr_is_v4(&c->remote) ? &p->plan.child4 :
							    &p->plan.child6;
	struct tcphdr tcp = {
		.th_sport = htons(c->port),
		.th_dport = htons(c->remote_port),
		.th_seq = htonl(c->seq),
		.th_ack = flags & TH_ACK ? htonl(c->ack) : 0,
		.th_off = (sizeof(tcp) + options_len) / 4,
		.th_flags = flags,
		.th_win = htons(c->window),
	};
	size_t l4 = sizeof(tcp) + options_len + len;
	size_t hlen = packet_ip_header(ip, child, &c->remote, IPPROTO_TCP,
				       c->ttl ? c->ttl : 64, l4);
	uint16_t sum;

	memcpy(ip + hlen, &tcp, sizeof(tcp));
	if (options_len)
		memcpy(ip + hlen + sizeof(tcp), options, options_len);
	if (len)
		memcpy(ip + hlen + sizeof(tcp) + options_len, data, len);
	sum = ~packet_sum(ip + hlen, l4,
			  packet_pseudo_sum(child, &c->remote, IPPROTO_TCP, l4));
	memcpy(ip + hlen + 16, &sum, 2);
	peer_send_ip(p, ip, hlen + l4, true);
	c->seq += len + !!(flags & TH_SYN) + !!(flags & TH_FIN);
}

struct peer_frame *peer_next(struct peer *p)
{
	return p->head == p->tail ? NULL : &p->frames[p->head++ % PEER_FRAMES];
}

bool peer_next_segment(struct peer *p, struct peer_conn *c, struct peer_segment *out)
{
	struct peer_frame *f = peer_next(p);
	enum packet_status status;
	struct tcphdr tcp;

	if (!f)
		return false;
	memset(out, 0, sizeof(*out));
	status = packet_parse(f->data + PACKET_ETH_LEN, f->len - PACKET_ETH_LEN,
			      &out->ip);
	assert(status == PACKET_OK);
	assert(out->ip.protocol == IPPROTO_TCP);
	assert(out->ip.l4_len >= sizeof(tcp));
	memcpy(&tcp, out->ip.l4, sizeof(tcp));
	assert(ntohs(tcp.th_dport) == c->port);
	assert(ntohs(tcp.th_sport) == c->remote_port);
	assert(addr_eq(&out->ip.src, &c->remote));
	out->flags = tcp.th_flags;
	out->seq = ntohl(tcp.th_seq);
	out->ack = ntohl(tcp.th_ack);
	out->window = ntohs(tcp.th_win);
	out->gso_size = f->vh.gso_type ? f->vh.gso_size : 0;
	out->options = out->ip.l4 + sizeof(tcp);
	out->options_len = tcp.th_off * 4u - sizeof(tcp);
	out->data = out->ip.l4 + tcp.th_off * 4u;
	out->data_len = out->ip.l4_len - tcp.th_off * 4u;
	/* The kernel is to fill in the checksum: it finds the pseudo-header's there. */
	assert(f->vh.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert(tcp.th_sum == packet_pseudo_sum(&out->ip.src, &out->ip.dst, IPPROTO_TCP,
					       out->ip.l4_len));
	if (tcp.th_flags & TH_SYN)
		c->ack = out->seq;
	if (out->seq == c->ack)
		c->ack += out->data_len + !!(tcp.th_flags & TH_SYN) +
			  !!(tcp.th_flags & TH_FIN);
	return true;
}
