/*
 * What slow readers may make the stack hold: windows grow with what is taken at once, and
 * shrink for all when all together hold much. Nothing is lost either way.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "peer.h"

#define CONNS 400
#define MIB ((size_t)1 << 20)
/* stack_tcp.h: CONN_HELD_HARD and CONN_HELD_MAX */
#define HELD_HARD (96 * MIB)
#define HELD_MAX (128 * MIB)
#define SEGMENT 16384
#define FIRST_SEQ 100
#define SHIFT 7 /* the stack's window scale */

struct live {
	struct peer_conn c;
	struct channel *ch;
	bool stalled, drained;
	size_t window;		 /* the child may still send */
	size_t sent, acked, got; /* child to remote; byte n is n * 7 + port */
	size_t back_sent, back_got;
};

static struct peer p;
static struct live live[CONNS];
static struct attempt *attempt;
static struct buf *zeros;

static uint8_t byte_of(const struct live *l, size_t n)
{
	return n * 7 + l->c.port;
}

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct live *l = ctx;
	const uint8_t *data = iov[0].iov_base;

	(void)n;
	(void)owner;
	if (l->stalled)
		return 0;
	for (size_t i = 0; i < iov[0].iov_len; i += 97)
		assert_int_equal(data[i], byte_of(l, l->got + i));
	l->got += iov[0].iov_len;
	return iov[0].iov_len;
}

static void on_drain(void *ctx)
{
	((struct live *)ctx)->drained = true;
}

static void on_eof(void *ctx)
{
	(void)ctx;
	fail_msg("a connection has ended");
}

static void on_closed(void *ctx, int err)
{
	(void)ctx;
	fail_msg("a connection has failed with %d", err);
}

static const struct channel_up up = { on_data, on_drain, on_eof, on_closed, NULL };

static void on_attempt(void *ctx, struct attempt *a)
{
	(void)ctx;
	attempt = a;
}

static void on_dgram(void *ctx, struct dgram_port *port, const struct dgram *d)
{
	(void)ctx;
	(void)port;
	(void)d;
	fail();
}

/* Reads what the stack has sent to one connection. */
static void read_answers(struct live *l)
{
	struct peer_segment s;

	stack_flush(p.st);
	while (peer_next_segment(&p, &l->c, &s)) {
		size_t window = (size_t)s.window << (s.flags & TH_SYN ? 0 : SHIFT);
		size_t in_flight = l->c.seq - s.ack;

		l->window = window > in_flight ? window - in_flight : 0;
		l->acked = s.ack - FIRST_SEQ;
		l->back_got += s.data_len;
	}
}

/* Opens the connection of a child with this MSS. */
static void establish(struct live *l, uint16_t mss)
{
	const uint8_t options[] = { 2, 4, mss >> 8, mss & 255, 1, 3, 3, SHIFT };

	l->c.seq = FIRST_SEQ - 1;
	peer_send(&p, &l->c, TH_SYN, options, sizeof(options), NULL, 0);
	l->ch = attempt->ops->accept(attempt);
	l->ch->up = &up;
	l->ch->ctx = l;
	read_answers(l);
	peer_send(&p, &l->c, TH_ACK, NULL, 0, NULL, 0);
	read_answers(l);
}

static int setup(void **state)
{
	(void)state;
	memset(live, 0, sizeof(live));
	peer_init(&p,
		  &(struct stack_up){ .on_attempt = on_attempt, .on_dgram = on_dgram });
	zeros = buf_new();
	memset(zeros->data, 0, sizeof(zeros->data));
	for (size_t i = 0; i < CONNS; i++) {
		struct live *l = &live[i];

		l->c = (struct peer_conn){ .port = 20000 + i,
					   .remote_port = 80,
					   .window = 64000 };
		assert_true(
			addr_parse(i % 2 ? "203.0.113.7" : "2001:db8::7", &l->c.remote));
		establish(l, 1460);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONNS; i++)
		live[i].ch->ops->close(live[i].ch, ECONNABORTED);
	stack_flush(p.st);
	buf_unref(zeros);
	peer_fini(&p);
	return 0;
}

/* Sends a segment of what the window allows; false when that is nothing. */
static bool push(struct live *l)
{
	static uint8_t data[SEGMENT];
	size_t n = MIN(l->window, sizeof(data));

	for (size_t i = 0; i < n; i++)
		data[i] = byte_of(l, l->sent + i);
	if (!n)
		return false;
	peer_send(&p, &l->c, TH_ACK, NULL, 0, data, n);
	l->sent += n;
	l->window -= n;
	read_answers(l);
	return true;
}

static void fill(struct live *l, size_t bytes)
{
	for (size_t end = l->sent + bytes; l->sent < end && push(l);)
		;
}

static size_t held(void)
{
	size_t sum = 0;

	for (size_t i = 0; i < CONNS; i++)
		sum += live[i].acked - live[i].got;
	return sum;
}

static void release(void)
{
	for (size_t i = 0; i < CONNS; i++) {
		live[i].stalled = false;
		live[i].ch->ops->recv(live[i].ch);
		read_answers(&live[i]);
		assert_int_equal(live[i].got, live[i].sent);
	}
}

