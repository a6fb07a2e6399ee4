/*
 * What virtio-net's offloads leave to be done, done in a copy: the same way as Linux does it
 * (tcp_gso_segment(), __udp_gso_segment(), skb_checksum_help()), so that the packets are
 * those that a wire without offloads would have carried.
 *
 * The header's words come from a kernel, but a command that is root in its namespace can
 * choose them (packet(7), PACKET_VNET_HDR): all are checked. A frame whose words make no
 * sense is shown as it is.
 */
#include "capture/cut.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#define V4_LEN 20
#define V6_LEN 40
#define UDP_LEN 8
#define TCP_LEN 20
#define ICMP_LEN 8
/* RFC 9293 knows none so small; a frame would become thousands of packets. */
#define GSO_MIN 48

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v & 255;
}

/* --- checksums --- */

uint64_t cut_sum(const uint8_t *data, size_t len, uint64_t sum)
{
	uint64_t a = 0, b = 0;
	uint32_t w[2];

	/* Words of 32 bits can't overflow 64 for 16 GiB. */
	for (; len >= 8; data += 8, len -= 8) {
		memcpy(w, data, 8);
		a += w[0];
		b += w[1];
	}
	sum = cut_fold(sum) + a + b;
	for (; len >= 2; data += 2, len -= 2) {
		uint16_t v;

		memcpy(&v, data, 2);
		sum += v;
	}
	if (len)
		sum += ntohs((uint16_t)(*data << 8));
	return sum;
}

uint16_t cut_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Over the pseudo-header of RFC 9293 3.1 and RFC 8200 8.1. */
static uint64_t pseudo_sum(const uint8_t *frame, const struct shape *s, size_t l4_len)
{
	size_t at = s->v4 ? 12 : 8, addrs = s->v4 ? 8 : 32;

	return cut_sum(frame + CUT_ETH_LEN + at, addrs,
		       (uint64_t)htons(s->protocol) + htons((uint16_t)l4_len));
}

static void l4_checksum(uint8_t *frame, size_t len, const struct shape *s)
{
	size_t at = s->protocol == IPPROTO_TCP ? 16 : s->protocol == IPPROTO_UDP ? 6 : 2;
	uint8_t *field = frame + s->l4 + at;
	bool v4_udp = s->v4 && s->protocol == IPPROTO_UDP;
	uint64_t sum = s->protocol == IPPROTO_ICMP ? 0 :
						     pseudo_sum(frame, s, len - s->l4);
	uint16_t folded;

	/* RFC 768: without one. */
	if (v4_udp && !get16(field))
		return;
	memset(field, 0, 2);
	folded = ~cut_fold(cut_sum(frame + s->l4, len - s->l4, sum));
	if (!folded && s->protocol == IPPROTO_UDP)
		folded = 0xffff;
	memcpy(field, &folded, 2);
}

static void ip_checksum(uint8_t *frame, const struct shape *s)
{
	uint8_t *ip = frame + CUT_ETH_LEN;
	uint16_t folded;

	if (!s->v4)
		return;
	memset(ip + 10, 0, 2);
	folded = ~cut_fold(cut_sum(ip, s->l4 - CUT_ETH_LEN, 0));
	memcpy(ip + 10, &folded, 2);
}

void cut_checksums(uint8_t *frame, size_t len, const struct shape *s)
{
	ip_checksum(frame, s);
	l4_checksum(frame, len, s);
}

void cut_complete(uint8_t *frame, size_t len, const struct shape *s)
{
	size_t at = s->l4 + (s->protocol == IPPROTO_TCP ? 16 : 6);
	uint16_t sum, pseudo;

	if (s->protocol != IPPROTO_TCP && s->protocol != IPPROTO_UDP)
		return;
	memcpy(&sum, frame + at, 2);
	pseudo = cut_fold(pseudo_sum(frame, s, len - s->l4));
	if (sum == pseudo)
		l4_checksum(frame, len, s);
}

/* --- shapes --- */

