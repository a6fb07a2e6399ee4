/* What the stack drops, what the gateway answers itself, and datagrams. */
#include <errno.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "peer.h"

static struct peer p;
static struct {
	int attempts, dgrams;
	struct dgram_port *port;
	struct endpoint to;
	uint8_t data[65536];
	size_t len;
	bool keep;
	int refuse;
} up;

static void on_attempt(void *ctx, struct attempt *a)
{
	(void)ctx;
	up.attempts++;
	a->ops->refuse(a, ETIMEDOUT);
}

static void on_dgram(void *ctx, struct dgram_port *port, const struct dgram *d)
{
	(void)ctx;
	up.dgrams++;
	up.port = port;
	up.to = d->to;
	memcpy(up.data, d->data, d->len);
	up.len = d->len;
	if (up.refuse)
		port->ops->refuse(port, up.refuse, 0);
	port->owner = up.keep ? &up : NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(&up, 0, sizeof(up));
	peer_init(&p,
		  &(struct stack_up){ .on_attempt = on_attempt, .on_dgram = on_dgram });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (up.keep && up.port)
		up.port->ops->close(up.port);
	peer_fini(&p);
	return 0;
}

static uint64_t dropped(enum stack_drop why)
{
	return stack_drops(p.st)[why];
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

/* Sends a UDP datagram of the child. */
static void send_udp(const struct addr *from, const struct addr *to, uint16_t to_port,
		     const void *data, size_t len, int sum_error)
{
	static _Alignas(16) uint8_t ip[66000];
	size_t l4 = 8 + len, hlen = packet_ip_header(ip, from, to, IPPROTO_UDP, 64, l4);
	uint16_t sum;

	memcpy(ip + hlen,
	       (uint8_t[]){ 0x13, 0x88, to_port >> 8, to_port & 255, l4 >> 8, l4 & 255, 0,
			    0 },
	       8);
	memcpy(ip + hlen + 8, data, len);
	sum = ~packet_sum(ip + hlen, l4, packet_pseudo_sum(from, to, IPPROTO_UDP, l4));
	sum += sum_error;
	memcpy(ip + hlen + 6, &sum, 2);
	peer_send_ip(&p, ip, hlen + l4, true);
}

static void arp_is_answered_for_the_gateway_only(void **state)
{
	struct ether_arp arp = { .arp_hrd = htons(ARPHRD_ETHER),
				 .arp_pro = htons(ETHERTYPE_IP),
				 .arp_hln = 6,
				 .arp_pln = 4,
				 .arp_op = htons(ARPOP_REQUEST) };
	uint8_t frame[14 + sizeof(arp)] = { [12] = 0x08, [13] = 0x06 };
	struct virtio_net_hdr vh = { 0 };
	struct peer_frame *f;

	(void)state;
	memcpy(arp.arp_sha, p.plan.child_mac, 6);
	memcpy(arp.arp_spa, p.plan.child4.b + 12, 4);
	memcpy(arp.arp_tpa, p.plan.gateway4.b + 12, 4);
	memcpy(frame + 14, &arp, sizeof(arp));
	link_rx(&p.link, &vh, frame, sizeof(frame));
	f = peer_next(&p);
	assert_non_null(f);
	memcpy(&arp, f->data + 14, sizeof(arp));
	assert_int_equal(arp.arp_op, htons(ARPOP_REPLY));
	assert_memory_equal(arp.arp_sha, p.plan.gateway_mac, 6);
	assert_memory_equal(arp.arp_spa, p.plan.gateway4.b + 12, 4);
	assert_memory_equal(f->data, p.plan.child_mac, 6);

	frame[14 + 27] ^= 8; /* somebody else */
	link_rx(&p.link, &vh, frame, sizeof(frame));
	assert_null(peer_next(&p));
}

static void neighbour_solicitations_are_answered(void **state)
{
	uint8_t ip[40 + 24] = { 0 };
	struct addr to = addr("ff02::1:ff00:1");
	size_t hlen = packet_ip_header(ip, &p.plan.child6, &to, IPPROTO_ICMPV6, 255, 24);
	struct peer_frame *f;
	struct packet pkt;

	(void)state;
	ip[hlen] = ND_NEIGHBOR_SOLICIT;
	memcpy(ip + hlen + 8, p.plan.gateway6.b, 16);
	peer_send_ip(&p, ip, sizeof(ip), false);
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt), PACKET_OK);
	assert_int_equal(pkt.l4[0], ND_NEIGHBOR_ADVERT);
	assert_int_equal(pkt.ttl, 255);
	assert_true(packet_l4_sum_ok(&pkt));
	assert_memory_equal(pkt.l4 + 26, p.plan.gateway_mac, 6);

	ip[7] = 64; /* from beyond the link, RFC 4861 7.1.1 */
	peer_send_ip(&p, ip, sizeof(ip), false);
	assert_null(peer_next(&p));
	assert_int_equal(dropped(STACK_DROP_NOISE), 1);
}

