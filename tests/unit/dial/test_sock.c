/* The socket channel against real sockets on loopback. */
#include "dial/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/util.h"

static struct {
	uv_loop_t loop;
	struct poller poller;
	struct sock_set set;
	struct endpoint at; /* where we listen */
	int listener, peer;
	struct channel *ch;
	bool done;
	int err;
	/* what the channel told */
	size_t got, budget;
	uint8_t data[4 << 20];
	int eofs, closes, drains, close_err;
	bool owned;
} t;

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	size_t take = MIN(iov[0].iov_len, t.budget);

	(void)ctx;
	assert_int_equal(n, 1);
	t.owned = owner && (uint8_t *)iov[0].iov_base >= owner->data;
	memcpy(t.data + t.got, iov[0].iov_base, take);
	t.got += take;
	t.budget -= take;
	return take;
}

static void on_drain(void *ctx)
{
	(void)ctx;
	t.drains++;
}

static void on_eof(void *ctx)
{
	(void)ctx;
	t.eofs++;
}

static void on_closed(void *ctx, int err)
{
	(void)ctx;
	t.closes++;
	t.close_err = err;
}

static size_t room(void *ctx)
{
	(void)ctx;
	return t.budget;
}

static const struct channel_up up = { on_data, on_drain, on_eof, on_closed, room };

static void on_dialed(void *ctx, struct channel *far, int err, const char *why)
{
	(void)ctx;
	(void)why;
	t.done = true;
	t.ch = far;
	t.err = err;
}

/* Runs the loop until a condition holds; the loop's own events pace it. */
#define run_until(condition)                                 \
	do {                                                 \
		uv_update_time(&t.loop);                     \
		uint64_t end_ = uv_now(&t.loop) + 10000;     \
		while (!(condition)) {                       \
			poller_turn(&t.poller);              \
			assert_true(uv_now(&t.loop) < end_); \
		}                                            \
	} while (0)

static void dial(void)
{
	struct dial_result r = sock_connect(&t.set, &t.at, on_dialed, NULL);

	if (!r.pending)
		on_dialed(NULL, r.far, r.err, NULL);
	run_until(t.done);
}

static int setup(void **state)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	(void)state;
	memset(&t, 0, sizeof(t));
	t.budget = sizeof(t.data);
	t.peer = -1;
	uv_loop_init(&t.loop);
	assert_int_equal(poller_init(&t.poller, &t.loop), 0);
	sock_set_init(&t.set, &t.loop, &t.poller);
	t.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(addr_parse("127.0.0.1", &t.at.addr));
	assert_int_equal(bind(t.listener, (struct sockaddr *)&sa,
			      endpoint_to_sockaddr(&t.at, &sa)),
			 0);
	assert_int_equal(listen(t.listener, 4), 0);
	getsockname(t.listener, (struct sockaddr *)&sa, &len);
	assert_true(endpoint_from_sockaddr((struct sockaddr *)&sa, &t.at));
	return 0;
}

static void connect_both(void)
{
	dial();
	assert_non_null(t.ch);
	t.ch->up = &up;
	t.peer = accept(t.listener, NULL, NULL);
	assert_true(t.peer >= 0);
}

static int teardown(void **state)
{
	(void)state;
	if (t.ch)
		t.ch->ops->close(t.ch, 0);
	sock_set_abandon(&t.set);
	sock_set_close(&t.set);
	poller_close(&t.poller);
	if (t.peer >= 0)
		close(t.peer);
	close(t.listener);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	buf_trim();
	assert_int_equal(uv_loop_close(&t.loop), 0);
	return 0;
}

static void a_refused_connect_says_so(void **state)
{
	(void)state;
	close(t.listener);
	t.listener = -1;
	dial();
	assert_null(t.ch);
	assert_int_equal(t.err, ECONNREFUSED);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, IPPROTO_IP, name, &value, &len), 0);
	return value;
}

/* Few hops and an error queue are the probe's: the connection has what any other has. */
static void a_probe_leaves_nothing_behind(void **state)
{
	int any = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ours;
	struct dial_result r;

	(void)state;
	ours = dup(any); /* the number that the next socket will have */
	close(ours);
	r = sock_probe(&t.set, &t.at, 3, on_dialed, NULL);
	if (r.pending) {
		assert_int_equal(option(ours, IP_TTL), 2);
		assert_int_equal(option(ours, IP_RECVERR), 1);
		run_until(t.done);
	} else {
		on_dialed(NULL, r.far, r.err, NULL);
	}
	assert_non_null(t.ch);
	t.ch->up = &up;
	assert_int_equal(option(ours, IP_TTL), option(any, IP_TTL));
	assert_int_equal(option(ours, IP_RECVERR), 0);
	assert_int_equal(option(ours, IP_RECVTTL), 0);
	assert_null(t.set.why);
	close(any);
}

static void a_cancelled_connect_stays_silent(void **state)
{
	struct dial_result r = sock_connect(&t.set, &t.at, on_dialed, NULL);

	(void)state;
	if (r.pending)
		sock_connect_cancel(r.pending);
	else
		r.far->ops->close(r.far, 0);
	for (int i = 0; i < 10; i++)
		poller_turn(&t.poller);
	assert_false(t.done);
}

