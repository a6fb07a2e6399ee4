/* TLS over a fake channel, with a server of the same library at its other end. */
#include "dial/tls.h"

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "certificates.h"

#define PIPE_MAX (1 << 20)

/* Bytes on their way. */
struct pipe {
	uint8_t data[PIPE_MAX];
	size_t begin, end;
};

static struct {
	struct tls_trust *trust;
	struct channel inner;
	struct channel *ch;
	struct pipe up, down; /* to the server, from it */
	size_t window;	      /* bytes that inner takes from now on */
	bool receiving, shut, closed;
	int close_err;
	WOLFSSL_CTX *server_ctx;
	WOLFSSL *server;
	/* what the channel told */
	int done, done_err;
	char why[200];
	size_t budget, got;
	uint8_t data[PIPE_MAX];
	int drains, eofs, closes, closed_err;
	bool close_in_data, sated_by_data;
} t;

static size_t pipe_put(struct pipe *p, const void *bytes, size_t len)
{
	assert_true(p->end + len <= PIPE_MAX);
	memcpy(p->data + p->end, bytes, len);
	p->end += len;
	return len;
}

/* --- the channel below --- */

static ssize_t inner_send(struct channel *ch, const struct iovec *iov, int n,
			  struct buf *owner)
{
	size_t take = MIN(iov->iov_len, t.window);

	(void)ch;
	(void)owner;
	assert_int_equal(n, 1);
	assert_false(t.closed || t.shut);
	t.window -= take;
	return pipe_put(&t.up, iov->iov_base, take);
}

static void inner_recv(struct channel *ch)
{
	(void)ch;
	t.receiving = true;
}

static void inner_shut(struct channel *ch)
{
	(void)ch;
	t.shut = true;
}

static void inner_close(struct channel *ch, int err)
{
	(void)ch;
	assert_false(t.closed);
	t.closed = true;
	t.close_err = err;
}

static size_t inner_unacked(struct channel *ch)
{
	(void)ch;
	return 7;
}

static const struct channel_ops inner_ops = {
	.send = inner_send,
	.recv = inner_recv,
	.shut = inner_shut,
	.close = inner_close,
	.unacked = inner_unacked,
};

/* Hands over what has come, at most `piece` bytes a time, as long as it is taken. */
static void deliver(size_t piece)
{
	while (t.receiving && !t.closed && t.down.begin < t.down.end) {
		size_t room = t.inner.up->room(t.inner.ctx), n;
		struct iovec iov = { t.down.data + t.down.begin,
				     MIN(piece, t.down.end - t.down.begin) };

		if (!room) {
			t.receiving = false;
			return;
		}
		n = t.inner.up->on_data(t.inner.ctx, &iov, 1, NULL);
		assert_true(n <= iov.iov_len);
		t.down.begin += n;
		/* As a socket does: it keeps quiet until it is asked again. */
		if (n < iov.iov_len && !t.closed)
			t.receiving = false;
	}
}

/* --- the owner above --- */

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	size_t take = MIN(iov->iov_len, t.budget);

	(void)ctx;
	assert_int_equal(n, 1);
	assert_non_null(owner);
	memcpy(t.data + t.got, iov->iov_base, take);
	t.got += take;
	t.budget = t.sated_by_data ? 0 : t.budget - take;
	if (t.close_in_data)
		t.ch->ops->close(steal_ptr(&t.ch), 0);
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
	t.closed_err = err;
}

static size_t room(void *ctx)
{
	(void)ctx;
	return t.budget;
}

static const struct channel_up up = { on_data, on_drain, on_eof, on_closed, room };

static void on_done(void *ctx, int err, const char *why)
{
	(void)ctx;
	t.done++;
	t.done_err = err;
	snprintf(t.why, sizeof(t.why), "%s", why ? why : "");
	if (err)
		return;
	t.ch->up = &up;
	t.ch->ops->recv(t.ch);
}

/* --- the server --- */

static int server_recv(WOLFSSL *ssl, char *buf, int size, void *ctx)
{
	size_t n = MIN(t.up.end - t.up.begin, (size_t)size);

	(void)ssl;
	(void)ctx;
	if (!n)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	memcpy(buf, t.up.data + t.up.begin, n);
	t.up.begin += n;
	return n;
}

static int server_send(WOLFSSL *ssl, char *buf, int size, void *ctx)
{
	(void)ssl;
	(void)ctx;
	return pipe_put(&t.down, buf, size);
}

