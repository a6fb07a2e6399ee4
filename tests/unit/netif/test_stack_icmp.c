/* ICMP between the child and the flow side: queries, replies, errors, the first hop. */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "peer.h"

#define HEADER 8

static struct peer p;
static struct {
	int attempts, dgrams, queries;
	struct echo query;
	uint8_t data[4096];
	struct echo_near *near;
} up;

/* A message of the child, and where it goes. */
struct message {
	const char *to;
	uint8_t protocol, type, code, ttl, tos;
	bool dont_fragment;
	int sum_error;
	size_t len; /* behind the header */
};

static void on_attempt(void *ctx, struct attempt *a)
{
	(void)ctx;
	up.attempts++;
	a->ops->refuse(a, ETIMEDOUT);
}

static void on_dgram(void *ctx, struct dgram_port *port, const struct dgram *d)
{
	(void)ctx;
	(void)port;
	(void)d;
	up.dgrams++;
}

static void on_echo(void *ctx, struct echo_near *n, const struct echo *query)
{
	(void)ctx;
	up.queries++;
	up.near = n;
	up.query = *query;
	assert_true(query->len <= sizeof(up.data));
	memcpy(up.data, query->data, query->len);
	up.query.data = up.data;
}

static int setup(void **state)
{
	(void)state;
	memset(&up, 0, sizeof(up));
	peer_init(&p, &(struct stack_up){ .on_attempt = on_attempt,
					  .on_dgram = on_dgram,
					  .on_echo = on_echo });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	peer_fini(&p);
	return 0;
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static uint64_t dropped(enum stack_drop why)
{
	return stack_drops(p.st)[why];
}

static const struct addr *child(const struct addr *to)
{
	return addr_is_v4(to) ? &p.plan.child4 : &p.plan.child6;
}

static const struct addr *gateway(const struct addr *to)
{
	return addr_is_v4(to) ? &p.plan.gateway4 : &p.plan.gateway6;
}

/* Sends it; id 0x1234, seq 0x5678, data 0, 1, 2 … */
static void transmit(const struct message *m)
{
	static _Alignas(16) uint8_t ip[65536];
	struct addr to = addr(m->to);
	bool v4 = addr_is_v4(&to);
	uint8_t protocol = m->protocol ? m->protocol : v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	struct packet_marks marks = { .ttl = m->ttl ? m->ttl : 64,
				      .tos = m->tos,
				      .dont_fragment = m->dont_fragment,
				      .ip_id = htons(0x4242) };
	size_t len = HEADER + m->len;
	size_t hlen = packet_ip_header_marked(ip, child(&to), &to, protocol, &marks, len);
	uint8_t *l4 = ip + hlen;
	uint16_t sum;

	memcpy(l4, (uint8_t[]){ m->type, m->code, 0, 0, 0x12, 0x34, 0x56, 0x78 }, HEADER);
	for (size_t i = 0; i < m->len; i++)
		l4[HEADER + i] = i;
	if (m->protocol)
		l4[3] = 7; /* a port */
	if (protocol == IPPROTO_UDP) {
		memcpy(l4 + 4, (uint8_t[]){ len >> 8, len & 255, 0, 0 }, 4);
	} else if (protocol == IPPROTO_TCP) {
		l4[12] = 5 << 4;
		l4[13] = TH_SYN;
	} else {
		sum = ~packet_sum(l4, len,
				  v4 ? 0 :
				       packet_pseudo_sum(child(&to), &to, protocol, len));
		sum += m->sum_error;
		memcpy(l4 + 2, &sum, 2);
	}
	peer_send_ip(&p, ip, hlen + len, !m->protocol);
}

static void receive(struct packet *pkt)
{
	struct peer_frame *f = peer_next(&p);

	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, pkt), PACKET_OK);
	assert_true(packet_l4_sum_ok(pkt));
}

/* The next frame is an error that quotes what was sent last; the quoted transport header. */
static const uint8_t *receive_error(struct packet *pkt, uint8_t type, uint8_t code)
{
	const uint8_t *quoted;

	receive(pkt);
	assert_int_equal(pkt->l4[0], type);
	assert_int_equal(pkt->l4[1], code);
	quoted = pkt->l4 + HEADER;
	assert_memory_equal(quoted + (pkt->v4 ? 12 : 8), pkt->dst.b + (pkt->v4 ? 12 : 0),
			    pkt->v4 ? 4 : 16);
	quoted += pkt->v4 ? 20 : 40;
	if (pkt->l4[HEADER + (pkt->v4 ? 9 : 6)] != IPPROTO_UDP)
		assert_memory_equal(quoted + 4, "\x12\x34\x56\x78", 4);
	return quoted;
}