static bool header_is_there(const uint8_t *frame, size_t len, struct shape *s)
{
	size_t left = len - s->l4;

	switch (s->protocol) {
	case IPPROTO_TCP:
		if (left < TCP_LEN)
			return false;
		s->data = s->l4 + (frame[s->l4 + 12] >> 4) * 4;
		return s->data >= s->l4 + TCP_LEN && s->data <= len;
	case IPPROTO_UDP:
		s->data = s->l4 + UDP_LEN;
		return left >= UDP_LEN;
	case IPPROTO_ICMP:
		return s->v4 && left >= ICMP_LEN;
	case IPPROTO_ICMPV6:
		return !s->v4 && left >= ICMP_LEN;
	default:
		return false;
	}
}

static bool shape_v4(const uint8_t *ip, size_t len, struct shape *s)
{
	size_t hlen;

	if (len < V4_LEN || ip[0] >> 4 != 4)
		return false;
	hlen = (ip[0] & 15) * 4;
	if (hlen < V4_LEN || hlen > len || get16(ip + 2) < hlen)
		return false;
	s->v4 = true;
	s->protocol = ip[9];
	s->fragment = get16(ip + 6) & 0x3fff;
	s->l4 = CUT_ETH_LEN + hlen;
	return true;
}

static bool shape_v6(const uint8_t *ip, size_t len, struct shape *s)
{
	if (len < V6_LEN || ip[0] >> 4 != 6)
		return false;
	s->protocol = ip[6];
	s->fragment = ip[6] == IPPROTO_FRAGMENT;
	s->l4 = CUT_ETH_LEN + V6_LEN;
	return true;
}

struct shape cut_shape(const uint8_t *frame, size_t len)
{
	struct shape s = { 0 };
	uint16_t type = len >= CUT_ETH_LEN ? get16(frame + 12) : 0;
	const uint8_t *ip = frame + CUT_ETH_LEN;

	if (type == ETH_P_IP)
		s.ip = shape_v4(ip, len - CUT_ETH_LEN, &s);
	else if (type == ETH_P_IPV6)
		s.ip = shape_v6(ip, len - CUT_ETH_LEN, &s);
	if (!s.ip)
		return (struct shape){ 0 };
	if (s.fragment || !header_is_there(frame, len, &s))
		s.protocol = s.data = 0;
	return s;
}

static bool icmp_echo(const uint8_t *icmp, bool v4)
{
	return v4 ? icmp[0] == 8 || icmp[0] == 0 : icmp[0] == 128 || icmp[0] == 129;
}

bool cut_endpoints(const uint8_t *frame, const struct shape *s, struct endpoint *from,
		   struct endpoint *to)
{
	const uint8_t *ip = frame + CUT_ETH_LEN, *l4 = frame + s->l4;

	if (!s->protocol)
		return false;
	from->addr = s->v4 ? addr_from_v4(ip + 12) : addr_from_v6(ip + 8);
	to->addr = s->v4 ? addr_from_v4(ip + 16) : addr_from_v6(ip + 24);
	if (s->protocol == IPPROTO_TCP || s->protocol == IPPROTO_UDP) {
		from->port = get16(l4);
		to->port = get16(l4 + 2);
		return true;
	}
	from->port = to->port = get16(l4 + 4);
	return icmp_echo(l4, s->v4);
}

/* --- frames --- */

/* A place in the pieces of a frame. */
struct cursor {
	const struct iovec *iov;
	int left;
	size_t at;
};

static size_t take(struct cursor *c, uint8_t *out, size_t n)
{
	size_t done = 0;

	while (done < n && c->left) {
		size_t some = MIN(n - done, c->iov->iov_len - c->at);

		memcpy(out + done, (const uint8_t *)c->iov->iov_base + c->at, some);
		done += some;
		c->at += some;
		if (c->at == c->iov->iov_len) {
			c->iov++;
			c->left--;
			c->at = 0;
		}
	}
	return done;
}