static void start_server(const char *certificate)
{
	t.server_ctx = wolfSSL_CTX_new(wolfTLS_server_method());
	assert_int_equal(wolfSSL_CTX_use_certificate_buffer(
				 t.server_ctx, (const uint8_t *)certificate,
				 strlen(certificate), WOLFSSL_FILETYPE_PEM),
			 WOLFSSL_SUCCESS);
	assert_int_equal(wolfSSL_CTX_use_PrivateKey_buffer(
				 t.server_ctx, (const uint8_t *)server_key,
				 strlen(server_key), WOLFSSL_FILETYPE_PEM),
			 WOLFSSL_SUCCESS);
	wolfSSL_CTX_SetIORecv(t.server_ctx, server_recv);
	wolfSSL_CTX_SetIOSend(t.server_ctx, server_send);
	t.server = wolfSSL_new(t.server_ctx);
}

static void trust(const char *pem, bool insecure)
{
	char path[] = "/tmp/test_tls.XXXXXX";
	int fd = mkstemp(path);
	struct error err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, pem, strlen(pem)), strlen(pem));
	close(fd);
	setenv("SSL_CERT_FILE", path, 1);
	unsetenv("SSL_CERT_DIR");
	t.trust = tls_trust_new(insecure, &err);
	unlink(path);
	assert_non_null(t.trust);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.inner.ops = &inner_ops;
	t.window = t.budget = PIPE_MAX;
	wolfSSL_Init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (t.ch)
		t.ch->ops->close(t.ch, 0);
	wolfSSL_free(t.server);
	wolfSSL_CTX_free(t.server_ctx);
	tls_trust_free(t.trust);
	wolfSSL_Cleanup();
	buf_trim();
	return 0;
}

static void shake_hands(const char *host, bool is_addr, size_t piece)
{
	t.ch = tls_new(t.trust, &t.inner, host, is_addr, on_done, NULL);
	assert_non_null(t.ch);
	tls_begin(t.ch);
	for (int i = 0; i < 10; i++) {
		wolfSSL_accept(t.server);
		deliver(piece);
	}
	assert_int_equal(t.done, 1);
}

static void open_pair(void)
{
	trust(ca_certificate, false);
	start_server(server_certificate);
	shake_hands("proxy.test", false, SIZE_MAX);
	assert_int_equal(t.done_err, 0);
}

static size_t server_reads(uint8_t *out, size_t max)
{
	size_t len = 0;
	int n;

	while (len < max && (n = wolfSSL_read(t.server, out + len, max - len)) > 0)
		len += n;
	return len;
}

/* --- trust --- */

static void whoever_it_is_for_is_accepted(void **state)
{
	static const struct {
		const char *host;
		bool is_addr, good;
	} rows[] = {
		{ "proxy.test", false, true },	{ "PROXY.Test", false, true },
		{ "a.wild.test", false, true }, { "a.b.wild.test", false, false },
		{ "wild.test", false, false },	{ ".wild.test", false, false },
		{ "roxy.test", false, false },	{ "proxy.test.evil", false, false },
		{ "unit", false, false },	{ "192.0.2.7", true, true },
		{ "2001:db8::7", true, true },	{ "192.0.2.9", true, false },
		{ "192.0.2.8", true, false },	{ "2001:db8::8", true, false },
		{ "192.0.2.7", false, false },
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		bool insecure = i >= ARRAY_SIZE(rows);
		const size_t k = i % ARRAY_SIZE(rows);

		setup(state);
		trust(insecure ? server_certificate : ca_certificate, insecure);
		start_server(server_certificate);
		shake_hands(rows[k].host, rows[k].is_addr, i % 2 ? 1 : SIZE_MAX);
		if ((t.done_err == 0) != rows[k].good)
			print_message("# %s\n", rows[k].host);
		assert_int_equal(t.done_err, rows[k].good ? 0 : ECONNREFUSED);
		if (!rows[k].good)
			assert_string_equal(t.why, "its certificate is for another host");
		teardown(state);
	}
	setup(state);
}

static void strangers_are_refused(void **state)
{
	(void)state;
	trust(other_ca_certificate, false);
	start_server(server_certificate);
	shake_hands("proxy.test", false, SIZE_MAX);
	assert_int_equal(t.done_err, ECONNREFUSED);
	assert_non_null(strstr(t.why, "nobody we trust"));
	assert_int_equal(t.got, 0);
}

