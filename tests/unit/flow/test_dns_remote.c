/* Questions about names that a proxy resolves: what is answered, what is asked, and of whom. */
#include "flow/dns_remote.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/answer.h"

#define PROXIED ROUTE_PROXY

static struct {
	uv_loop_t loop;
	struct dialer dialer;
	struct dialers dialers;
	struct pool *pool;
	struct remote_dns *remote;
	struct channel ch;
	/* what the fakes saw */
	int dials, cancels, closes, answers;
	struct target target;
	dial_fn dialed;
	void *dialed_ctx;
	struct dial_result result;
	uint8_t sent[1024];
	size_t sent_len, room;
	bool receives;
	uint8_t answer[MSG_MAX];
	size_t answer_len;
} t;

/* --- fakes --- */

static ssize_t ch_send(struct channel *ch, const struct iovec *iov, int n,
		       struct buf *owner)
{
	size_t take = MIN(iov[0].iov_len, t.room);

	(void)ch;
	(void)owner;
	assert_int_equal(n, 1);
	memcpy(t.sent + t.sent_len, iov[0].iov_base, take);
	t.sent_len += take;
	t.room -= take;
	return take;
}

static void ch_recv(struct channel *ch)
{
	(void)ch;
	t.receives = true;
}

static void ch_close(struct channel *ch, int err)
{
	(void)ch;
	(void)err;
	t.closes++;
}

static const struct channel_ops ch_ops = { .send = ch_send,
					   .recv = ch_recv,
					   .close = ch_close };

static struct dial_result di_dial(struct dialer *d, const struct target *target,
				  dial_fn done, void *ctx)
{
	(void)d;
	t.dials++;
	t.target = *target;
	t.dialed = done;
	t.dialed_ctx = ctx;
	return t.result;
}

static void di_cancel(struct dial *dial)
{
	(void)dial;
	t.cancels++;
}

static const struct dialer_ops di_ops = { di_dial, di_cancel };

static void on_answer(void *ctx, const uint8_t *msg, size_t len)
{
	(void)ctx;
	t.answers++;
	t.answer_len = msg ? len : 0;
	if (msg)
		memcpy(t.answer, msg, len);
}

static struct endpoint endpoint_of(const char *text, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_true(addr_parse(text, &e.addr));
	return e;
}

static void make(bool with_server, unsigned v4_bits)
{
	struct pool_range v4 = { endpoint_of("198.18.0.0", 0).addr, 96 + v4_bits };
	struct pool_range v6 = { endpoint_of("fdcf:1918::", 0).addr, 64 };
	struct remote_deps deps = { .loop = &t.loop, .dialers = &t.dialers };

	t.pool = deps.pool = pool_new(&v4, &v6, 1);
	if (with_server)
		deps.server = endpoint_of("192.0.2.53", 53);
	t.remote = remote_dns_new(&deps);
	assert_non_null(t.remote);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	t.dialer.ops = &di_ops;
	t.dialers.by_route[PROXIED] = &t.dialer;
	t.ch.ops = &ch_ops;
	t.result.pending = (struct dial *)&t.dialer;
	t.room = sizeof(t.sent);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	uv_run(&t.loop, UV_RUN_DEFAULT);
	remote_dns_free(t.remote);
	pool_free(t.pool);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	return 0;
}

static struct msg_question question(const char *name, uint16_t type)
{
	struct msg_question q = { .id = 0x1234,
				  .flags = MSG_RD,
				  .type = type,
				  .class = MSG_CLASS_IN,
				  .edns = true };

	assert_true(name_from_text(name, &q.asked));
	q.name = name_lower(&q.asked);
	return q;
}

/* --- what is answered at once --- */

static char found[128];

static void note_address(void *ctx, const struct answer_found *f)
{
	char text[ADDR_TEXT_MAX];

	(void)ctx;
	strcat(found, found[0] ? " " : "");
	strcat(found, addr_format(&f->addr, text));
	assert_int_equal(f->ttl_s, POOL_TTL_S);
}

/* The addresses that are answered, "-" for none; the rcode goes in front unless it is 0. */
static const char *answered(const char *name, uint16_t type)
{
	struct msg_question q = question(name, type);
	struct remote_told told;
	uint8_t out[MSG_UDP_EDNS];
	size_t len = remote_answer(t.remote, &q, out, sizeof(out), &told);

	if (!len)
		return "asked";
	found[0] = '\0';
	answer_each_address(&q, out, len, note_address, NULL);
	if (msg_header_rcode(out))
		sprintf(found, "rcode %d", msg_header_rcode(out));
	assert_true(!told.synthetic || found[0] || type == MSG_TYPE_ANY);
	return found[0] ? found : "-";
}

