/*
 * ICMP between the child and the rest: what the gateway says itself (ping, time exceeded,
 * unreachable), queries on their way out, and what comes back for them.
 *
 * An error always quotes the child's own packet as it left the child, whatever was rewritten
 * on the way, and bears the address of the router that reported it. RFC 1122 3.2.2 holds: no
 * error about an error, nor about a packet to many.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "base/util.h"
#include "netif/gateway.h"
#include "netif/stack_internal.h"

#define ICMP_HEADER 8
#define TTL_OWN 64

/* --- errors --- */

static bool to_many(const struct addr *a)
{
	return addr_is_v4(a) ? a->b[12] >= 224 : a->b[0] == 0xff;
}

/* An address that the child's kernel takes a message from; else the gateway's must do. */
static bool may_report(const struct stack *st, const struct addr *router, bool v4)
{
	static const struct addr none;

	if (addr_is_v4(router) != v4 || addr_eq(router, &none) || to_many(router))
		return false;
	if (v4)
		return router->b[12] != 0 && router->b[12] != 127 &&
		       !addr_eq(router, &st->plan.child4);
	return memcmp(router->b, none.b, 15) != 0 && !addr_eq(router, &st->plan.child6);
}

bool stack_icmp_tell(struct stack *st, const uint8_t *ip, size_t ip_len,
		     const struct addr *child, const struct neterror *e)
{
	uint8_t packet[PACKET_ICMP_MAX], type = e->type, code = e->code;
	bool v4 = addr_is_v4(child);
	const struct addr *router = v4 ? &st->plan.gateway4 : &st->plan.gateway6;
	uint32_t info = e->info;

	if (e->err && !packet_icmp_code(v4, e->err, &type, &code))
		return false;
	if (!e->err && may_report(st, &e->router, v4))
		router = &e->router;
	if (v4 && type == ICMP_PARAMETERPROB)
		info <<= 24;
	/* The way of the message goes on over us. */
	stack_send_ip(st, v4, packet,
		      packet_icmp_error(packet, router, child,
					e->ttl ? MAX(e->ttl - 1, 1) : TTL_OWN, type, code,
					info, ip, ip_len));
	return true;
}

bool stack_icmp_error(struct stack *st, const uint8_t *ip, size_t ip_len,
		      const struct addr *child, int err, uint32_t info)
{
	return stack_icmp_tell(st, ip, ip_len, child,
			       &(struct neterror){ .err = err, .info = info });
}

bool stack_icmp_expire(struct stack *st, const struct packet *pkt)
{
	bool v4 = pkt->v4;
	struct neterror e = { .type = v4 ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED };

	if (pkt->ttl > 1 || to_many(&pkt->dst) ||
	    addr_eq(&pkt->dst, v4 ? &st->plan.gateway4 : &st->plan.gateway6))
		return false;
	if (pkt->protocol == (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) &&
	    (!pkt->l4_len || echo_reply_type(v4, pkt->l4[0]) < 0))
		stack_drop(st, STACK_DROP_UNSUPPORTED);
	else
		stack_icmp_tell(st, pkt->ip, pkt->ip_len, &pkt->src, &e);
	return true;
}

/* --- queries --- */

/* Headers of a message of which `len` bytes follow; returns how long they are. */
static size_t write_headers(uint8_t *out, const struct addr *src, const struct addr *dst,
			    const struct echo *e)
{
	struct packet_marks marks = { .ttl = e->ttl,
				      .tos = e->tos,
				      .ip_id = e->ip_id,
				      .dont_fragment = e->dont_fragment };
	size_t hlen = packet_ip_header_marked(
		out, src, dst, addr_is_v4(src) ? IPPROTO_ICMP : IPPROTO_ICMPV6, &marks,
		ICMP_HEADER + e->len);

	memcpy(out + hlen,
	       (uint8_t[]){ e->type, e->code, 0, 0, e->id >> 8, e->id & 255, e->seq >> 8,
			    e->seq & 255 },
	       ICMP_HEADER);
	memcpy(out + hlen + 2, &e->sum, 2);
	return hlen + ICMP_HEADER;
}