static void ping_of(const struct addr *from, const struct addr *to, bool answered)
{
	uint8_t ip[40 + 12] = { 0 };
	bool v4 = addr_is_v4(from);
	uint8_t protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	size_t hlen = packet_ip_header(ip, from, to, protocol, 64, 12);
	struct peer_frame *f;
	struct packet pkt;

	memcpy(ip + hlen,
	       (uint8_t[]){ v4 ? 8 : 128, 0, 0, 0, 1, 2, 0, 7, 'p', 'i', 'n', 'g' }, 12);
	peer_send_ip(&p, ip, hlen + 12, false);
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt), PACKET_OK);
	assert_true(packet_l4_sum_ok(&pkt));
	assert_true(addr_eq(&pkt.dst, from));
	if (answered) {
		assert_int_equal(pkt.l4[0], v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
		assert_memory_equal(pkt.l4 + 4, "\1\2\0\7ping", 8);
	} else {
		assert_int_equal(pkt.l4[0], v4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH);
		assert_int_equal(pkt.l4[1], v4 ? 13 : 1);
	}
}

static void the_gateway_answers_ping(void **state)
{
	struct addr far4 = addr("203.0.113.9"), far6 = addr("2001:db8::9");

	(void)state;
	ping_of(&p.plan.child4, &p.plan.gateway4, true);
	ping_of(&p.plan.child6, &p.plan.gateway6, true);
	ping_of(&p.plan.child4, &far4, false);
	ping_of(&p.plan.child6, &far6, false);
}

static void spoofed_sources_go_nowhere(void **state)
{
	struct addr far4 = addr("203.0.113.9"), other4 = addr("10.240.0.99");
	struct addr far6 = addr("2001:db8::9"), other6 = addr("fd42::99");

	(void)state;
	send_udp(&other4, &far4, 7, "x", 1, 0);
	send_udp(&other6, &far6, 7, "x", 1, 0);
	send_udp(&p.plan.gateway4, &far4, 7, "x", 1, 0);
	assert_int_equal(up.dgrams, 0);
	assert_int_equal(dropped(STACK_DROP_SPOOFED), 3);
	assert_null(peer_next(&p));
}

static void wrong_checksums_go_nowhere(void **state)
{
	struct addr far4 = addr("203.0.113.9");

	(void)state;
	send_udp(&p.plan.child4, &far4, 7, "x", 1, 1);
	assert_int_equal(up.dgrams, 0);
	assert_int_equal(dropped(STACK_DROP_MALFORMED), 1);
	send_udp(&p.plan.child4, &far4, 7, "x", 1, 0);
	assert_int_equal(up.dgrams, 1);
}

static void short_frames_go_nowhere(void **state)
{
	uint8_t frame[64] = { [12] = 0x08 };
	struct virtio_net_hdr vh = { 0 };

	(void)state;
	for (size_t n = 0; n < 34; n++)
		link_rx(&p.link, &vh, frame, n);
	assert_int_equal(dropped(STACK_DROP_MALFORMED), 34);
	assert_null(peer_next(&p));
}

