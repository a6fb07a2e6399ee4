/* The TCP side of the stack, seen from the child's kernel and from the flow. */
#include "tcp_side.h"

#include <errno.h>
#include <netinet/ip_icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void parks_a_syn_and_answers_after_accept(void **state)
{
	struct peer_segment s;

	(void)state;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	assert_int_equal(up.attempts, 1);
	assert_int_equal(up.attempt->child.port, 40000);
	assert_int_equal(up.attempt->remote.port, 80);
	assert_true(addr_eq(&up.attempt->remote.addr, &c.remote));
	nothing_sent();

	accept_attempt();
	s = next();
	assert_int_equal(s.flags, TH_SYN | TH_ACK);
	assert_int_equal(s.ack, 1001);
	/* MSS 65480 and window scale 7 */
	assert_memory_equal(s.options, ((uint8_t[]){ 2, 4, 0xff, 0xc8, 1, 3, 3, 7 }), 8);
}

static void a_second_syn_changes_nothing(void **state)
{
	(void)state;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	c.seq = 1000;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	assert_int_equal(up.attempts, 1);
	assert_int_equal(stack_connections(p.st), 1);
	nothing_sent();
}

static void a_reset_cancels_a_parked_syn(void **state)
{
	(void)state;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	peer_send(&p, &c, TH_RST, NULL, 0, NULL, 0);
	assert_int_equal(up.cancels, 1);
	assert_int_equal(stack_connections(p.st), 0);
	nothing_sent();
}

static void refuses_by_reset(void **state)
{
	struct peer_segment s;

	(void)state;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	up.attempt->ops->refuse(up.attempt, ECONNREFUSED);
	up.attempt = NULL;
	s = next();
	assert_int_equal(s.flags, TH_RST | TH_ACK);
	assert_int_equal(s.ack, 1001);
	assert_int_equal(stack_connections(p.st), 0);
}

/* lwIP sends nothing from "::": a frame from a child that is root, no connect() makes one. */
static void the_unspecified_address_is_refused_by_icmp(void **state)
{
	static const uint8_t icmpv6_prohibited[] = { 1, 1 };
	struct peer_frame *f;
	struct packet pkt;

	(void)state;
	assert_true(addr_parse("::", &c.remote));
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	up.attempt->ops->refuse(up.attempt, ECONNREFUSED);
	up.attempt = NULL;
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + PACKET_ETH_LEN, f->len - PACKET_ETH_LEN,
				      &pkt),
			 PACKET_OK);
	assert_int_equal(pkt.protocol, IPPROTO_ICMPV6);
	assert_memory_equal(pkt.l4, icmpv6_prohibited, 2);
	peer_send(&p, &c, TH_ACK, NULL, 0, "x", 1);
	nothing_sent();
	assert_int_equal(stack_drops(p.st)[STACK_DROP_MARTIAN], 1);
}

static void refuses_by_icmp_quoting_the_syn(void **state)
{
	struct peer_frame *f;
	struct packet pkt, quoted;

	(void)state;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	up.attempt->ops->refuse(up.attempt, EHOSTUNREACH);
	up.attempt = NULL;
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt), PACKET_OK);
	assert_true(packet_l4_sum_ok(&pkt));
	assert_int_equal(pkt.l4[0], pkt.v4 ? ICMP_DEST_UNREACH : 1);
	assert_int_equal(pkt.l4[1], pkt.v4 ? ICMP_HOST_UNREACH : 3);
	assert_int_equal(packet_parse(pkt.l4 + 8, pkt.l4_len - 8, &quoted), PACKET_OK);
	assert_true(addr_eq(&quoted.dst, &c.remote));
	/* ports and sequence number: what a kernel looks its socket up by */
	assert_memory_equal(quoted.l4, ((uint8_t[]){ 156, 64, 0, 80, 0, 0, 3, 232 }), 8);
}

static void stays_silent_about_a_timeout(void **state)
{
	(void)state;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	up.attempt->ops->refuse(up.attempt, ETIMEDOUT);
	up.attempt = NULL;
	nothing_sent();
	assert_int_equal(stack_connections(p.st), 0);
}

static void one_acknowledgement_per_batch(void **state)
{
	static uint8_t bytes[1460];
	struct peer_segment s;

	(void)state;
	establish();
	for (int i = 0; i < 10; i++)
		peer_send(&p, &c, TH_ACK, NULL, 0, bytes, sizeof(bytes));
	assert_null(peer_next(&p));
	stack_flush(p.st);
	s = next();
	assert_int_equal(s.flags, TH_ACK);
	assert_int_equal(s.ack, c.seq);
	nothing_sent();
	assert_int_equal(up.got, 14600);
}