static void near_reply(struct echo_near *n, const struct echo *e)
{
	struct stack *st = container_of(n, struct stack, echo);
	uint8_t head[40 + ICMP_HEADER], *icmp;
	struct echo r = *e;
	size_t len;
	uint32_t pseudo;
	uint16_t sum;

	r.sum = 0;
	r.dont_fragment = false;
	len = write_headers(head, &e->peer, &e->child, &r);
	icmp = head + len - ICMP_HEADER;
	pseudo = addr_is_v4(&e->peer) ?
			 0 :
			 packet_pseudo_sum(&e->peer, &e->child, IPPROTO_ICMPV6,
					   ICMP_HEADER + e->len);
	sum = ~packet_sum(e->data, e->len, packet_sum(icmp, ICMP_HEADER, pseudo));
	memcpy(icmp + 2, &sum, 2);
	stack_send_plain(st, head, len, &(struct iovec){ (void *)e->data, e->len });
}

static void near_error(struct echo_near *n, const struct echo *query, size_t known,
		       const struct neterror *e)
{
	struct stack *st = container_of(n, struct stack, echo);
	uint8_t quote[PACKET_ICMP_MAX];
	size_t len = write_headers(quote, &query->child, &query->peer, query);

	known = MIN(MIN(known, query->len), sizeof(quote) - len);
	if (known)
		memcpy(quote + len, query->data, known);
	stack_icmp_tell(st, quote, len + known, &query->child, e);
}

static const struct echo_near_ops near_ops = {
	.reply = near_reply,
	.error = near_error,
};

void stack_icmp_init(struct stack *st)
{
	st->echo.ops = &near_ops;
}

/* What a kernel says by itself, for which nobody waits. */
static bool is_no_request(const struct packet *pkt)
{
	if (!pkt->v4)
		return pkt->l4[0] < ICMP6_ECHO_REQUEST ||
		       pkt->l4[0] == ICMP6_ECHO_REPLY ||
		       (pkt->l4[0] >= MLD_LISTENER_QUERY && pkt->l4[0] <= ND_REDIRECT);
	switch (pkt->l4[0]) {
	case ICMP_DEST_UNREACH:
	case ICMP_SOURCE_QUENCH:
	case ICMP_REDIRECT:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETERPROB:
	case ICMP_ECHOREPLY:
	case ICMP_TIMESTAMPREPLY:
	case ICMP_INFO_REPLY:
	case ICMP_ADDRESSREPLY:
		return true;
	default:
		return false;
	}
}

static void complete_sum(const struct packet *pkt)
{
	uint32_t pseudo = pkt->v4 ? 0 :
				    packet_pseudo_sum(&pkt->src, &pkt->dst,
						      IPPROTO_ICMPV6, pkt->l4_len);
	uint16_t sum;

	memset(pkt->l4 + 2, 0, 2);
	sum = ~packet_sum(pkt->l4, pkt->l4_len, pseudo);
	memcpy(pkt->l4 + 2, &sum, 2);
}

void stack_icmp_input(struct stack *st, const struct packet *pkt)
{
	const uint8_t *l4 = pkt->l4;
	struct echo e;

	if (pkt->l4_len < ICMP_HEADER)
		return stack_drop(st, STACK_DROP_MALFORMED);
	if (!pkt->sum_is_whole)
		complete_sum(pkt);
	else if (!packet_l4_sum_ok(pkt))
		return stack_drop(st, STACK_DROP_MALFORMED);
	if (gateway_echo(&st->plan, pkt))
		return stack_send_ip(st, pkt->v4, pkt->ip, pkt->ip_len);
	if (is_no_request(pkt))
		return stack_drop(st, STACK_DROP_UNSUPPORTED);
	if (echo_reply_type(pkt->v4, l4[0]) < 0 || !st->up.on_echo) {
		stack_drop(st, STACK_DROP_UNSUPPORTED);
		if (!to_many(&pkt->dst))
			stack_icmp_error(st, pkt->ip, pkt->ip_len, &pkt->src, EACCES, 0);
		return;
	}
	e = (struct echo){
		.child = pkt->src,
		.peer = pkt->dst,
		.type = l4[0],
		.code = l4[1],
		.id = l4[4] << 8 | l4[5],
		.seq = l4[6] << 8 | l4[7],
		.data = l4 + ICMP_HEADER,
		.len = pkt->l4_len - ICMP_HEADER,
		.ttl = pkt->ttl,
		.tos = pkt->tos,
		.dont_fragment = pkt->dont_fragment,
		.ip_id = pkt->ip_id,
	};
	memcpy(&e.sum, l4 + 2, 2);
	st->up.on_echo(st->up.echo_ctx, &st->echo, &e);
}