/* What the kernel is to complete: the sum over the pseudo-header, where the checksum is. */
static void assert_sum_is_left_to_the_kernel(const struct peer_frame *f,
					     const struct packet *pkt)
{
	uint16_t pseudo = packet_pseudo_sum(&pkt->src, &pkt->dst, IPPROTO_UDP,
					    pkt->l4_len);

	assert_int_equal(f->vh.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(f->vh.csum_start, pkt->l4 - f->data);
	assert_int_equal(f->vh.csum_offset, 6);
	assert_memory_equal(pkt->l4 + 6, &pseudo, 2);
}

static void datagrams_pass_both_ways(void **state)
{
	static uint8_t big[65536];
	const struct addr *child[] = { &p.plan.child4, &p.plan.child6 };
	const char *far[] = { "203.0.113.9", "2001:db8::9" };

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i * 13;
	for (int i = 0; i < 4; i++) {
		/* the protocols' largest, and the largest a pbuf chain holds with its IPv6 header */
		size_t len = (size_t[]){ 65507, 65487, 65488, 65527 }[i];
		int v6 = i > 0;
		struct addr to = addr(far[v6]);
		struct endpoint from = { to, 4242 };
		struct iovec iov = { big, len };
		struct peer_frame *f;
		struct packet pkt;

		up.keep = true;
		send_udp(child[v6], &to, 4242, big, len, 0);
		assert_int_equal(up.len, len);
		assert_memory_equal(up.data, big, len);
		assert_int_equal(up.to.port, 4242);
		assert_true(addr_eq(&up.to.addr, &to));
		assert_int_equal(up.port->child.port, 5000);

		assert_int_equal(up.port->ops->send(up.port, &from, &iov, 1), 0);
		f = peer_next(&p);
		assert_non_null(f);
		assert_memory_equal(f->data, p.plan.child_mac, 6);
		assert_memory_equal(f->data + 12, v6 ? "\x86\xdd" : "\x08\x00", 2);
		assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt),
				 PACKET_OK);
		assert_int_equal(pkt.l4_len, 8 + len);
		assert_memory_equal(
			pkt.l4, ((uint8_t[]){ 4242 >> 8, 4242 & 255, 0x13, 0x88 }), 4);
		assert_int_equal(pkt.l4[4] << 8 | pkt.l4[5], 8 + len);
		assert_memory_equal(pkt.l4 + 8, big, len);
		assert_true(addr_eq(&pkt.src, &to));
		assert_true(addr_eq(&pkt.dst, child[v6]));
		assert_sum_is_left_to_the_kernel(f, &pkt);
		iov.iov_len = v6 ? 65528 : 65508;
		assert_int_equal(up.port->ops->send(up.port, &from, &iov, 1), -EMSGSIZE);
		up.port->ops->close(up.port);
		up.port = NULL;
	}
}

static void a_burst_is_one_frame(void **state)
{
	struct endpoint from = { addr("203.0.113.9"), 4242 };
	struct iovec iov[3] = { { "aaaa", 4 }, { "bbbb", 4 }, { "c", 1 } };
	struct peer_frame *f;
	struct packet pkt;

	(void)state;
	up.keep = true;
	send_udp(&p.plan.child4, &from.addr, 4242, "x", 1, 0);
	assert_int_equal(up.port->ops->send(up.port, &from, iov, 3), 0);
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(f->vh.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
	assert_int_equal(f->vh.gso_size, 4);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt), PACKET_OK);
	assert_memory_equal(pkt.l4 + 8, "aaaabbbbc", 9);
	assert_null(peer_next(&p));
	assert_int_equal(up.port->ops->send(up.port, &from, iov, 1), 0);
	assert_int_equal(peer_next(&p)->vh.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

/* A device that knows no UDP super-segments gets them one by one, from then on. */
static void a_burst_falls_apart_on_an_old_kernel(void **state)
{
	struct endpoint from = { addr("203.0.113.9"), 4242 };
	struct iovec iov[3] = { { "aaaa", 4 }, { "bbbb", 4 }, { "c", 1 } };

	(void)state;
	up.keep = true;
	send_udp(&p.plan.child4, &from.addr, 4242, "x", 1, 0);
	p.refuse_gso = true;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(up.port->ops->send(up.port, &from, iov, 3), 0);
		for (int i = 0; i < 3; i++) {
			struct peer_frame *f = peer_next(&p);
			struct packet pkt;

			assert_non_null(f);
			assert_int_equal(f->vh.gso_type, VIRTIO_NET_HDR_GSO_NONE);
			assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt),
					 PACKET_OK);
			assert_int_equal(pkt.l4[8], 'a' + i);
		}
		assert_null(peer_next(&p));
	}
	assert_int_equal(p.refusals, 1);
}

/* A source route (RFC 791 3.1, LSRR) that leads elsewhere: its packet goes to the address in
 * the header, and what answers it has no options. */