static void a_query_goes_up_as_it_came(void **state)
{
	static const struct message m[] = {
		{ .to = "203.0.113.9", .type = ICMP_ECHO },
		{ .to = "2001:db8::9", .type = ICMP6_ECHO_REQUEST },
		{ .to = "203.0.113.9", .type = ICMP_TIMESTAMP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(m); i++) {
		struct message one = m[i];
		struct addr to = addr(one.to);

		one.ttl = 7;
		one.tos = 0x28;
		one.dont_fragment = true;
		one.len = 100 + i;
		transmit(&one);
		assert_int_equal(up.queries, (int)i + 1);
		assert_true(addr_eq(&up.query.child, child(&to)));
		assert_true(addr_eq(&up.query.peer, &to));
		assert_int_equal(up.query.type, one.type);
		assert_int_equal(up.query.id, 0x1234);
		assert_int_equal(up.query.seq, 0x5678);
		assert_int_equal(up.query.ttl, 7);
		assert_int_equal(up.query.tos, 0x28);
		assert_true(up.query.dont_fragment);
		assert_int_equal(up.query.len, 100 + i);
		assert_int_equal(up.data[99], 99);
		assert_null(peer_next(&p));
	}
}

static void what_is_no_query_stays(void **state)
{
	static const struct message
		wrong = { .to = "203.0.113.9", .type = ICMP_ECHO, .sum_error = 1 },
		silent[] = {
			{ .to = "203.0.113.9", .type = ICMP_ECHOREPLY },
			{ .to = "203.0.113.9", .type = ICMP_DEST_UNREACH },
			{ .to = "203.0.113.9", .type = ICMP_REDIRECT },
			{ .to = "2001:db8::9", .type = ICMP6_ECHO_REPLY },
			{ .to = "2001:db8::9", .type = ND_REDIRECT },
			{ .to = "2001:db8::9", .type = ICMP6_PACKET_TOO_BIG },
		};

	(void)state;
	transmit(&wrong);
	assert_int_equal(dropped(STACK_DROP_MALFORMED), 1);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		struct message expired = silent[i];

		transmit(&silent[i]);
		expired.ttl = 1; /* no error about an error */
		transmit(&expired);
	}
	assert_int_equal(dropped(STACK_DROP_UNSUPPORTED), 2 * ARRAY_SIZE(silent));
	assert_null(peer_next(&p));
	assert_int_equal(up.queries, 0);
}

static void a_query_nobody_knows_is_refused(void **state)
{
	struct packet pkt;

	(void)state;
	transmit(&(struct message){ .to = "203.0.113.9", .type = 30 });
	receive_error(&pkt, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED);
	transmit(&(struct message){ .to = "2001:db8::9", .type = 139 });
	receive_error(&pkt, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN);
	transmit(&(struct message){ .to = "224.0.0.2", .type = 10 }); /* to many */
	assert_null(peer_next(&p));
}

static void a_reply_keeps_what_it_bears(void **state)
{
	static const char *const from[] = { "203.0.113.9", "2001:db8::9" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct addr peer = addr(from[i]);
		bool v4 = addr_is_v4(&peer);
		struct echo e = { .child = *child(&peer),
				  .peer = peer,
				  .type = v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY,
				  .id = 0x1234,
				  .seq = 0x5678,
				  .data = "payload",
				  .len = 7,
				  .ttl = 55,
				  .tos = 0x28 };
		struct packet pkt;

		transmit(&(struct message){
			.to = from[i], .type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST });
		for (int twice = 0; twice < 2; twice++) {
			up.near->ops->reply(up.near, &e);
			receive(&pkt);
			assert_true(addr_eq(&pkt.src, &peer));
			assert_true(addr_eq(&pkt.dst, &e.child));
			assert_int_equal(pkt.ttl, 55);
			assert_int_equal(pkt.tos, 0x28);
			assert_int_equal(pkt.l4_len, HEADER + 7);
			assert_memory_equal(pkt.l4 + 4, "\x12\x34\x56\x78payload", 11);
		}
	}
}

