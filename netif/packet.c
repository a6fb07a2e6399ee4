#include "netif/packet.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

#include "base/util.h"

/* Extension headers in front of a transport header; a kernel sends two at most. */
#define EXT_HEADERS_MAX 8

uint16_t packet_sum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	uint64_t s = sum;

	for (; len >= 4; p += 4, len -= 4) {
		uint32_t w;

		memcpy(&w, p, 4);
		s += w;
	}
	if (len >= 2) {
		uint16_t w;

		memcpy(&w, p, 2);
		s += w;
		p += 2;
		len -= 2;
	}
	if (len)
		s += htons((uint16_t)(*p << 8));
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

uint16_t packet_pseudo_sum(const struct addr *src, const struct addr *dst,
			   uint8_t protocol, size_t l4_len)
{
	bool v4 = addr_is_v4(src);
	size_t skip = v4 ? 12 : 0;
	uint32_t len = htonl(l4_len);
	uint32_t sum = packet_sum(&len, 4, htons(protocol));

	sum = packet_sum(src->b + skip, 16 - skip, sum);
	return packet_sum(dst->b + skip, 16 - skip, sum);
}

bool packet_l4_sum_ok(const struct packet *pkt)
{
	uint32_t pseudo = 0;

	if (pkt->protocol == IPPROTO_UDP && pkt->v4 && pkt->l4_len >= 8 && !pkt->l4[6] &&
	    !pkt->l4[7])
		return true; /* RFC 768: no checksum */
	if (pkt->protocol != IPPROTO_ICMP)
		pseudo = packet_pseudo_sum(&pkt->src, &pkt->dst, pkt->protocol,
					   pkt->l4_len);
	return packet_sum(pkt->l4, pkt->l4_len, pseudo) == 0xffff;
}

static enum packet_status parse_v4(uint8_t *ip, size_t len, struct packet *pkt)
{
	const struct iphdr *h = (const void *)ip;
	size_t hlen, total;

	if (len < sizeof(*h))
		return PACKET_MALFORMED;
	hlen = h->ihl * 4u;
	total = ntohs(h->tot_len);
	if (hlen < sizeof(*h) || total < hlen || total > len)
		return PACKET_MALFORMED;
	if (packet_sum(ip, hlen, 0) != 0xffff)
		return PACKET_MALFORMED;
	*pkt = (struct packet){
		.v4 = true,
		.protocol = h->protocol,
		.ttl = h->ttl,
		.tos = h->tos,
		.dont_fragment = h->frag_off & htons(IP_DF),
		.ip_id = h->id,
		.src = addr_from_v4(&h->saddr),
		.dst = addr_from_v4(&h->daddr),
		.ip = ip,
		.ip_len = total,
		.l4 = ip + hlen,
		.l4_len = total - hlen,
	};
	if (!(h->frag_off & htons(IP_MF | IP_OFFMASK)))
		return PACKET_OK;
	pkt->fragment.id = h->id;
	pkt->fragment.offset = (ntohs(h->frag_off) & IP_OFFMASK) * 8;
	pkt->fragment.more = h->frag_off & htons(IP_MF);
	return PACKET_FRAGMENT;
}

/* ::ffff:0:0/96 and ::/96 but for :: and ::1 (RFC 4291 2.5.5): no address of a wire. */
static bool embeds_v4(const struct addr *a)
{
	static const uint8_t zero[15];

	if (addr_is_v4(a))
		return true;
	return memcmp(a->b, zero, 12) == 0 &&
	       (memcmp(a->b, zero, 15) != 0 || a->b[15] > 1);
}

/* RFC 8200 4.5 */
static enum packet_status parse_v6_fragment(struct packet *pkt)
{
	struct ip6_frag h;

	if (pkt->l4_len < sizeof(h))
		return PACKET_MALFORMED;
	memcpy(&h, pkt->l4, sizeof(h));
	pkt->protocol = h.ip6f_nxt;
	pkt->l4 += sizeof(h);
	pkt->l4_len -= sizeof(h);
	pkt->dont_fragment = false;
	pkt->fragment.id = h.ip6f_ident;
	pkt->fragment.offset = ntohs(h.ip6f_offlg & IP6F_OFF_MASK);
	pkt->fragment.more = h.ip6f_offlg & IP6F_MORE_FRAG;
	return PACKET_FRAGMENT;
}

static enum packet_status skip_extensions(struct packet *pkt)
{
	for (int i = 0; i < EXT_HEADERS_MAX; i++) {
		size_t n;

		switch (pkt->protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
			break;
		case IPPROTO_FRAGMENT:
			return parse_v6_fragment(pkt);
		case IPPROTO_ROUTING:
			return PACKET_MALFORMED; /* RFC 5095; nobody needs a source route here */
		default:
			return PACKET_OK;
		}
		if (pkt->l4_len < 8)
			return PACKET_MALFORMED;
		n = (pkt->l4[1] + 1u) * 8;
		if (n > pkt->l4_len)
			return PACKET_MALFORMED;
		pkt->protocol = pkt->l4[0];
		pkt->l4 += n;
		pkt->l4_len -= n;
	}
	return PACKET_MALFORMED;
}

static enum packet_status parse_v6(uint8_t *ip, size_t len, struct packet *pkt)
{
	const struct ip6_hdr *h = (const void *)ip;
	size_t total;

