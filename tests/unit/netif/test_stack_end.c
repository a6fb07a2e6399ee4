/* How connections end: each direction on its own, by a reset, late, never. */
#include "tcp_side.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void both_directions_end_on_their_own(void **state)
{
	struct iovec iov = { "late", 4 };
	struct peer_segment s;

	(void)state;
	establish();
	peer_send(&p, &c, TH_FIN | TH_ACK, NULL, 0, "bye", 3);
	stack_flush(p.st);
	assert_int_equal(up.eofs, 1);
	assert_int_equal(up.got, 3);
	while (peer_next_segment(&p, &c, &s))
		assert_int_equal(s.flags, TH_ACK);
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, NULL), 4);
	assert_int_equal(next().data_len, 4);
	up.ch->ops->shut(up.ch);
	assert_int_equal(next().flags & TH_FIN, TH_FIN);
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	up.ch->ops->close(up.ch, 0);
	up.ch = NULL;
	stack_flush(p.st);
	assert_int_equal(up.closes, 0);
	assert_int_equal(stack_connections(p.st), 0);
}

/* The remote may have sent all and ended before the child's handshake is complete. */
static void an_end_before_the_handshake_waits_for_it(void **state)
{
	struct iovec iov = { "all there is", 12 };
	struct peer_segment s;
	size_t got = 0;

	(void)state;
	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	accept_attempt();
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, NULL), 12);
	up.ch->ops->shut(up.ch);
	assert_int_equal(next().flags, TH_SYN | TH_ACK);
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	do {
		s = next();
		got += s.data_len;
	} while (!(s.flags & TH_FIN));
	assert_int_equal(got, 12);
	peer_send(&p, &c, TH_FIN | TH_ACK, NULL, 0, NULL, 0);
	stack_flush(p.st);
	assert_int_equal(up.eofs, 1);
	assert_int_equal(up.closes, 0);
	assert_int_equal(up.ch->ops->unacked(up.ch), 0);
	up.ch->ops->close(up.ch, 0);
	up.ch = NULL;
	stack_flush(p.st);
	assert_int_equal(stack_connections(p.st), 0);
}

/* The remote has sent all and ended, the child has, too, and stops reading. */
static void end_both_ways(const uint8_t *bytes, size_t len)
{
	struct iovec iov = { (void *)bytes, len };

	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, NULL), len);
	up.ch->ops->shut(up.ch);
	up.ch->ops->close(up.ch, 0);
	up.ch = NULL;
}

/* Reads and acknowledges all there is; returns how much of it was as expected. */
static size_t read_to_the_end(const uint8_t *bytes, size_t got, bool *fin)
{
	struct peer_segment s;

	while (peer_next_segment(&p, &c, &s)) {
		assert_int_equal(s.flags & TH_RST, 0);
		if (s.seq + s.data_len + !!(s.flags & TH_FIN) == c.ack) {
			assert_memory_equal(s.data, bytes + got, s.data_len);
			got += s.data_len;
			*fin |= s.flags & TH_FIN;
		}
		peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	}
	return got;
}

/* lwIP gives LAST_ACK two TCP_MSL, whatever is still queued. */
static void a_stalled_reader_loses_nothing(void **state)
{
	static uint8_t bytes[200000];
	size_t got, first;
	bool fin = false;
	int probes = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7 + i / 256;
	c.window = 500; /* scaled by 7: 64000 */
	establish();
	peer_send(&p, &c, TH_FIN | TH_ACK, NULL, 0, NULL, 0);
	stack_flush(p.st);
	assert_int_equal(next().flags, TH_ACK);
	end_both_ways(bytes, sizeof(bytes));
	c.window = 0;
	first = read_to_the_end(bytes, 0, &fin);
	assert_int_equal(first, 64000);

	for (int quarters = 0; quarters < 4 * 3600; quarters++) {
		uint32_t ack = c.ack;
		struct peer_segment s;

		peer_timers(&p, 1);
		while (peer_next_segment(&p, &c, &s)) {
			assert_int_equal(s.flags & (TH_FIN | TH_RST), 0);
			c.ack = ack; /* no room even for a probe's byte */
			peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
			probes++;
		}
	}
	assert_int_equal(stack_connections(p.st), 1);
	assert_true(probes >= 60);

	c.window = 500;
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	got = read_to_the_end(bytes, first, &fin);
	assert_int_equal(got, sizeof(bytes));
	assert_true(fin);
	stack_flush(p.st);
	assert_int_equal(stack_connections(p.st), 0);
}

/* The limit counts from the child's last segment, which may be long ago. */
static void an_end_after_long_silence_is_no_late_one(void **state)
{
	static const uint8_t bytes[] = "after ten minutes";
	bool fin = false;

	(void)state;
	establish();
	peer_send(&p, &c, TH_FIN | TH_ACK, NULL, 0, NULL, 0);
	stack_flush(p.st);
	assert_int_equal(next().flags, TH_ACK);
	peer_timers(&p, 4 * 600);
	end_both_ways(bytes, sizeof(bytes));
	peer_timers(&p, 4); /* before the child has had its turn */
	assert_int_equal(read_to_the_end(bytes, 0, &fin), sizeof(bytes));
	assert_true(fin);
	stack_flush(p.st);
	assert_int_equal(stack_connections(p.st), 0);
}

static void no_time_wait_is_left(void **state)
{
	struct peer_segment s;

	(void)state;
	establish();
	up.ch->ops->shut(up.ch);
	assert_int_equal(next().flags & TH_FIN, TH_FIN);
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	peer_send(&p, &c, TH_FIN | TH_ACK, NULL, 0, NULL, 0);
	assert_true(peer_next_segment(&p, &c, &s)); /* the FIN is acknowledged */
	assert_int_equal(s.ack, c.seq);
	assert_int_equal(up.eofs, 1);
	up.ch->ops->close(up.ch, 0);
	up.ch = NULL;
	stack_flush(p.st);
	assert_int_equal(stack_connections(p.st), 0);
}

static void a_reset_comes_after_the_bytes_before_it(void **state)
{
	(void)state;
	establish();
	up.budget = 1;
	peer_send(&p, &c, TH_ACK, NULL, 0, "hello", 5);
	peer_send(&p, &c, TH_RST | TH_ACK, NULL, 0, NULL, 0);
	stack_flush(p.st);
	assert_int_equal(up.closes, 0);
	up.budget = 100;
	up.ch->ops->recv(up.ch);
	assert_memory_equal(up.data, "hello", 5);
	assert_int_equal(up.closes, 1);
	assert_int_equal(up.err, ECONNRESET);
}

static void a_remote_reset_waits_for_what_came_before(void **state)
{
	struct iovec iov = { "last words", 10 };

	(void)state;
	establish();
	assert_int_equal(up.ch->ops->send(up.ch, &iov, 1, NULL), 10);
	assert_int_equal(next().data_len, 10);
	up.ch->ops->close(up.ch, ECONNRESET);
	up.ch = NULL;
	nothing_sent();
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	assert_int_equal(next().flags & TH_RST, TH_RST);
	stack_flush(p.st);
	assert_int_equal(stack_connections(p.st), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(both_directions_end_on_their_own),
		BOTH(an_end_before_the_handshake_waits_for_it),
		BOTH(a_stalled_reader_loses_nothing),
		BOTH(an_end_after_long_silence_is_no_late_one),
		BOTH(no_time_wait_is_left),
		BOTH(a_reset_comes_after_the_bytes_before_it),
		BOTH(a_remote_reset_waits_for_what_came_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