static void an_error_quotes_the_query(void **state)
{
	struct neterror e = { .type = ICMP_DEST_UNREACH,
			      .code = ICMP_HOST_UNKNOWN,
			      .router = addr("198.51.100.3"),
			      .ttl = 63 };
	struct packet pkt;
	const uint8_t *quoted;

	(void)state;
	transmit(&(struct message){
		.to = "203.0.113.9", .type = ICMP_ECHO, .ttl = 3, .tos = 4, .len = 50 });
	up.near->ops->error(up.near, &up.query, 20, &e);
	quoted = receive_error(&pkt, ICMP_DEST_UNREACH, ICMP_HOST_UNKNOWN);
	assert_true(addr_eq(&pkt.src, &e.router));
	assert_int_equal(pkt.ttl, 62);
	assert_int_equal(pkt.l4_len, HEADER + 20 + HEADER + 20);
	/* Its own header, to the last field: TOS, length, id, TTL; code, checksum. */
	assert_memory_equal(pkt.l4 + HEADER + 1, "\4\0\x4e\x42\x42\0\0\3\1", 9);
	assert_int_equal(packet_sum(pkt.l4 + HEADER, 20, 0), 0xffff);
	assert_int_equal(quoted[0], ICMP_ECHO);
	assert_memory_equal(quoted + 2, &up.query.sum, 2);
	assert_memory_equal(quoted + HEADER, up.data, 20);

	e = (struct neterror){ .type = ICMP_PARAMETERPROB, .info = 1 };
	up.near->ops->error(up.near, &up.query, 50, &e);
	receive_error(&pkt, ICMP_PARAMETERPROB, 0);
	assert_memory_equal(pkt.l4 + 4, "\1\0\0\0", 4);
}

static void the_gateway_is_the_first_hop(void **state)
{
	static const uint8_t protocols[] = { 0, IPPROTO_UDP, IPPROTO_TCP };
	static const char *const to[] = { "203.0.113.9", "2001:db8::9" };
	struct packet pkt;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(protocols) * 2; i++) {
		struct addr peer = addr(to[i & 1]);
		bool v4 = addr_is_v4(&peer);
		struct message m = { .to = to[i & 1],
				     .protocol = protocols[i / 2],
				     .type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
				     .ttl = 1,
				     .len = 12 };

		transmit(&m);
		receive_error(&pkt, v4 ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED, 0);
		assert_true(addr_eq(&pkt.src, gateway(&peer)));
		assert_null(peer_next(&p));
		assert_int_equal(up.attempts + up.dgrams + up.queries, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(protocols) * 2; i++) {
		struct message m = { .to = to[i & 1],
				     .protocol = protocols[i / 2],
				     .type = i & 1 ? ICMP6_ECHO_REQUEST : ICMP_ECHO,
				     .ttl = 2,
				     .len = 12 };

		transmit(&m);
		assert_null(peer_next(&p));
		assert_int_equal(up.attempts + up.dgrams + up.queries, (int)i + 1);
	}
}

static void who_means_the_gateway_has_arrived(void **state)
{
	struct packet pkt;
	char text[ADDR_TEXT_MAX];

	(void)state;
	addr_format(&p.plan.gateway4, text);
	transmit(&(struct message){ .to = text, .type = ICMP_ECHO, .ttl = 1 });
	receive(&pkt);
	assert_int_equal(pkt.l4[0], ICMP_ECHOREPLY);
	transmit(&(struct message){ .to = text, .protocol = IPPROTO_UDP, .ttl = 1 });
	assert_int_equal(up.dgrams, 1);
	/* Nor does anything to many get an answer. */
	transmit(&(struct message){
		.to = "224.0.0.251", .protocol = IPPROTO_UDP, .ttl = 1 });
	assert_null(peer_next(&p));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_query_goes_up_as_it_came),	      T(what_is_no_query_stays),
		T(a_query_nobody_knows_is_refused),   T(a_reply_keeps_what_it_bears),
		T(an_error_quotes_the_query),	      T(the_gateway_is_the_first_hop),
		T(who_means_the_gateway_has_arrived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