	if (len < sizeof(*h))
		return PACKET_MALFORMED;
	total = sizeof(*h) + ntohs(h->ip6_plen);
	if (total > len)
		return PACKET_MALFORMED;
	*pkt = (struct packet){
		.protocol = h->ip6_nxt,
		.ttl = h->ip6_hlim,
		.tos = ntohl(h->ip6_flow) >> 20,
		.dont_fragment = true,
		.src = addr_from_v6(&h->ip6_src),
		.dst = addr_from_v6(&h->ip6_dst),
		.ip = ip,
		.ip_len = total,
		.l4 = ip + sizeof(*h),
		.l4_len = total - sizeof(*h),
	};
	if (embeds_v4(&pkt->src) || embeds_v4(&pkt->dst))
		return PACKET_MARTIAN;
	return skip_extensions(pkt);
}

enum packet_status packet_parse(uint8_t *ip, size_t len, struct packet *pkt)
{
	if (!len)
		return PACKET_MALFORMED;
	switch (ip[0] >> 4) {
	case 4:
		return parse_v4(ip, len, pkt);
	case 6:
		return parse_v6(ip, len, pkt);
	default:
		return PACKET_MALFORMED;
	}
}

size_t packet_ip_header(uint8_t *out, const struct addr *src, const struct addr *dst,
			uint8_t protocol, uint8_t ttl, size_t l4_len)
{
	return packet_ip_header_marked(out, src, dst, protocol,
				       &(struct packet_marks){ .ttl = ttl }, l4_len);
}

size_t packet_ip_header_marked(uint8_t *out, const struct addr *src,
			       const struct addr *dst, uint8_t protocol,
			       const struct packet_marks *marks, size_t l4_len)
{
	if (addr_is_v4(src)) {
		struct iphdr h = {
			.version = 4,
			.ihl = 5,
			.tos = marks->tos,
			.tot_len = htons(sizeof(h) + l4_len),
			.id = marks->ip_id,
			.frag_off = marks->dont_fragment ? htons(IP_DF) : 0,
			.ttl = marks->ttl,
			.protocol = protocol,
			.saddr = addr_v4(src),
			.daddr = addr_v4(dst),
		};

		h.check = ~packet_sum(&h, sizeof(h), 0);
		memcpy(out, &h, sizeof(h));
		return sizeof(h);
	}
	struct ip6_hdr h = {
		.ip6_flow = htonl(6u << 28 | (uint32_t)marks->tos << 20),
		.ip6_plen = htons(l4_len),
		.ip6_nxt = protocol,
		.ip6_hlim = marks->ttl,
	};

	memcpy(&h.ip6_src, src->b, 16);
	memcpy(&h.ip6_dst, dst->b, 16);
	memcpy(out, &h, sizeof(h));
	return sizeof(h);
}

bool packet_icmp_code(bool v4, int err, uint8_t *type, uint8_t *code)
{
	static const struct {
		int err;
		uint8_t v4_type, v4_code, v6_type, v6_code;
	} map[] = {
		{ ENETUNREACH, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_NOROUTE },
		{ ENETDOWN, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_NOROUTE },
		/* what connect() says on a host without IPv6 */
		{ EADDRNOTAVAIL, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_NOROUTE },
		{ EAFNOSUPPORT, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_NOROUTE },
		{ EHOSTDOWN, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_ADDR },
		{ EHOSTUNREACH, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_ADDR },
		{ ECONNREFUSED, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_NOPORT },
		{ ENOPROTOOPT, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, ICMP6_PARAM_PROB,
		  ICMP6_PARAMPROB_NEXTHEADER },
		{ EACCES, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_ADMIN },
		/* a rule of the host's own packet filter */
		{ EPERM, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, ICMP6_DST_UNREACH,
		  ICMP6_DST_UNREACH_ADMIN },
		{ EMSGSIZE, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP6_PACKET_TOO_BIG,
		  0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (map[i].err == err) {
			*type = v4 ? map[i].v4_type : map[i].v6_type;
			*code = v4 ? map[i].v4_code : map[i].v6_code;
			return true;
		}
	return false;
}

size_t packet_icmp_error(uint8_t *out, const struct addr *router, const struct addr *to,
			 uint8_t ttl, uint8_t type, uint8_t code, uint32_t info,
			 const uint8_t *quote, size_t quote_len)
{
	bool v4 = addr_is_v4(router);
	/* RFC 1812 4.3.2.3: at most 576 bytes; RFC 4443 2.4: at most 1280. */
	size_t n = MIN(quote_len, v4 ? 548u : 1232u);
	uint8_t protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	size_t hlen = packet_ip_header(out, router, to, protocol, ttl, 8 + n);
	uint8_t *icmp = out + hlen;
	uint32_t be_info = htonl(info);
	uint16_t sum;

	memcpy(icmp, (uint8_t[]){ type, code, 0, 0 }, 4);
	memcpy(icmp + 4, &be_info, 4);
	memcpy(icmp + 8, quote, n);
	sum = ~packet_sum(icmp, 8 + n,
			  v4 ? 0 : packet_pseudo_sum(router, to, protocol, 8 + n));
	memcpy(icmp + 2, &sum, 2);
	return hlen + 8 + n;
}