/* A program that writes, writes and reads: its kernel keeps the second until the first is
 * acknowledged. No timer may be needed for that. */
static void a_lone_small_segment_is_acknowledged_in_its_batch(void **state)
{
	struct peer_segment s;

	(void)state;
	establish();
	for (int i = 0; i < 3; i++) {
		peer_send(&p, &c, TH_ACK | TH_PUSH, NULL, 0, "x", 1);
		stack_flush(p.st);
		s = next();
		assert_int_equal(s.flags, TH_ACK);
		assert_int_equal(s.ack, c.seq);
		nothing_sent();
	}
}

static void what_is_not_taken_stays_and_closes_the_window(void **state)
{
	static uint8_t bytes[50000];
	struct peer_segment s;
	unsigned open;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7;
	establish();
	up.budget = 100;
	peer_send(&p, &c, TH_ACK, NULL, 0, bytes, sizeof(bytes));
	stack_flush(p.st);
	s = next();
	assert_int_equal(up.got, 100);
	open = s.window;
	/* 64 KiB less one is what it began with */
	assert_int_equal(open, (65535 - sizeof(bytes)) >> 7);

	up.budget = sizeof(up.data);
	up.ch->ops->recv(up.ch);
	assert_int_equal(up.got, sizeof(bytes));
	assert_memory_equal(up.data, bytes, sizeof(bytes));
}

static void buffers_are_released_by_acknowledgement(void **state)
{
	struct buf *b = buf_new();
	struct iovec iov = { b->data, 60000 };
	struct peer_segment s;

	(void)state;
	memset(b->data, 'x', sizeof(b->data));
	establish();
	/* the window of a SYN is not scaled, that of the segments behind it is */
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, b), 60000);
	assert_int_equal(b->refs, 2);
	assert_int_equal(up.ch->ops->unacked(up.ch), 60000);
	s = next();
	assert_int_equal(s.data_len, 60000);
	assert_int_equal(s.gso_size, 1460);
	assert_memory_equal(s.data, b->data, 60000);
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	assert_int_equal(b->refs, 1);
	assert_int_equal(up.ch->ops->unacked(up.ch), 0);
	buf_unref(b);
}

static void small_pieces_are_copied(void **state)
{
	struct buf *b = buf_new();
	struct iovec iov = { b->data, 100 };

	(void)state;
	memset(b->data, 'x', 100);
	establish();
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, b), 100);
	assert_int_equal(b->refs, 1);
	memset(b->data, 'y', 100);
	buf_unref(b);
	assert_int_equal(next().data[99], 'x');
}

static void a_full_connection_says_so_and_drains(void **state)
{
	size_t sent = 0;
	ssize_t n;

	(void)state;
	establish();
	do {
		struct buf *b = buf_new();
		struct iovec iov = { b->data, 60000 };

		memset(b->data, 0, 60000);
		n = up.ch->ops->send(up.ch, &iov, 1, b);
		assert_true(n >= 0);
		sent += n;
		buf_unref(b);
	} while (n == 60000);
	assert_int_equal(sent, 1024 * 1024);
	while (up.ch->ops->unacked(up.ch)) {
		struct peer_segment s;

		while (peer_next_segment(&p, &c, &s))
			;
		peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	}
	assert_true(up.drains > 0);
}

/* ENGINE pitfall: tcp_write() asserts on half a window of 0 or 1. */
static void a_syn_without_window_kills_nobody(void **state)
{
	uint8_t bytes[8] = "abcdefg";
	struct iovec iov = { bytes, 8 };

	(void)state;
	c.window = 1;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	accept_attempt();
	assert_int_equal(next().flags, TH_SYN | TH_ACK);
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, NULL), 8);
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, NULL), 8);
}