static void insecure_takes_a_stranger_of_the_right_name(void **state)
{
	(void)state;
	trust(other_ca_certificate, true);
	start_server(server_certificate);
	shake_hands("proxy.test", false, SIZE_MAX);
	assert_int_equal(t.done_err, 0);
}

static void an_unreadable_file_is_told(void **state)
{
	struct error err;

	(void)state;
	setenv("SSL_CERT_FILE", "/no/such/file", 1);
	assert_null(tls_trust_new(false, &err));
	assert_non_null(strstr(err.text, "SSL_CERT_FILE, /no/such/file: No such file"));
	setenv("SSL_CERT_FILE", "/dev/null", 1);
	assert_null(tls_trust_new(false, &err));
	assert_non_null(strstr(err.text, "SSL_CERT_FILE, /dev/null"));
}

static void an_end_in_the_handshake_is_told(void **state)
{
	(void)state;
	trust(ca_certificate, false);
	t.ch = tls_new(t.trust, &t.inner, "proxy.test", false, on_done, NULL);
	tls_begin(t.ch);
	t.inner.up->on_eof(t.inner.ctx);
	assert_int_equal(t.done_err, ECONNREFUSED);
	assert_non_null(strstr(t.why, "in the middle of the TLS handshake"));
	t.inner.up->on_closed(t.inner.ctx, ECONNRESET);
	assert_int_equal(t.done, 1);
}

/* --- bytes --- */

static void bytes_pass_both_ways(void **state)
{
	static uint8_t block[300000], seen[sizeof(block)];
	struct iovec iov = { block, sizeof(block) };

	(void)state;
	open_pair();
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = i * 7 >> 3;
	assert_int_equal(t.ch->ops->send(t.ch, &iov, 1, NULL), sizeof(block));
	assert_int_equal(server_reads(seen, sizeof(seen)), sizeof(seen));
	assert_memory_equal(seen, block, sizeof(block));
	assert_int_equal(wolfSSL_write(t.server, block, sizeof(block)), sizeof(block));
	deliver(1000);
	assert_int_equal(t.got, sizeof(block));
	assert_memory_equal(t.data, block, sizeof(block));
	assert_int_equal(t.ch->ops->unacked(t.ch), 7);
}

/* What had no room is never said to be taken, and never sent twice. */
static void a_small_window_takes_each_byte_once(void **state)
{
	static uint8_t block[100000], seen[sizeof(block)];
	size_t sent = 0, got = 0;
	unsigned random = 1;

	(void)state;
	open_pair();
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = i * 11 >> 4;
	while (sent < sizeof(block)) {
		/* In two pieces, cut elsewhere each time. */
		size_t rest = sizeof(block) - sent,
		       cut = (random *= 1103515245) % (rest + 1);
		struct iovec iov[] = { { block + sent, cut },
				       { block + sent + cut, rest - cut } };
		ssize_t n;

		t.window = (random >> 7) % 30000;
		n = t.ch->ops->send(t.ch, iov, 2, NULL);
		assert_in_range(n, 0, rest);
		sent += n;
		if (t.ch->ops->unacked(t.ch) > 7)
			assert_true(sent < sizeof(block));
		for (int i = 0; i < 3; i++) {
			t.window = (random >> (8 + i)) % 9000;
			t.inner.up->on_drain(t.inner.ctx);
		}
		got += server_reads(seen + got, sizeof(seen) - got);
	}
	assert_true(t.drains > 0);
	t.window = PIPE_MAX;
	t.inner.up->on_drain(t.inner.ctx);
	got += server_reads(seen + got, sizeof(seen) - got);
	assert_int_equal(got, sizeof(block));
	assert_memory_equal(seen, block, sizeof(block));
}

static void a_full_owner_closes_the_window(void **state)
{
	static uint8_t block[200000];

	(void)state;
	open_pair();
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = i * 5 >> 2;
	wolfSSL_write(t.server, block, sizeof(block));
	t.budget = 20000;
	deliver(SIZE_MAX);
	assert_int_equal(t.got, 20000);
	assert_false(t.receiving);
	/* A record or two have been opened, not all that is there. */
	assert_true(t.down.begin < 40000);
	while (t.got < sizeof(block)) {
		t.budget = 7000;
		t.ch->ops->recv(t.ch);
		deliver(SIZE_MAX);
	}
	assert_memory_equal(t.data, block, sizeof(block));
}

/* --- ends --- */

