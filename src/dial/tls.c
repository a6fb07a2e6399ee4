/*
 * Theory of operation
 *
 * wolfSSL never sees a socket: its two I/O callbacks stand between two channels. It is fed
 * with what the inner channel hands over, for as long as our owner has room, and takes whole
 * records only; so what waits, waits as ciphertext in the inner channel, whose window closes.
 * Behind it may be another TLS.
 *
 * Sending: wolfSSL makes a record of at most 16 KiB at a time, and what the inner channel
 * does not take of it is kept in `pending`. The owner is told that the record's bytes were
 * taken only when all of it is gone: until then they stay with him, who comes with the same
 * bytes again, and `credit` says how many of them are to be passed over. So nothing that he
 * thinks sent can be lost when he closes, and there is never more than one record.
 *
 * End: close_notify goes before the FIN, and the other one's must come before his: without it
 * somebody may have cut the stream, and the owner is told of a failure.
 */
#include "dial/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "dial/tls_trust.h"
#include "dial/wolflib.h"

#define RECORD_MAX 16384 /* RFC 8446 5.1 */

/*
 * SHAKING: only `done` is called.
 * OPEN:    the owner's.
 * FAILED:  nobody is called any more; close() is due.
 * CLOSED:  freed when the last of our calls has returned.
 */
enum tls_state {
	TLS_SHAKING,
	TLS_OPEN,
	TLS_FAILED,
	TLS_CLOSED
};

struct tls {
	struct channel ch;
	struct channel *inner;
	WOLFSSL *ssl;
	enum tls_state state;
	unsigned depth; /* of our calls on the stack */
	const char *host;
	bool host_is_addr;
	tls_fn done;
	void *done_ctx;

	const uint8_t *in; /* what the inner channel is handing over */
	size_t in_len;
	bool reading, eof, eof_told;
	struct buf *rest; /* plaintext that the owner did not take */
	size_t rest_begin, rest_end;

	struct buf *pending; /* ciphertext that the inner channel did not take */
	size_t pending_begin, pending_end;
	size_t credit;
	int send_err;
	bool write_blocked, shut, inner_shut;
};

static struct tls *of_channel(struct channel *ch)
{
	return container_of(ch, struct tls, ch);
}

/* --- life --- */

static void dispose(struct tls *t)
{
	if (t->rest)
		buf_unref(t->rest);
	if (t->pending)
		buf_unref(t->pending);
	wolflib.wolfSSL_free(t->ssl);
	free(t);
}

static void enter(struct tls *t)
{
	t->depth++;
}

static void leave(struct tls *t)
{
	if (--t->depth == 0 && t->state == TLS_CLOSED)
		dispose(t);
}

static void fail(struct tls *t, int err, const char *why)
{
	bool shaking = t->state == TLS_SHAKING;

	if (t->state >= TLS_FAILED)
		return;
	t->state = TLS_FAILED;
	if (shaking)
		t->done(t->done_ctx, err, why);
	else
		t->ch.up->on_closed(t->ch.ctx, err);
}

/* --- wolfSSL's I/O --- */

static int on_recv(WOLFSSL *ssl, char *buf, int size, void *ctx)
{
	struct tls *t = ctx;
	size_t n = MIN(t->in_len, (size_t)size);

	(void)ssl;
	if (!n)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	memcpy(buf, t->in, n);
	t->in += n;
	t->in_len -= n;
	return n;
}

static bool keep(struct tls *t, const char *bytes, size_t len)
{
	if (!t->pending) {
		t->pending = buf_new();
		t->pending_begin = t->pending_end = 0;
	}
	if (!t->pending || len > BUF_CAP - t->pending_end)
		return false;
	memcpy(t->pending->data + t->pending_end, bytes, len);
	t->pending_end += len;
	return true;
}

/* Takes everything, so that wolfSSL never has to be called again with the same bytes. */
static int on_send(WOLFSSL *ssl, char *buf, int size, void *ctx)
{
	struct tls *t = ctx;
	struct iovec iov = { buf, size };
	ssize_t n = 0;

	(void)ssl;
	if (!t->pending)
		n = t->inner->ops->send(t->inner, &iov, 1, NULL);
	if (n < 0) {
		t->send_err = -n;
		return WOLFSSL_CBIO_ERR_CONN_RST;
	}
	if (n < size && !keep(t, buf + n, size - n)) {
		t->send_err = ENOBUFS;
		return WOLFSSL_CBIO_ERR_GENERAL;
	}
	return size;
}

/* 0 or -errno. */
static int flush(struct tls *t)
{
	struct iovec iov;
	ssize_t n;

	if (!t->pending)
		return 0;
	iov = (struct iovec){ t->pending->data + t->pending_begin,
			      t->pending_end - t->pending_begin };
	n = t->inner->ops->send(t->inner, &iov, 1, NULL);
	if (n < 0)
		return n;
	t->pending_begin += n;
	if (t->pending_begin == t->pending_end) {
		buf_unref(t->pending);
		t->pending = NULL;
	}
	return 0;
}