static void source_routes_are_ignored(void **state)
{
	static const uint8_t lsrr[] = { 131, 7, 4, 198, 51, 100, 66, 0 };
	struct addr to = addr("203.0.113.9"), mine = p.plan.child4;
	struct endpoint from = { to, 4242 };
	struct iovec iov = { "answer", 6 };
	_Alignas(16) uint8_t ip[28 + 8 + 5] = { 0 };
	struct peer_frame *f;
	struct packet pkt;
	uint16_t sum;

	(void)state;
	packet_ip_header(ip, &mine, &to, IPPROTO_UDP, 64, sizeof(ip) - 20);
	ip[0] = 0x47;
	memcpy(ip + 20, lsrr, sizeof(lsrr));
	memset(ip + 10, 0, 2);
	sum = ~packet_sum(ip, 28, 0);
	memcpy(ip + 10, &sum, 2);
	memcpy(ip + 28, "\x13\x88\x10\x92\0\x0d\0\0hello", 13);
	up.keep = true;
	peer_send_ip(&p, ip, sizeof(ip), true);
	assert_int_equal(up.dgrams, 1);
	assert_true(addr_eq(&up.to.addr, &to));
	assert_int_equal(up.to.port, 4242);
	assert_int_equal(up.len, 5);
	assert_memory_equal(up.data, "hello", 5);
	assert_int_equal(up.port->ops->send(up.port, &from, &iov, 1), 0);
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt), PACKET_OK);
	assert_int_equal(pkt.l4 - pkt.ip, 20);
}

/* Bytes `at` to `at + n` of a datagram of 16 bytes, header included, of the child, behind a
 * chain of IPv6 headers that begins with `first`. */
static void send_behind(uint8_t first, const void *head, size_t head_len, size_t at,
			size_t n)
{
	_Alignas(16) uint8_t ip[40 + 16 + 16],
		udp[16] = { 0x13, 0x88, 0x10, 0x92, 0, 16 };
	struct addr to = addr("2001:db8::9");
	uint16_t sum = ~packet_sum(
		udp, 16, packet_pseudo_sum(&p.plan.child6, &to, IPPROTO_UDP, 16));

	memcpy(udp + 6, &sum, 2);
	packet_ip_header(ip, &p.plan.child6, &to, first, 64, head_len + n);
	memcpy(ip + 40, head, head_len);
	memcpy(ip + 40 + head_len, udp + at, n);
	peer_send_ip(&p, ip, 40 + head_len + n, true);
}

static void only_known_extensions_are_passed_by(void **state)
{
	enum {
		UDP = IPPROTO_UDP,
		FRAG = IPPROTO_FRAGMENT
	};
	/* Fragment headers say 8 bytes at offset 0 with more behind, then at 8 without. */
	static const uint8_t options[16] = {
		IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 1, 4
	};
	static const uint8_t routing[8] = { UDP, 0, 0, 0 }, none[8] = { UDP };
	static const uint8_t ah[8] = { UDP, 0 };
	static const uint8_t pieces[2][16] = {
		{ FRAG, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 0, 1, 0, 0, 0, 7 },
		{ FRAG, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 0, 8, 0, 0, 0, 7 },
	};
	/* The whole of these has a fragment header in front of a sound datagram. */
	static const uint8_t nested[2][16] = {
		{ FRAG, 0, 0, 1, 0, 0, 0, 8, UDP, 0, 0, 0, 0, 0, 0, 9 },
		{ FRAG, 0, 0, 8, 0, 0, 0, 8 },
	};

	(void)state;
	send_behind(UDP, "", 0, 0, 16);
	send_behind(IPPROTO_HOPOPTS, options, 16, 0, 16);
	assert_int_equal(up.dgrams, 2);
	send_behind(IPPROTO_HOPOPTS, pieces[0], 16, 0, 8);
	assert_int_equal(up.dgrams, 2);
	send_behind(IPPROTO_HOPOPTS, pieces[1], 16, 8, 8);
	assert_int_equal(up.dgrams, 3);
	assert_int_equal(up.len, 8);
	assert_int_equal(dropped(STACK_DROP_MALFORMED), 0);

	send_behind(IPPROTO_ROUTING, routing, 8, 0, 16);
	assert_int_equal(dropped(STACK_DROP_MALFORMED), 1);
	send_behind(FRAG, nested[0], 16, 0, 0);
	send_behind(FRAG, nested[1], 8, 0, 16);
	assert_int_equal(dropped(STACK_DROP_MALFORMED), 2);
	send_behind(IPPROTO_AH, ah, 8, 0, 16);
	send_behind(IPPROTO_NONE, none, 8, 0, 16);
	assert_int_equal(dropped(STACK_DROP_UNSUPPORTED), 2);
	assert_int_equal(up.dgrams, 3);
}

static void a_port_nobody_keeps_is_forgotten(void **state)
{
	struct addr to = addr("203.0.113.9");

	(void)state;
	for (int i = 0; i < 3; i++)
		send_udp(&p.plan.child4, &to, 7, "x", 1, 0);
	assert_int_equal(up.dgrams, 3); /* and stack_close() asserts that none is left */
}