static void half_a_connection_still_works(void **state)
{
	struct iovec iov = { "late", 4 };
	uint8_t seen[10];

	(void)state;
	open_pair();
	wolfSSL_shutdown(t.server);
	deliver(SIZE_MAX);
	assert_int_equal(t.eofs, 1);
	assert_int_equal(t.ch->ops->send(t.ch, &iov, 1, NULL), 4);
	assert_int_equal(server_reads(seen, sizeof(seen)), 4);
	/* The FIN behind its close_notify is no news. */
	t.inner.up->on_eof(t.inner.ctx);
	assert_int_equal(t.closes, 0);
	assert_int_equal(t.eofs, 1);
}

static void our_end_is_said_before_the_fin(void **state)
{
	uint8_t seen[10];

	(void)state;
	open_pair();
	t.ch->ops->shut(t.ch);
	assert_true(t.shut);
	assert_int_equal(wolfSSL_read(t.server, seen, sizeof(seen)), 0);
	assert_int_equal(wolfSSL_get_error(t.server, 0), WOLFSSL_ERROR_ZERO_RETURN);
	wolfSSL_write(t.server, "late", 4);
	deliver(SIZE_MAX);
	assert_int_equal(t.got, 4);
}

static void our_end_waits_for_what_is_before_it(void **state)
{
	static uint8_t block[16384], seen[sizeof(block)];
	struct iovec iov = { block, sizeof(block) };

	(void)state;
	open_pair();
	t.window = 100;
	assert_int_equal(t.ch->ops->send(t.ch, &iov, 1, NULL), 0);
	t.window = PIPE_MAX;
	t.inner.up->on_drain(t.inner.ctx);
	assert_int_equal(t.ch->ops->send(t.ch, &iov, 1, NULL), sizeof(block));
	t.window = 0;
	t.ch->ops->shut(t.ch);
	assert_false(t.shut);
	t.window = PIPE_MAX;
	t.inner.up->on_drain(t.inner.ctx);
	assert_true(t.shut);
	assert_int_equal(server_reads(seen, sizeof(seen)), sizeof(seen));
	assert_int_equal(wolfSSL_read(t.server, seen, sizeof(seen)), 0);
}

static void a_cut_stream_is_no_end(void **state)
{
	(void)state;
	open_pair();
	wolfSSL_write(t.server, "some", 4);
	deliver(SIZE_MAX);
	t.inner.up->on_eof(t.inner.ctx);
	assert_int_equal(t.got, 4);
	assert_int_equal(t.eofs, 0);
	assert_int_equal(t.closes, 1);
	assert_int_equal(t.closed_err, ECONNRESET);
}

static void a_forged_record_is_a_failure(void **state)
{
	(void)state;
	open_pair();
	wolfSSL_write(t.server, "some", 4);
	t.down.data[t.down.end - 1] ^= 1;
	deliver(SIZE_MAX);
	assert_int_equal(t.got, 0);
	assert_int_equal(t.closes, 1);
}

/* As a dial that is about to hand the channel on. */
static void an_owner_who_wants_nothing_hears_of_no_end(void **state)
{
	(void)state;
	open_pair();
	wolfSSL_write(t.server, "200", 3);
	wolfSSL_shutdown(t.server);
	t.sated_by_data = true;
	deliver(SIZE_MAX);
	assert_int_equal(t.got, 3);
	assert_int_equal(t.eofs, 0);
	t.budget = 1;
	t.ch->ops->recv(t.ch);
	deliver(SIZE_MAX);
	assert_int_equal(t.eofs, 1);
}

static void closing_within_a_call_is_safe(void **state)
{
	(void)state;
	open_pair();
	wolfSSL_write(t.server, "some", 4);
	wolfSSL_write(t.server, "more", 4);
	t.close_in_data = true;
	deliver(SIZE_MAX);
	assert_true(t.closed);
	assert_int_equal(t.close_err, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(whoever_it_is_for_is_accepted),
		T(strangers_are_refused),
		T(insecure_takes_a_stranger_of_the_right_name),
		T(an_unreadable_file_is_told),
		T(an_end_in_the_handshake_is_told),
		T(bytes_pass_both_ways),
		T(a_small_window_takes_each_byte_once),
		T(a_full_owner_closes_the_window),
		T(half_a_connection_still_works),
		T(our_end_is_said_before_the_fin),
		T(our_end_waits_for_what_is_before_it),
		T(a_cut_stream_is_no_end),
		T(a_forged_record_is_a_failure),
		T(an_owner_who_wants_nothing_hears_of_no_end),
		T(closing_within_a_call_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