/* --- reading --- */

static bool may_read(const struct tls *t)
{
	return t->state == TLS_OPEN && t->reading && !t->rest && !t->eof;
}

/* Not to an owner who wants nothing: he may be about to hand us on. */
static void tell_eof(struct tls *t)
{
	if (t->state != TLS_OPEN || !t->eof || t->eof_told || t->rest ||
	    !t->ch.up->room(t->ch.ctx))
		return;
	t->eof_told = true;
	t->ch.up->on_eof(t->ch.ctx);
}

/* Hands over a buffer's bytes and keeps what is not taken. */
static void offer(struct tls *t, struct buf *b, size_t begin, size_t end)
{
	struct iovec iov = { b->data + begin, end - begin };
	size_t n = t->ch.up->on_data(t->ch.ctx, &iov, 1, b);

	if (t->state != TLS_OPEN || begin + n == end)
		return;
	t->rest = buf_ref(b);
	t->rest_begin = begin + n;
	t->rest_end = end;
}

/* Decrypts as many records as are there, have room in a buffer, and are wanted. Returns what
 * has ended it: 0 or wolfSSL's error. */
static int decrypt(struct tls *t, struct buf *b, size_t room, size_t *len)
{
	int n;

	for (*len = 0; *len < room && BUF_CAP - *len >= RECORD_MAX; *len += n) {
		n = wolflib.wolfSSL_read(t->ssl, b->data + *len, BUF_CAP - *len);
		if (n <= 0)
			return wolflib.wolfSSL_get_error(t->ssl, n);
	}
	return 0;
}

/* False when there is nothing more to be read for now. */
static bool read_one(struct tls *t)
{
	size_t room = t->ch.up->room(t->ch.ctx), len;
	struct buf *b;
	int r;

	if (!room) {
		t->reading = false;
		return false;
	}
	b = buf_new();
	if (!b) {
		fail(t, ENOMEM, NULL);
		return false;
	}
	r = decrypt(t, b, room, &len);
	t->eof = r == WOLFSSL_ERROR_ZERO_RETURN;
	if (len)
		offer(t, b, 0, len);
	buf_unref(b);
	tell_eof(t);
	if (r && r != WOLFSSL_ERROR_WANT_READ && r != WOLFSSL_ERROR_ZERO_RETURN)
		fail(t, t->send_err ? t->send_err : ECONNRESET, NULL);
	return !r;
}

static void shake(struct tls *t)
{
	char why[160];
	int code;

	if (wolflib.wolfSSL_connect(t->ssl) == WOLFSSL_SUCCESS) {
		if (!tls_trust_is_for(t->ssl, t->host, t->host_is_addr))
			return fail(t, ECONNREFUSED,
				    "its certificate is for another host");
		t->state = TLS_OPEN;
		return t->done(t->done_ctx, 0, NULL);
	}
	code = wolflib.wolfSSL_get_error(t->ssl, WOLFSSL_FATAL_ERROR);
	if (code == WOLFSSL_ERROR_WANT_READ)
		return;
	tls_trust_explain(code, why, sizeof(why));
	fail(t, t->send_err ? t->send_err : ECONNREFUSED, why);
}

static void go_on(struct tls *t)
{
	if (t->state == TLS_SHAKING)
		shake(t);
	while (may_read(t) && read_one(t))
		;
}

/* --- what the inner channel tells --- */

static size_t inner_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct tls *t = ctx;
	size_t taken = 0;

	(void)owner;
	enter(t);
	for (int i = 0; i < n; i++) {
		t->in = iov[i].iov_base;
		t->in_len = iov[i].iov_len;
		go_on(t);
		taken += iov[i].iov_len - t->in_len;
		if (t->in_len)
			break;
	}
	t->in_len = 0;
	leave(t);
	return taken;
}

static size_t inner_room(void *ctx)
{
	struct tls *t = ctx;

	if (t->state == TLS_SHAKING)
		return BUF_CAP;
	return may_read(t) && t->ch.up->room(t->ch.ctx) ? BUF_CAP : 0;
}

static void inner_drain(void *ctx)
{
	struct tls *t = ctx;
	int r;

	enter(t);
	r = flush(t);
	if (r < 0)
		fail(t, -r, NULL);
	if (t->state == TLS_OPEN && !t->pending && t->shut && !t->inner_shut) {
		t->inner_shut = true;
		t->inner->ops->shut(t->inner);
	}
	if (t->state == TLS_OPEN && !t->pending && t->write_blocked) {
		t->write_blocked = false;
		t->ch.up->on_drain(t->ch.ctx);
	}
	leave(t);
}

static void inner_eof(void *ctx)
{
	struct tls *t = ctx;

	enter(t);
	if (!t->eof)
		fail(t, t->state == TLS_SHAKING ? ECONNREFUSED : ECONNRESET,
		     "it closes the connection in the middle of the TLS handshake");
	leave(t);
}