static void reading_begins_with_recv_and_ends_with_eof(void **state)
{
	(void)state;
	connect_both();
	assert_int_equal(send(t.peer, "hello", 5, 0), 5);
	for (int i = 0; i < 10; i++)
		poller_turn(&t.poller);
	assert_int_equal(t.got, 0);
	t.ch->ops->recv(t.ch);
	run_until(t.got == 5);
	assert_true(t.owned);
	shutdown(t.peer, SHUT_WR);
	run_until(t.eofs == 1);
	assert_int_equal(t.ch->ops->send(t.ch, &(struct iovec){ "still", 5 }, 1, NULL),
			 5);
	assert_int_equal(recv(t.peer, t.data, 5, MSG_WAITALL), 5);
	assert_int_equal(t.closes, 0);
}

static void what_is_not_taken_stays_in_order(void **state)
{
	(void)state;
	connect_both();
	t.budget = 2;
	t.ch->ops->recv(t.ch);
	assert_int_equal(send(t.peer, "abcdef", 6, 0), 6);
	run_until(t.got == 2);
	assert_int_equal(send(t.peer, "ghi", 3, 0), 3);
	shutdown(t.peer, SHUT_WR);
	for (int i = 0; i < 10; i++)
		poller_turn(&t.poller);
	assert_int_equal(t.got, 2);
	assert_int_equal(t.eofs, 0);
	t.budget = 100;
	t.ch->ops->recv(t.ch);
	run_until(t.eofs == 1);
	assert_int_equal(t.got, 9);
	assert_memory_equal(t.data, "abcdefghi", 9);
}

static void a_full_socket_drains(void **state)
{
	static uint8_t block[65536];
	struct iovec iov = { block, sizeof(block) };
	size_t sent = 0, read_ = 0;
	ssize_t n;

	(void)state;
	connect_both();
	while ((n = t.ch->ops->send(t.ch, &iov, 1, NULL)) == sizeof(block))
		sent += n;
	assert_true(n >= 0);
	sent += n;
	assert_int_equal(t.ch->ops->send(t.ch, &iov, 1, NULL), 0);
	assert_true(t.ch->ops->unacked(t.ch) > 0);
	while (read_ < sent)
		read_ += recv(t.peer, t.data, sizeof(t.data), 0);
	run_until(t.drains == 1);
	run_until(t.ch->ops->unacked(t.ch) == 0);
}

static void a_reset_is_told(void **state)
{
	struct linger off = { .l_onoff = 1 };

	(void)state;
	connect_both();
	t.ch->ops->recv(t.ch);
	setsockopt(t.peer, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	close(t.peer);
	t.peer = -1;
	run_until(t.closes == 1);
	assert_int_equal(t.close_err, ECONNRESET);
}

static int peer_error(void)
{
	uint8_t byte;

	return recv(t.peer, &byte, 1, 0) < 0 ? errno : 0;
}

static void closing_with_an_error_resets(void **state)
{
	(void)state;
	connect_both();
	t.ch->ops->close(t.ch, ECONNRESET);
	t.ch = NULL;
	assert_int_equal(peer_error(), ECONNRESET);
}

/* What was taken is delivered before the reset, however slow the reader. */
static void a_reset_waits_for_what_was_taken(void **state)
{
	static uint8_t block[65536];
	struct iovec iov = { block, sizeof(block) };
	size_t sent = 0, read_ = 0;
	ssize_t n;

	(void)state;
	connect_both();
	while ((n = t.ch->ops->send(t.ch, &iov, 1, NULL)) > 0)
		sent += n;
	t.ch->ops->close(t.ch, ECONNRESET);
	t.ch = NULL;
	assert_false(sock_set_idle(&t.set));
	while (read_ < sent) {
		n = recv(t.peer, t.data, sizeof(t.data), 0);
		assert_true(n > 0);
		read_ += n;
	}
	run_until(sock_set_idle(&t.set));
	assert_int_equal(recv(t.peer, t.data, 1, 0),
			 0); /* its FIN came before the reset */
}

/* A connection its peer has reset owes nothing any more. */
static void the_dead_are_not_waited_for(void **state)
{
	static uint8_t block[65536];
	struct iovec iov = { block, sizeof(block) };
	struct linger off = { .l_onoff = 1 };

	(void)state;
	connect_both();
	t.ch->ops->recv(t.ch);
	while (t.ch->ops->send(t.ch, &iov, 1, NULL) > 0)
		;
	setsockopt(t.peer, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	close(t.peer);
	t.peer = -1;
	run_until(t.closes == 1);
	assert_int_equal(t.ch->ops->unacked(t.ch), 0);
	t.ch->ops->close(t.ch, ECONNRESET);
	t.ch = NULL;
	assert_true(sock_set_idle(&t.set));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_refused_connect_says_so),
		T(a_cancelled_connect_stays_silent),
		T(a_probe_leaves_nothing_behind),
		T(reading_begins_with_recv_and_ends_with_eof),
		T(what_is_not_taken_stays_in_order),
		T(a_full_socket_drains),
		T(a_reset_is_told),
		T(closing_with_an_error_resets),
		T(a_reset_waits_for_what_was_taken),
		T(the_dead_are_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