static void addresses_come_from_the_pool(void **state)
{
	(void)state;
	make(false, 15);
	assert_string_equal(answered("a.example", MSG_TYPE_A), "198.18.0.1");
	assert_string_equal(answered("A.Example", MSG_TYPE_AAAA), "fdcf:1918::1");
	assert_string_equal(answered("b.example", MSG_TYPE_AAAA), "fdcf:1918::2");
	assert_string_equal(answered("a.example", MSG_TYPE_A), "198.18.0.1");
	assert_string_equal(answered("a.example", MSG_TYPE_HTTPS), "-");
	assert_string_equal(answered("a.example", MSG_TYPE_SVCB), "-");
	assert_string_equal(answered("a.example", 15), "-");
	assert_string_equal(answered("a.example", 16), "-");
	assert_string_equal(answered("localhost", MSG_TYPE_A), "127.0.0.1");
	assert_string_equal(answered("x.LOCALHOST", MSG_TYPE_AAAA), "::1");
	assert_string_equal(answered("xlocalhost", MSG_TYPE_A), "198.18.0.3");
	assert_string_equal(answered("10.0.0.1", MSG_TYPE_A), "rcode 3");
	assert_string_equal(answered("127.1", MSG_TYPE_A), "rcode 3");
	assert_string_equal(answered("a.0x7f", MSG_TYPE_A), "rcode 3");
	assert_string_equal(answered("a\\032b.example", MSG_TYPE_A), "rcode 3");
}

static void with_a_server_the_rest_is_asked(void **state)
{
	(void)state;
	make(true, 15);
	assert_string_equal(answered("a.example", MSG_TYPE_A), "198.18.0.1");
	assert_string_equal(answered("a.example", MSG_TYPE_HTTPS), "-");
	assert_string_equal(answered("a.example", MSG_TYPE_SVCB), "-");
	assert_string_equal(answered("a.example", 15), "asked");
	assert_string_equal(answered("1.2.0.192.in-addr.arpa", MSG_TYPE_PTR), "asked");
}

static void a_full_pool_fails(void **state)
{
	struct pool_hold *a, *b;
	struct addr one = endpoint_of("198.18.0.1", 0).addr;
	struct addr two = endpoint_of("198.18.0.2", 0).addr;

	(void)state;
	make(false, 30);
	assert_string_equal(answered("a.example", MSG_TYPE_A), "198.18.0.1");
	assert_string_equal(answered("b.example", MSG_TYPE_A), "198.18.0.2");
	a = pool_hold(t.pool, &one);
	b = pool_hold(t.pool, &two);
	assert_string_equal(answered("c.example", MSG_TYPE_A), "rcode 2");
	pool_release(t.pool, a);
	pool_release(t.pool, b);
	assert_string_equal(answered("c.example", MSG_TYPE_A), "198.18.0.1");
}

/* 0: it isn't the pool's business. */
static int ptr_rcode(const char *name, uint16_t type, uint8_t *out, size_t *len)
{
	struct msg_question q = question(name, type);
	struct remote_told told;

	*len = remote_answer_ptr(t.pool, &q, out, MSG_UDP_EDNS, &told);
	return *len ? (int)msg_header_rcode(out) : -1;
}

static void addresses_have_names(void **state)
{
	static const uint8_t wire[] = "\001a\007example";
	uint8_t out[MSG_UDP_EDNS];
	size_t len;

	(void)state;
	make(false, 15);
	answered("a.example", MSG_TYPE_A);
	assert_int_equal(ptr_rcode("1.0.18.198.in-addr.arpa", MSG_TYPE_PTR, out, &len),
			 0);
	assert_non_null(memmem(out, len, wire, sizeof(wire)));
	assert_int_equal(ptr_rcode("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
				   "8.1.9.1.f.c.d.f.ip6.arpa",
				   MSG_TYPE_PTR, out, &len),
			 0);
	assert_non_null(memmem(out, len, wire, sizeof(wire)));
	assert_int_equal(ptr_rcode("2.0.18.198.in-addr.arpa", MSG_TYPE_PTR, out, &len),
			 MSG_NXDOMAIN);
	assert_int_equal(ptr_rcode("1.0.20.198.in-addr.arpa", MSG_TYPE_PTR, out, &len),
			 -1);
	assert_int_equal(ptr_rcode("1.0.18.198.in-addr.arpa", 16, out, &len), -1);
}

/* --- what is asked --- */

static struct remote_ask *ask(void)
{
	struct msg_question q = question("a.example", 16);

