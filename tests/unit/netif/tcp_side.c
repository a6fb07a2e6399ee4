#include "tcp_side.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

struct tcp_side up;
struct peer p;
struct peer_conn c;

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	size_t take = MIN(iov[0].iov_len, up.budget);

	(void)ctx;
	assert_int_equal(n, 1);
	assert_null(owner);
	assert_true(up.got + take <= sizeof(up.data));
	memcpy(up.data + up.got, iov[0].iov_base, take);
	up.got += take;
	up.budget -= take;
	return take;
}

static void on_drain(void *ctx)
{
	(void)ctx;
	up.drains++;
}

static void on_eof(void *ctx)
{
	(void)ctx;
	up.eofs++;
}

static void on_closed(void *ctx, int err)
{
	(void)ctx;
	up.closes++;
	up.err = err;
}

static const struct channel_up channel_up = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_eof = on_eof,
	.on_closed = on_closed,
};

static void on_cancel(void *owner)
{
	(void)owner;
	up.cancels++;
	up.attempt = NULL;
}

static void on_attempt(void *ctx, struct attempt *a)
{
	(void)ctx;
	up.attempts++;
	up.attempt = a;
	a->on_cancel = on_cancel;
}

static void on_dgram(void *ctx, struct dgram_port *port, const struct dgram *d)
{
	(void)ctx;
	(void)port;
	(void)d;
	fail();
}

int setup_v4(void **state)
{
	(void)state;
	memset(&up, 0, sizeof(up));
	up.budget = sizeof(up.data);
	peer_init(&p,
		  &(struct stack_up){ .on_attempt = on_attempt, .on_dgram = on_dgram });
	c = (struct peer_conn){
		.port = 40000, .remote_port = 80, .seq = 1000, .window = 64240
	};
	assert_true(addr_parse("203.0.113.7", &c.remote));
	return 0;
}

int setup_v6(void **state)
{
	setup_v4(state);
	assert_true(addr_parse("2001:db8::7", &c.remote));
	return 0;
}

int teardown(void **state)
{
	(void)state;
	if (up.attempt)
		up.attempt->ops->refuse(up.attempt, ETIMEDOUT);
	if (up.ch)
		up.ch->ops->close(up.ch, ECONNABORTED);
	peer_fini(&p);
	return 0;
}

const uint8_t linux_options[LINUX_OPTIONS_LEN] = { 2, 4, 5, 180, 4, 2, 8, 10, 0, 0,
						   0, 1, 0, 0,	 0, 0, 1, 3,  3, 7 };

void accept_attempt(void)
{
	up.ch = up.attempt->ops->accept(up.attempt);
	up.attempt = NULL;
	assert_non_null(up.ch);
	up.ch->up = &channel_up;
}

struct peer_segment next(void)
{
	struct peer_segment s;

	assert_true(peer_next_segment(&p, &c, &s));
	return s;
}

void nothing_sent(void)
{
	stack_flush(p.st);
	assert_null(peer_next(&p));
}

void establish(void)
{
	struct peer_segment s;

	peer_send(&p, &c, TH_SYN, linux_options, LINUX_OPTIONS_LEN, NULL, 0);
	accept_attempt();
	s = next();
	assert_int_equal(s.flags, TH_SYN | TH_ACK);
	assert_int_equal(s.ack, c.seq);
	peer_send(&p, &c, TH_ACK, NULL, 0, NULL, 0);
	nothing_sent();
}