static void a_window_grows_with_what_is_taken(void **state)
{
	struct live *l = &live[0];

	(void)state;
	assert_true(push(l));
	assert_in_range(l->window, 60000, 66000 + SEGMENT);
	for (int i = 0; i < 64; i++)
		assert_true(push(l));
	assert_in_range(l->window, MIB - (1 << SHIFT), MIB);
}

static void a_stalled_remote_keeps_it_small(void **state)
{
	struct live *l = &live[1];

	(void)state;
	l->stalled = true;
	fill(l, MIB);
	assert_in_range(l->sent, 60000, 65535);
	release();
	fill(l, 2 * MIB);
	assert_true(l->sent >= 2 * MIB);
	assert_int_equal(l->got, l->sent);
}

/* What stalled goes on at once, also when a segment is as large as a window of old. */
static void a_large_segment_fits_a_reopened_window(void **state)
{
	struct live *l = &live[2];

	(void)state;
	l->ch->ops->close(l->ch, ECONNABORTED);
	stack_flush(p.st);
	while (peer_next(&p))
		;
	l->c.port = 19999;
	establish(l, 65480);
	assert_true(push(l)); /* which tells the window, scaled */
	assert_true(l->window >= 2 * 65480);
	l->stalled = true;
	for (int i = 0; i < 14; i++) /* a little in each, never a whole segment */
		push(l);
	release();
	assert_true(push(l));
	assert_true(l->window >= 2 * 65480);
}

/* Connections that were quick, so that each may send much, and all stall at once. */
static void all_together_are_bounded(void **state)
{
	size_t most;

	(void)state;
	for (size_t i = 0; i < CONNS; i++) {
		fill(&live[i], 2 * MIB);
		assert_true(live[i].window > MIB / 2);
		live[i].stalled = true;
	}
	for (size_t i = 0; i < CONNS; i++)
		fill(&live[i], 2 * MIB);
	most = held();
	assert_true(most > HELD_HARD / 2);
	assert_true(most <= HELD_MAX + CONNS * (size_t)SEGMENT);

	/* What was not taken the child sends again, and it arrives. */
	for (size_t i = 0; i < CONNS; i++) {
		struct live *l = &live[i];
		static uint8_t data[SEGMENT];

		l->stalled = false;
		l->ch->ops->recv(l->ch);
		read_answers(l);
		while (l->got < l->sent) {
			l->c.seq -= l->sent - l->got;
			for (size_t n = 0; n < sizeof(data); n++)
				data[n] = byte_of(l, l->got + n);
			peer_send(&p, &l->c, TH_ACK, NULL, 0, data, sizeof(data));
			l->c.seq += l->sent - l->got;
			read_answers(l);
		}
		assert_int_equal(l->got, l->sent);
	}
	/* And with nothing held any more all is as before. */
	fill(&live[7], 4 * MIB);
	assert_in_range(live[7].window, MIB - (1 << SHIFT), MIB);
}

static size_t send_all(struct live *l)
{
	size_t sum = 0, room;

	while ((room = l->ch->ops->room(l->ch)) > 0) {
		struct iovec iov = { zeros->data, MIN(room, (size_t)BUF_CAP) };

		assert_int_equal(l->ch->ops->send(l->ch, &iov, 1, zeros), iov.iov_len);
		l->back_sent += iov.iov_len;
		sum += iov.iov_len;
		read_answers(l);
	}
	return sum;
}

/* The child reads nothing: it acknowledges nothing. */
static void what_waits_for_the_child_is_bounded(void **state)
{
	size_t sum = 0;

	(void)state;
	for (size_t i = 0; i < CONNS; i++)
		sum += send_all(&live[i]);
	assert_true(sum > HELD_HARD / 2);
	assert_true(sum <= HELD_HARD + CONNS * (size_t)BUF_CAP);
	assert_true(live[0].back_sent > MIB / 2);
	assert_true(live[CONNS - 1].back_sent <= 65536);
	assert_true(live[CONNS - 1].back_sent > 0);

	for (size_t i = 0; i < CONNS; i++) {
		struct live *l = &live[i];

		while (l->back_got < l->back_sent) {
			peer_send(&p, &l->c, TH_ACK, NULL, 0, NULL, 0);
			read_answers(l);
		}
		peer_send(&p, &l->c, TH_ACK, NULL, 0, NULL, 0);
		read_answers(l);
		assert_int_equal(l->ch->ops->unacked(l->ch), 0);
		assert_true(l->drained);
	}
	assert_true(send_all(&live[CONNS - 1]) > MIB / 2);
	while (live[CONNS - 1].back_got < live[CONNS - 1].back_sent) {
		peer_send(&p, &live[CONNS - 1].c, TH_ACK, NULL, 0, NULL, 0);
		read_answers(&live[CONNS - 1]);
	}
	peer_send(&p, &live[CONNS - 1].c, TH_ACK, NULL, 0, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_window_grows_with_what_is_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_stalled_remote_keeps_it_small, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_large_segment_fits_a_reopened_window,
						setup, teardown),
		cmocka_unit_test_setup_teardown(all_together_are_bounded, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_waits_for_the_child_is_bounded,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