/* lwIP's option parser reads over the end of such lists, and takes an MSS at any time. */
static void odd_options_do_not_reach_lwip(void **state)
{
	static const uint8_t cut[] = { 1, 1, 1, 2 }, zero[] = { 2, 0, 0, 0 };
	static const uint8_t tiny[] = { 2, 4, 0, 1 };
	struct buf *b = buf_new();
	struct iovec iov = { b->data, 30000 };

	(void)state;
	memset(b->data, 0, 30000);
	peer_send(&p, &c, TH_SYN, cut, sizeof(cut), NULL, 0);
	accept_attempt();
	next();
	peer_send(&p, &c, TH_ACK, zero, sizeof(zero), NULL, 0);
	peer_send(&p, &c, TH_ACK, tiny, sizeof(tiny), "hi", 2);
	stack_flush(p.st);
	next();
	assert_int_equal(up.got, 2);
	/* No MSS option: 536 (RFC 9293 3.7.1), and it stays so. */
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, b), 30000);
	assert_int_equal(next().gso_size, 536);
	buf_unref(b);
}

static void a_tiny_mss_is_raised(void **state)
{
	static const uint8_t tiny[] = { 2, 4, 0, 1 };
	struct buf *b = buf_new();
	struct iovec iov = { b->data, 20000 };

	(void)state;
	memset(b->data, 0, 20000);
	peer_send(&p, &c, TH_SYN, tiny, sizeof(tiny), NULL, 0);
	accept_attempt();
	next();
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, b), 20000);
	assert_int_equal(next().gso_size, 536);
	buf_unref(b);
}

static void a_probe_hears_of_the_router(void **state)
{
	bool v4 = addr_is_v4(&c.remote);
	struct neterror e = { .type = v4 ? ICMP_TIME_EXCEEDED : 3, .ttl = 62 };
	struct peer_frame *f;
	struct packet pkt, quoted;

	(void)state;
	assert_true(addr_parse(v4 ? "198.51.100.3" : "2001:db8:7::1", &e.router));
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	assert_int_equal(up.attempt->probe_ttl, 0); /* an ordinary one */
	up.attempt->ops->refuse(up.attempt, ETIMEDOUT);
	c.ttl = 3;
	c.seq = 1000;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	assert_int_equal(up.attempt->probe_ttl, 3);
	up.attempt->ops->refuse_as(up.attempt, &e);
	up.attempt = NULL;
	f = peer_next(&p);
	assert_non_null(f);
	assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt), PACKET_OK);
	assert_true(packet_l4_sum_ok(&pkt));
	assert_true(addr_eq(&pkt.src, &e.router));
	assert_int_equal(pkt.ttl, 61);
	assert_int_equal(pkt.l4[0], e.type);
	assert_int_equal(packet_parse(pkt.l4 + 8, pkt.l4_len - 8, &quoted), PACKET_OK);
	assert_int_equal(quoted.ttl, 3);
	assert_memory_equal(quoted.l4, ((uint8_t[]){ 156, 64, 0, 80, 0, 0, 3, 232 }), 8);
	assert_int_equal(stack_connections(p.st), 0);
}

static void strays_are_reset(void **state)
{
	(void)state;
	peer_send(&p, &c, TH_ACK, NULL, 0, "x", 1);
	assert_int_equal(next().flags & TH_RST, TH_RST);
	peer_send(&p, &c, TH_RST, NULL, 0, NULL, 0);
	nothing_sent();
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0); /* "is there anybody?" */
	nothing_sent();
	assert_int_equal(up.attempts, 0);
}

static void idle_connections_need_no_timer(void **state)
{
	(void)state;
	establish();
	assert_int_equal(p.loop.active_handles, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(parks_a_syn_and_answers_after_accept),
		BOTH(a_second_syn_changes_nothing),
		BOTH(a_reset_cancels_a_parked_syn),
		BOTH(refuses_by_reset),
		BOTH(refuses_by_icmp_quoting_the_syn),
		BOTH(a_probe_hears_of_the_router),
		cmocka_unit_test_setup_teardown(
			the_unspecified_address_is_refused_by_icmp, setup_v6, teardown),
		BOTH(stays_silent_about_a_timeout),
		BOTH(one_acknowledgement_per_batch),
		BOTH(a_lone_small_segment_is_acknowledged_in_its_batch),
		BOTH(what_is_not_taken_stays_and_closes_the_window),
		BOTH(buffers_are_released_by_acknowledgement),
		BOTH(small_pieces_are_copied),
		BOTH(a_full_connection_says_so_and_drains),
		BOTH(a_syn_without_window_kills_nobody),
		BOTH(odd_options_do_not_reach_lwip),
		BOTH(a_tiny_mss_is_raised),
		BOTH(strays_are_reset),
		BOTH(idle_connections_need_no_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