static void a_refused_datagram_is_quoted(void **state)
{
	struct addr to = addr("203.0.113.9");
	struct peer_frame *f;
	struct packet pkt, quoted;

	(void)state;
	up.refuse = ECONNREFUSED;
	send_udp(&p.plan.child4, &to, 7, "hello", 5, 0);
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt), PACKET_OK);
	assert_int_equal(pkt.l4[0] << 8 | pkt.l4[1],
			 ICMP_DEST_UNREACH << 8 | ICMP_PORT_UNREACH);
	assert_int_equal(packet_parse(pkt.l4 + 8, pkt.l4_len - 8, &quoted), PACKET_OK);
	assert_memory_equal(quoted.l4, "\x13\x88\0\7", 4);
}

static void parse_error(struct packet *pkt, struct packet *quoted)
{
	struct peer_frame *f = peer_next(&p);

	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, pkt), PACKET_OK);
	assert_true(packet_l4_sum_ok(pkt));
	assert_int_equal(packet_parse(pkt->l4 + 8, pkt->l4_len - 8, quoted), PACKET_OK);
}

static void a_later_error_looks_like_the_childs_datagram(void **state)
{
	struct endpoint to = { addr("203.0.113.9"), 7 };
	struct dgram d = { .to = to,
			   .len = 5,
			   .ttl = 9,
			   .tos = 0x10,
			   .ip_id = htons(77),
			   .sum = htons(0xabcd),
			   .dont_fragment = true };
	struct neterror e = { .err = EMSGSIZE, .info = 1400 };
	struct packet pkt, quoted;

	(void)state;
	up.keep = true;
	send_udp(&p.plan.child4, &to.addr, 7, "hello", 5, 0);
	up.port->ops->error(up.port, &d, "hello", 5, &e);
	parse_error(&pkt, &quoted);
	assert_true(addr_eq(&pkt.src, &p.plan.gateway4));
	assert_memory_equal(pkt.l4, ((uint8_t[]){ ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED }),
			    2);
	assert_memory_equal(pkt.l4 + 4, ((uint8_t[]){ 0, 0, 1400 >> 8, 1400 & 255 }), 4);
	assert_true(addr_eq(&quoted.src, &p.plan.child4));
	assert_true(addr_eq(&quoted.dst, &to.addr));
	assert_int_equal(quoted.ttl, 9);
	assert_int_equal(quoted.tos, 0x10);
	assert_int_equal(quoted.ip_id, htons(77));
	assert_true(quoted.dont_fragment);
	assert_memory_equal(quoted.l4, "\x13\x88\0\7\0\x0d\xab\xcdhello", 13);
}

static void a_routers_error_bears_its_address(void **state)
{
	struct dgram d = { .to = { addr("203.0.113.9"), 7 }, .len = 5, .ttl = 3 };
	struct neterror e = { .type = ICMP_TIME_EXCEEDED, .ttl = 61 };
	static const char *const odd[] = { "127.0.0.1", "0.0.0.0", "224.0.0.1",
					   "255.255.255.255", "2001:db8::1" };
	struct packet pkt, quoted;

	(void)state;
	up.keep = true;
	send_udp(&p.plan.child4, &d.to.addr, 7, "hello", 5, 0);
	e.router = addr("198.51.100.3");
	up.port->ops->error(up.port, &d, "hello", 5, &e);
	parse_error(&pkt, &quoted);
	assert_true(addr_eq(&pkt.src, &e.router));
	assert_int_equal(pkt.l4[0], ICMP_TIME_EXCEEDED);
	assert_int_equal(pkt.ttl, 60); /* we are a hop on its way */
	/* Those that no router has: the child's kernel would not take them. */
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		e.router = addr(odd[i]);
		up.port->ops->error(up.port, &d, "hello", 5, &e);
		parse_error(&pkt, &quoted);
		assert_true(addr_eq(&pkt.src, &p.plan.gateway4));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(arp_is_answered_for_the_gateway_only),
		T(neighbour_solicitations_are_answered),
		T(the_gateway_answers_ping),
		T(spoofed_sources_go_nowhere),
		T(wrong_checksums_go_nowhere),
		T(short_frames_go_nowhere),
		T(datagrams_pass_both_ways),
		T(a_burst_is_one_frame),
		T(a_burst_falls_apart_on_an_old_kernel),
		T(source_routes_are_ignored),
		T(only_known_extensions_are_passed_by),
		T(a_port_nobody_keeps_is_forgotten),
		T(a_refused_datagram_is_quoted),
		T(a_later_error_looks_like_the_childs_datagram),
		T(a_routers_error_bears_its_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