	return remote_ask(t.remote, &q, PROXIED, on_answer, NULL);
}

/* The answer to what was sent, with its length in front. */
static size_t reply(uint8_t *out)
{
	size_t len = t.sent_len - 2;

	memcpy(out, t.sent, t.sent_len);
	assert_int_equal(out[0] << 8 | out[1], len);
	out[2 + 2] |= MSG_QR >> 8;
	return t.sent_len;
}

static size_t data(const uint8_t *bytes, size_t len)
{
	struct iovec iov = { (void *)bytes, len };

	return t.ch.up->on_data(t.ch.ctx, &iov, 1, NULL);
}

static void connected(void)
{
	t.dialed(t.dialed_ctx, &t.ch, 0, NULL);
}

static void a_question_over_tcp(void **state)
{
	struct endpoint server = endpoint_of("192.0.2.53", 53);
	uint8_t bytes[1024];
	size_t len;

	(void)state;
	make(true, 15);
	assert_non_null(ask());
	assert_int_equal(t.dials, 1);
	assert_int_equal(t.target.protocol, IPPROTO_TCP);
	assert_true(endpoint_eq(&t.target.to, &server));
	assert_false(t.target.name_only);
	t.room = 5;
	connected();
	assert_int_equal(t.sent_len, 5);
	t.room = sizeof(t.sent) - 5;
	t.ch.up->on_drain(t.ch.ctx);
	len = reply(bytes);
	assert_true(t.receives);
	assert_true(t.ch.up->room(t.ch.ctx) > 0);
	/* In pieces, with bytes behind it. */
	for (size_t i = 0; i < len - 1; i++)
		assert_int_equal(data(bytes + i, 1), 1);
	memcpy(bytes + len, "more", 4);
	data(bytes + len - 1, 5);
	assert_int_equal(t.answers, 0);
	assert_int_equal(t.ch.up->room(t.ch.ctx), 0);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	assert_int_equal(t.answers, 1);
	assert_int_equal(t.answer_len, len - 2);
	assert_memory_equal(t.answer, bytes + 2, len - 2);
	assert_int_equal(t.closes, 1);
}

static void what_is_no_answer(void **state)
{
	(void)state;
	make(true, 15);
	for (int way = 0; way < 8; way++) {
		uint8_t bytes[1024];
		size_t len;

		t.answers = t.closes = t.sent_len = 0;
		t.room = way == 7 ? 0 : sizeof(t.sent);
		t.answer_len = 1;
		assert_non_null(ask());
		if (way == 0) {
			t.dialed(t.dialed_ctx, NULL, ECONNREFUSED, "no");
		} else {
			connected();
			if (way != 7)
				len = reply(bytes);
		}
		if (way == 1)
			bytes[2] ^= 1; /* another ID */
		if (way == 2)
			bytes[2 + 12 + 1] ^= 1; /* another name */
		if (way == 3)
			t.ch.up->on_eof(t.ch.ctx);
		if (way == 4)
			t.ch.up->on_closed(t.ch.ctx, ECONNRESET);
		if (way == 5)
			data((const uint8_t *)"\0\0", 2);
		if (way == 6)
			data((const uint8_t *)"\0\1x", 3);
		if (way == 7)
			t.ch.up->on_eof(t.ch.ctx);
		if (way == 1 || way == 2)
			data(bytes, len);
		uv_run(&t.loop, UV_RUN_DEFAULT);
		assert_int_equal(t.answers, 1);
		assert_int_equal(t.answer_len, 0);
		assert_int_equal(t.closes, way ? 1 : 0);
	}
}

static void cancelled_and_bounded(void **state)
{
	struct remote_ask *asks[64];

	(void)state;
	make(true, 15);
	for (size_t i = 0; i < ARRAY_SIZE(asks); i++)
		assert_non_null(asks[i] = ask());
	assert_null(ask());
	connected(); /* the last one */
	for (size_t i = 0; i < ARRAY_SIZE(asks); i++)
		remote_cancel(asks[i]);
	assert_int_equal(t.cancels, 63);
	assert_int_equal(t.closes, 1);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	assert_int_equal(t.answers, 0);
	/* There is room again, and another route has nobody. */
	asks[0] = ask();
	assert_non_null(asks[0]);
	remote_cancel(asks[0]);
	t.dialers.by_route[PROXIED] = NULL;
	assert_null(ask());
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(addresses_come_from_the_pool),
		CASE(with_a_server_the_rest_is_asked),
		CASE(a_full_pool_fails),
		CASE(addresses_have_names),
		CASE(a_question_over_tcp),
		CASE(what_is_no_answer),
		CASE(cancelled_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