static void inner_closed(void *ctx, int err)
{
	struct tls *t = ctx;

	enter(t);
	fail(t, err, NULL);
	leave(t);
}

static const struct channel_up inner_up = {
	.on_data = inner_data,
	.room = inner_room,
	.on_drain = inner_drain,
	.on_eof = inner_eof,
	.on_closed = inner_closed,
};

/* --- what the owner asks for --- */

static void tls_recv(struct channel *ch)
{
	struct tls *t = of_channel(ch);

	enter(t);
	t->reading = true;
	if (t->rest) {
		struct buf *b = steal_ptr(&t->rest);

		offer(t, b, t->rest_begin, t->rest_end);
		buf_unref(b);
	}
	tell_eof(t);
	if (may_read(t))
		t->inner->ops->recv(t->inner);
	leave(t);
}

/* Makes one record. 1 when it is gone, 0 when a part of it waits, or -errno. */
static int write_record(struct tls *t, const uint8_t *bytes, size_t len)
{
	int n = wolflib.wolfSSL_write(t->ssl, bytes, len);

	if (n != (int)len)
		return t->send_err ? -t->send_err : -ECONNRESET;
	return !t->pending;
}

static ssize_t send_one(struct tls *t, const struct iovec *iov)
{
	const uint8_t *bytes = iov->iov_base;
	size_t sent = MIN(t->credit, iov->iov_len);

	t->credit -= sent;
	while (sent < iov->iov_len) {
		size_t len = MIN(iov->iov_len - sent, (size_t)RECORD_MAX);
		int r = write_record(t, bytes + sent, len);

		if (r < 0)
			return r;
		if (r == 0) {
			t->credit = len;
			break;
		}
		sent += len;
	}
	return sent;
}

static ssize_t tls_send(struct channel *ch, const struct iovec *iov, int n,
			struct buf *owner)
{
	struct tls *t = of_channel(ch);
	ssize_t total = 0, r = flush(t);

	(void)owner;
	if (r < 0)
		return r;
	for (int i = 0; i < n && !t->pending; i++) {
		r = send_one(t, &iov[i]);
		if (r < 0)
			return r;
		total += r;
	}
	t->write_blocked = t->pending;
	return total;
}

static void tls_shut(struct channel *ch)
{
	struct tls *t = of_channel(ch);

	t->shut = true;
	wolflib.wolfSSL_shutdown(t->ssl);
	if (t->pending)
		return;
	t->inner_shut = true;
	t->inner->ops->shut(t->inner);
}

static void tls_close(struct channel *ch, int err)
{
	struct tls *t = of_channel(ch);

	enter(t);
	if (!err && t->state == TLS_OPEN && !t->shut)
		wolflib.wolfSSL_shutdown(t->ssl);
	t->inner->ops->close(t->inner, err);
	t->state = TLS_CLOSED;
	leave(t);
}

static size_t tls_unacked(struct channel *ch)
{
	struct tls *t = of_channel(ch);

	return t->inner->ops->unacked(t->inner) +
	       (t->pending ? t->pending_end - t->pending_begin : 0);
}

static bool tls_endpoints(struct channel *ch, struct endpoint *local,
			  struct endpoint *peer)
{
	struct tls *t = of_channel(ch);

	return t->inner->ops->endpoints(t->inner, local, peer);
}

static const struct channel_ops tls_ops = {
	.send = tls_send,
	.recv = tls_recv,
	.shut = tls_shut,
	.close = tls_close,
	.unacked = tls_unacked,
	.endpoints = tls_endpoints,
};

struct channel *tls_new(struct tls_trust *trust, struct channel *inner, const char *host,
			bool host_is_addr, tls_fn done, void *ctx)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ssl = tls_trust_session(trust);
	if (!t->ssl ||
	    (!host_is_addr && wolflib.wolfSSL_UseSNI(t->ssl, WOLFSSL_SNI_HOST_NAME, host,
						     strlen(host)) != WOLFSSL_SUCCESS)) {
		wolflib.wolfSSL_free(t->ssl);
		free(t);
		return NULL;
	}
	wolflib.wolfSSL_SSLSetIORecv(t->ssl, on_recv);
	wolflib.wolfSSL_SSLSetIOSend(t->ssl, on_send);
	wolflib.wolfSSL_SetIOReadCtx(t->ssl, t);
	wolflib.wolfSSL_SetIOWriteCtx(t->ssl, t);
	t->ch.ops = &tls_ops;
	t->inner = inner;
	t->host = host;
	t->host_is_addr = host_is_addr;
	t->done = done;
	t->done_ctx = ctx;
	inner->up = &inner_up;
	inner->ctx = t;
	return &t->ch;
}

void tls_begin(struct channel *ch)
{
	struct tls *t = of_channel(ch);

	enter(t);
	shake(t);
	if (t->state < TLS_FAILED)
		t->inner->ops->recv(t->inner);
	leave(t);
}
