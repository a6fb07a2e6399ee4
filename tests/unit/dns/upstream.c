#include "upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/octets.h"

/* An answer over UDP that waits, or a connection. */
struct delayed {
	uv_timer_t timer;
	struct upstream *u;
	struct sockaddr_storage to;
	size_t len;
	char msg[512];
};

struct conn {
	uv_tcp_t tcp;
	struct upstream *u;
	uint16_t port;
	size_t got;
	char in[2 + MSG_MAX];
};

static void on_delayed_closed(uv_handle_t *handle)
{
	free(container_of((uv_timer_t *)handle, struct delayed, timer));
}

static void send_now(struct upstream *u, const void *msg, size_t len, const void *to)
{
	uv_buf_t buf = uv_buf_init((void *)msg, len);

	if (!uv_is_closing((uv_handle_t *)&u->udp))
		assert_int_equal(uv_udp_try_send(&u->udp, &buf, 1, to), len);
}

static void on_delay_over(uv_timer_t *timer)
{
	struct delayed *d = container_of(timer, struct delayed, timer);

	send_now(d->u, d->msg, d->len, &d->to);
	uv_close((uv_handle_t *)timer, on_delayed_closed);
}

static void send_later(struct upstream *u, const void *msg, size_t len,
		       const struct sockaddr *to)
{
	struct delayed *d = malloc(sizeof(*d));

	assert_non_null(d);
	assert_true(len <= sizeof(d->msg));
	d->u = u;
	d->len = len;
	memcpy(d->msg, msg, len);
	memcpy(&d->to, to, sizeof(struct sockaddr_in));
	uv_timer_init(u->udp.loop, &d->timer);
	uv_timer_start(&d->timer, on_delay_over, u->delay_ms, 0);
	u->delay_ms = 0;
}

/* What we send upstream must be one plain question, always. */
static size_t answer(struct upstream *u, const void *msg, size_t len, uint16_t port,
		     bool tcp)
{
	struct upstream_query query = { .msg = msg, .len = len, .port = port, .tcp = tcp };

	assert_int_equal(msg_parse_query(msg, len, &query.q), MSG_PLAIN);
	return u->answer(u, &query, u->out + 2);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct upstream *u = container_of((uv_udp_t *)handle, struct upstream, udp);

	(void)hint;
	*buf = uv_buf_init(u->in, sizeof(u->in));
}

static void on_udp(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf,
		   const struct sockaddr *from, unsigned flags)
{
	struct upstream *u = container_of(udp, struct upstream, udp);
	struct endpoint peer;
	size_t len;

	(void)flags;
	if (!from)
		return;
	assert_true(endpoint_from_sockaddr(from, &peer));
	if (u->udp_count < UPSTREAM_SEEN_MAX) {
		u->ids[u->udp_count] = octets_u16((uint8_t *)buf->base);
		u->ports[u->udp_count] = peer.port;
	}
	u->udp_count++;
	len = answer(u, buf->base, n, peer.port, false);
	if (len && u->delay_ms)
		send_later(u, u->out + 2, len, from);
	else if (len)
		send_now(u, u->out + 2, len, from);
}

static void on_conn_closed(uv_handle_t *handle)
{
	free(container_of((uv_tcp_t *)handle, struct conn, tcp));
}

static void on_conn_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct conn *c = container_of((uv_tcp_t *)handle, struct conn, tcp);

	(void)hint;
	*buf = uv_buf_init(c->in + c->got, sizeof(c->in) - c->got);
}

static void on_conn_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = container_of((uv_tcp_t *)stream, struct conn, tcp);
	struct upstream *u = c->u;
	size_t len;

	(void)buf;
	if (n < 0) {
		uv_close((uv_handle_t *)stream, on_conn_closed);
		return;
	}
	c->got += n;
	while (c->got >= 2 && c->got >= 2 + (len = octets_u16((uint8_t *)c->in))) {
		size_t out_len;
		uv_buf_t out;

		u->tcp_count++;
		out_len = answer(u, c->in + 2, len, c->port, true);
		c->got -= 2 + len;
		memmove(c->in, c->in + 2 + len, c->got);
		if (!out_len)
			continue;
		octets_put_u16(u->out, out_len);
		out = uv_buf_init((char *)u->out, 2 + out_len);
		/* Loopback takes 64 KiB at once. */
		assert_int_equal(uv_try_write(stream, &out, 1), 2 + out_len);
	}
}

static void on_connection(uv_stream_t *server, int status)
{
	struct upstream *u = container_of((uv_tcp_t *)server, struct upstream, tcp);
	struct conn *c = calloc(1, sizeof(*c));
	struct sockaddr_storage from;
	struct endpoint peer;
	int len = sizeof(from);

	assert_int_equal(status, 0);
	assert_non_null(c);
	c->u = u;
	uv_tcp_init(server->loop, &c->tcp);
	assert_int_equal(uv_accept(server, (uv_stream_t *)&c->tcp), 0);
	assert_int_equal(uv_tcp_getpeername(&c->tcp, (void *)&from, &len), 0);
	assert_true(endpoint_from_sockaddr((void *)&from, &peer));
	c->port = peer.port;
	uv_read_start((uv_stream_t *)&c->tcp, on_conn_alloc, on_conn_read);
}

static bool try_open(struct upstream *u, uv_loop_t *loop)
{
	struct sockaddr_storage at;
	int len = sizeof(at);

	uv_ip4_addr("127.0.0.1", 0, (void *)&at);
	uv_udp_init(loop, &u->udp);
	uv_tcp_init(loop, &u->tcp);
	assert_int_equal(uv_udp_bind(&u->udp, (void *)&at, 0), 0);
	assert_int_equal(uv_udp_getsockname(&u->udp, (void *)&at, &len), 0);
	assert_true(endpoint_from_sockaddr((void *)&at, &u->at));
	if (uv_tcp_bind(&u->tcp, (void *)&at, 0) == 0 &&
	    uv_listen((uv_stream_t *)&u->tcp, 16, on_connection) == 0)
		return true;
	/* The port is another's for TCP. */
	upstream_close(u);
	uv_run(loop, UV_RUN_NOWAIT);
	return false;
}

void upstream_open(struct upstream *u, uv_loop_t *loop, upstream_fn fn)
{
	int tries = 0;

	memset(u, 0, sizeof(*u));
	u->answer = fn;
	while (!try_open(u, loop))
		assert_true(++tries < 20);
	uv_udp_recv_start(&u->udp, on_alloc, on_udp);
}

void upstream_close(struct upstream *u)
{
	uv_close((uv_handle_t *)&u->udp, NULL);
	uv_close((uv_handle_t *)&u->tcp, NULL);
}

size_t upstream_reply(const struct upstream_query *query, uint16_t flags, int n,
		      uint8_t *out)
{
	size_t question = MSG_HEADER + query->q.asked.len + 4;
	uint8_t *b;

	memcpy(out, query->msg, question);
	octets_put_u16(out + 2, MSG_QR | MSG_RD | MSG_RA | flags);
	octets_put_u16(out + 6, n);
	octets_put_u16(out + 10, query->q.edns);
	b = out + question;
	for (int i = 0; i < n; i++)
		b = mempcpy(mempcpy(b, "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2", 15),
			    (uint8_t[]){ i }, 1);
	if (query->q.edns)
		b = mempcpy(b, "\0\0\x29\x04\xd0\0\0\0\0\0\0", MSG_OPT);
	return b - out;
}