static void fill_checksum(uint8_t *frame, size_t len, const struct virtio_net_hdr *vh,
			  const struct shape *s)
{
	size_t start = vh->csum_start, at = start + vh->csum_offset;
	uint16_t folded;

	if (!(vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || !s->ip || start < s->l4 ||
	    at + 2 > len)
		return;
	folded = ~cut_fold(cut_sum(frame + start, len - start, 0));
	folded = folded ? folded : 0xffff;
	memcpy(frame + at, &folded, 2);
}

/* Does the frame stand for more than one packet? */
static bool can_be_cut(const struct virtio_net_hdr *vh, const struct shape *s, size_t len)
{
	uint8_t type = vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	uint8_t protocol = type == VIRTIO_NET_HDR_GSO_TCPV4 ||
					   type == VIRTIO_NET_HDR_GSO_TCPV6 ?
				   IPPROTO_TCP :
				   IPPROTO_UDP;

	return (protocol == IPPROTO_TCP || type == VIRTIO_NET_HDR_GSO_UDP_L4) &&
	       s->protocol == protocol && vh->gso_size >= GSO_MIN &&
	       len - s->data > vh->gso_size;
}

/* The headers of a segment, whose payload begins at `offset` of the whole one's. */
static void segment_headers(uint8_t *frame, size_t len, const struct shape *s,
			    size_t offset, uint16_t index, bool last)
{
	uint8_t *ip = frame + CUT_ETH_LEN, *l4 = frame + s->l4;
	uint32_t seq;

	if (s->v4) {
		set16(ip + 2, len - CUT_ETH_LEN);
		set16(ip + 4, get16(ip + 4) + index);
	} else {
		set16(ip + 4, len - s->l4);
	}
	if (s->protocol == IPPROTO_UDP) {
		set16(l4 + 4, len - s->l4);
		return;
	}
	memcpy(&seq, l4 + 4, 4);
	seq = htonl(ntohl(seq) + offset);
	memcpy(l4 + 4, &seq, 4);
	if (!last)
		l4[13] &= ~(TCP_FIN | TCP_PSH);
	if (index)
		l4[13] &= ~TCP_CWR;
}

static void emit_segments(const uint8_t *head, struct shape *s, struct cursor *c,
			  size_t payload, size_t gso_size, cut_fn fn, void *ctx)
{
	static uint8_t segment[CUT_FRAME_MAX];
	size_t offset = 0;

	for (uint16_t i = 0; offset < payload; i++) {
		size_t n = MIN(payload - offset, gso_size), len = s->data + n;

		memcpy(segment, head, s->data);
		if (take(c, segment + s->data, n) != n)
			return;
		segment_headers(segment, len, s, offset, i, offset + n == payload);
		/* A zero here would say that the datagram has none. */
		if (s->protocol == IPPROTO_UDP)
			segment[s->l4 + 6] = 1;
		cut_checksums(segment, len, s);
		fn(ctx, segment, len, s);
		offset += n;
	}
}

void cut_frame(const struct frame *frame, bool cut, cut_fn fn, void *ctx)
{
	static uint8_t whole[CUT_FRAME_MAX];
	struct cursor c = { .iov = frame->iov, .left = frame->iov_count };
	size_t len = 0, head;
	struct shape s;

	for (int i = 0; i < frame->iov_count; i++)
		len += frame->iov[i].iov_len;
	if (len > sizeof(whole))
		return;
	/* Ethernet, the longest IP header without extensions, the longest of TCP. */
	head = take(&c, whole, MIN(len, (size_t)CUT_ETH_LEN + 60 + 60));
	s = cut_shape(whole, head);
	if (cut && can_be_cut(frame->vh, &s, len)) {
		c = (struct cursor){ .iov = frame->iov, .left = frame->iov_count };
		take(&c, whole, s.data);
		emit_segments(whole, &s, &c, len - s.data, frame->vh->gso_size, fn, ctx);
		return;
	}
	take(&c, whole + head, len - head);
	fill_checksum(whole, len, frame->vh, &s);
	fn(ctx, whole, len, &s);
}
