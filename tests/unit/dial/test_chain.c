/* Dials through proxies, which are sockets of this test's on loopback. */
#include "dial/chain.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/util.h"

#define PATIENCE_MS 10000

static struct {
	uv_loop_t loop;
	struct poller poller;
	struct sock_set set;
	struct resolve resolve;
	struct chain *chain;
	struct proxy proxy;
	struct target target;
	struct endpoint at; /* where we listen */
	int listener, peer;
	/* what came of the dial */
	struct dial *dial;
	int calls, err;
	char why[600];
	struct channel *far;
	/* the resolver */
	int asks, cancels;
	char asked[256];
	resolve_fn found;
	void *found_ctx;
	bool deaf;
	/* what the channel told */
	char data[100];
	size_t len;
	int eofs;
} t;

/* --- fakes --- */

static struct resolve_ask *ask(struct resolve *r, const char *name, resolve_fn done,
			       void *ctx)
{
	t.asks++;
	snprintf(t.asked, sizeof(t.asked), "%s", name);
	t.found = done;
	t.found_ctx = ctx;
	return t.deaf ? NULL : (struct resolve_ask *)r;
}

static void cancel(struct resolve_ask *a)
{
	assert_ptr_equal(a, &t.resolve);
	t.cancels++;
}

static const struct resolve_ops resolve_ops = { ask, cancel };

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	(void)ctx;
	(void)n;
	(void)owner;
	memcpy(t.data + t.len, iov->iov_base, iov->iov_len);
	t.len += iov->iov_len;
	return iov->iov_len;
}

static void on_drain(void *ctx)
{
	(void)ctx;
}

static void on_eof(void *ctx)
{
	(void)ctx;
	t.eofs++;
}

static void on_closed(void *ctx, int err)
{
	(void)ctx;
	(void)err;
}

static size_t room(void *ctx)
{
	(void)ctx;
	return sizeof(t.data) - t.len;
}

static const struct channel_up up = { on_data, on_drain, on_eof, on_closed, room };

static void on_dialed(void *ctx, struct channel *far, int err, const char *why)
{
	assert_ptr_equal(ctx, &t);
	t.calls++;
	t.far = far;
	t.err = err;
	t.dial = NULL;
	assert_true(!far == !!err);
	snprintf(t.why, sizeof(t.why), "%s", why ? why : "");
}

/* --- the world --- */

#define run_until(condition)                                   \
	do {                                                   \
		uv_update_time(&t.loop);                       \
		uint64_t end_ = uv_now(&t.loop) + PATIENCE_MS; \
		while (!(condition)) {                         \
			poller_turn(&t.poller);                \
			assert_true(uv_now(&t.loop) < end_);   \
		}                                              \
	} while (0)

static bool accepted(void)
{
	t.peer = accept(t.listener, NULL, NULL);
	return t.peer >= 0;
}

static void expect(const char *text, size_t len)
{
	char got[600];
	size_t n = 0;

	assert_true(len <= sizeof(got));
	while (n < len) {
		ssize_t r = recv(t.peer, got + n, len - n, MSG_DONTWAIT);

		if (r > 0)
			n += r;
		else
			poller_turn(&t.poller);
	}
	assert_memory_equal(got, text, len);
}

static void answer(const char *text, size_t len)
{
	assert_int_equal(send(t.peer, text, len, MSG_NOSIGNAL), len);
}

#define EXPECT(literal) expect(literal, sizeof(literal) - 1)
#define ANSWER(literal) answer(literal, sizeof(literal) - 1)

static void listen_somewhere(void)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	t.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(addr_parse("127.0.0.1", &t.at.addr));
	assert_int_equal(bind(t.listener, (struct sockaddr *)&sa,
			      endpoint_to_sockaddr(&t.at, &sa)),
			 0);
	assert_int_equal(listen(t.listener, 4), 0);
	getsockname(t.listener, (struct sockaddr *)&sa, &len);
	assert_true(endpoint_from_sockaddr((struct sockaddr *)&sa, &t.at));
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.peer = -1;
	uv_loop_init(&t.loop);
	assert_int_equal(poller_init(&t.poller, &t.loop), 0);
	sock_set_init(&t.set, &t.loop, &t.poller);
	t.resolve.ops = &resolve_ops;
	listen_somewhere();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (t.far)
		t.far->ops->close(t.far, 0);
	if (t.dial)
		chain_dialer(t.chain)->ops->cancel(t.dial);
	chain_free(t.chain);
	sock_set_abandon(&t.set);
	sock_set_close(&t.set);
	poller_close(&t.poller);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	close(t.listener);
	if (t.peer >= 0)
		close(t.peer);
	buf_trim();
	return 0;
}

static struct proxy proxy(enum proxy_scheme scheme, const char *host)
{
	struct proxy p = { .scheme = scheme, .host = (char *)host, .port = t.at.port };

	p.is_addr = addr_parse(host, &p.addr);
	return p;
}

static void make_chain(const struct proxy *proxies, size_t n, unsigned timeout_ms)
{
	const struct chain_deps deps = { .loop = &t.loop,
					 .socks = &t.set,
					 .resolve = &t.resolve,
					 .timeout_ms = timeout_ms };
	struct error err;

	t.chain = chain_new(&deps, proxies, n, &err);
	if (!t.chain)
		fail_msg("%s", err.text);
}

static void dial(const struct target *target)
{
	struct dialer *d = chain_dialer(t.chain);
	struct dial_result r = d->ops->dial(d, target, on_dialed, &t);

	t.calls = 0;
	assert_true(r.pending || r.err);
	t.dial = r.pending;
	t.err = r.err;
}

static struct target to_addr(const char *text, uint16_t port)
{
	struct target target = { .to.port = port };

	assert_true(addr_parse(text, &target.to.addr));
	return target;
}

static struct target to_name(const char *name, uint16_t port)
{
	struct target target = to_addr("198.18.0.1", port);

	target.name = name;
	target.name_only = true;
	return target;
}

static void cancel_dial(void)
{
	struct dialer *d = chain_dialer(t.chain);

	d->ops->cancel(steal_ptr(&t.dial));
	for (int i = 0; i < 10; i++) {
		uv_run(&t.loop, UV_RUN_NOWAIT);
		assert_int_equal(t.calls, 0);
	}
}

/* Dials 192.0.2.1:80 through one proxy. */
static void begin(enum proxy_scheme scheme, const char *host, unsigned timeout_ms)
{
	t.proxy = proxy(scheme, host);
	t.target = to_addr("192.0.2.1", 80);
	make_chain(&t.proxy, 1, timeout_ms);
	dial(&t.target);
}

/* --- the way there --- */

static void a_name_goes_as_a_name(void **state)
{
	const struct proxy p = proxy(PROXY_SOCKS5H, "127.0.0.1");
	struct target target = to_name("Www.Example.org.", 443);

	(void)state;
	make_chain(&p, 1, PATIENCE_MS);
	dial(&target);
	run_until(accepted());
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT("\5\1\0\3\17Www.Example.org\1\xbb");
	assert_int_equal(t.calls, 0);
	ANSWER("\5\0\0\1\0\0\0\0\0\0");
	run_until(t.calls);
	assert_non_null(t.far);
	assert_int_equal(t.asks, 0);
}

static void an_address_goes_as_an_address(void **state)
{
	const struct proxy p = proxy(PROXY_SOCKS5H, "127.0.0.1");
	struct target target = to_addr("192.0.2.1", 80);

	(void)state;
	target.name = "seen.example"; /* only what policy knows */
	make_chain(&p, 1, PATIENCE_MS);
	dial(&target);
	run_until(accepted());
	ANSWER("\5\0");
	EXPECT("\5\1\0\5\1\0\1\300\0\2\1\0\120");
}

static void an_odd_name_goes_nowhere(void **state)
{
	const struct proxy p = proxy(PROXY_HTTP, "127.0.0.1");
	struct target target = to_name("127.1", 80);

	(void)state;
	make_chain(&p, 1, PATIENCE_MS);
	dial(&target);
	assert_null(t.dial);
	assert_int_equal(t.err, EHOSTUNREACH);
}

/* The socket itself is handed on, with the bytes that came too early, and the end. */
static void what_comes_early_is_kept(void **state)
{
	(void)state;
	begin(PROXY_HTTP, "127.0.0.1", PATIENCE_MS);
	run_until(accepted());
	ANSWER("HTTP/1.1 200 OK\r\n\r\n220 hello\r\n");
	shutdown(t.peer, SHUT_WR);
	run_until(t.calls);
	for (int i = 0; i < 5; i++)
		poller_turn(&t.poller);
	assert_int_equal(t.len, 0);
	t.far->up = &up;
	t.far->ops->recv(t.far);
	run_until(t.eofs);
	assert_int_equal(t.len, 11);
	assert_memory_equal(t.data, "220 hello\r\n", 11);
}

static void a_chain_goes_hop_by_hop(void **state)
{
	const struct proxy p[] = { proxy(PROXY_HTTP, "127.0.0.1"),
				   proxy(PROXY_SOCKS5, "second.example"),
				   proxy(PROXY_SOCKS4A, "2001:db8::3") };
	struct target target = to_addr("192.0.2.1", 80);
	char line[200], port[2] = { t.at.port >> 8, t.at.port & 0xff };
	char request[100] = "\5\1\0\4\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\3";

	(void)state;
	make_chain(p, 3, PATIENCE_MS);
	dial(&target);
	run_until(accepted());
	snprintf(line, sizeof(line),
		 "CONNECT second.example:%u HTTP/1.1\r\nHost: second.example:%u\r\n"
		 "Proxy-Connection: Keep-Alive\r\n\r\n",
		 t.at.port, t.at.port);
	expect(line, strlen(line));
	ANSWER("HTTP/1.1 200 OK\r\n\r\n");
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	memcpy(request + 20, port, 2);
	expect(request, 22);
	ANSWER("\5\0\0\1\0\0\0\0\0\0");
	EXPECT("\4\1\0\120\300\0\2\1\0");
	ANSWER("\0\132\0\0\0\0\0\0early");
	run_until(t.calls);
	assert_non_null(t.far);
	assert_int_equal(t.asks, 0);
}

/* A hop that answers for the next one is a liar. */
static void a_hop_says_no_more_than_its_own(void **state)
{
	const struct proxy p[] = { proxy(PROXY_HTTP, "127.0.0.1"),
				   proxy(PROXY_SOCKS5, "127.0.0.1") };
	struct target target = to_addr("192.0.2.1", 80);

	(void)state;
	make_chain(p, 2, PATIENCE_MS);
	dial(&target);
	run_until(accepted());
	ANSWER("HTTP/1.1 200 OK\r\n\r\n\5\0");
	run_until(t.calls);
	assert_int_equal(t.err, ECONNREFUSED);
	assert_non_null(strstr(t.why, "http://127.0.0.1:"));
	assert_non_null(strstr(t.why, "before it is asked"));
}

/* --- failures --- */

static void what_is_said_of_the_target_passes(void **state)
{
	(void)state;
	begin(PROXY_SOCKS5, "127.0.0.1", PATIENCE_MS);
	run_until(accepted());
	ANSWER("\5\0\5\3");
	run_until(t.calls);
	assert_int_equal(t.err, ENETUNREACH);
}

static void a_proxy_that_is_not_there_is_told(void **state)
{
	char want[100];

	(void)state;
	close(t.listener);
	t.listener = -1;
	begin(PROXY_SOCKS5, "127.0.0.1", PATIENCE_MS);
	assert_int_equal(t.calls, 0);
	run_until(t.calls);
	snprintf(want, sizeof(want), "proxy socks5://127.0.0.1:%u: Connection refused",
		 t.at.port);
	assert_string_equal(t.why, want);
}

static void silence_ends_at_the_deadline(void **state)
{
	char byte;

	(void)state;
	begin(PROXY_HTTP, "127.0.0.1", 50);
	run_until(accepted());
	run_until(t.calls);
	assert_int_equal(t.err, ECONNREFUSED);
	assert_non_null(strstr(t.why, "it doesn't answer within 0.05 s"));
	/* Nothing is left open. */
	while (recv(t.peer, &byte, 1, 0) > 0)
		;
}

static void an_end_instead_of_an_answer_is_told(void **state)
{
	(void)state;
	begin(PROXY_HTTP, "127.0.0.1", PATIENCE_MS);
	run_until(accepted());
	ANSWER("HTTP/1.1 200 OK\r\n");
	shutdown(t.peer, SHUT_WR);
	run_until(t.calls);
	assert_non_null(strstr(t.why, "instead of answering"));
}

/* --- names of proxies --- */

static void find(const char *const *texts, size_t n, uint32_t ttl_s)
{
	struct addr addrs[4];

	for (size_t i = 0; i < n; i++)
		assert_true(addr_parse(texts[i], &addrs[i]));
	t.found(t.found_ctx, addrs, n, ttl_s);
}

static void finish_dial(void)
{
	run_until(accepted());
	ANSWER("HTTP/1.1 200 OK\r\n\r\n");
	run_until(t.calls);
	assert_non_null(t.far);
	t.far->ops->close(steal_ptr(&t.far), 0);
	close(t.peer);
	t.peer = -1;
}

static void a_name_is_looked_up_once_for_its_ttl(void **state)
{
	static const char *const here[] = { "127.0.0.1" };
	(void)state;
	begin(PROXY_HTTP, "proxy.example", PATIENCE_MS);
	assert_int_equal(t.asks, 1);
	assert_string_equal(t.asked, "proxy.example");
	find(here, 1, 1);
	finish_dial();
	dial(&t.target);
	finish_dial();
	assert_int_equal(t.asks, 1);
	t.loop.time += 1001; /* the clock as the next call sees it, and no other */
	dial(&t.target);
	assert_int_equal(t.asks, 2);
	find(here, 1, 1);
	finish_dial();
}

static void all_addresses_are_tried_and_the_good_one_is_kept(void **state)
{
	/* Nobody listens on the first two. */
	static const char *const here[] = { "::1", "127.9.9.9", "127.0.0.1" };
	(void)state;
	begin(PROXY_HTTP, "proxy.example", PATIENCE_MS);
	find(here, 3, 60);
	finish_dial();
	dial(&t.target);
	finish_dial();
	close(t.listener);
	t.listener = -1;
	dial(&t.target);
	run_until(t.calls);
	assert_int_equal(t.err, ECONNREFUSED);
}

static void a_name_without_addresses_is_told(void **state)
{
	(void)state;
	begin(PROXY_HTTP, "proxy.example", PATIENCE_MS);
	find(NULL, 0, 0);
	run_until(t.calls);
	assert_non_null(strstr(t.why, "its name has no address"));
	t.deaf = true;
	dial(&t.target);
	run_until(t.calls);
	assert_non_null(strstr(t.why, "no DNS server can be asked"));
}

static void a_lookup_that_takes_too_long_is_dropped(void **state)
{
	(void)state;
	begin(PROXY_HTTP, "proxy.example", 50);
	run_until(t.calls);
	assert_int_equal(t.err, ECONNREFUSED);
	assert_int_equal(t.cancels, 1);
}

/* --- giving up --- */

static void a_cancelled_dial_stays_silent(void **state)
{
	static const char *const here[] = { "127.0.0.1" };
	const struct proxy p = proxy(PROXY_HTTP, "proxy.example");
	struct target target = to_addr("192.0.2.1", 80);

	(void)state;
	make_chain(&p, 1, PATIENCE_MS);
	/* in the lookup */
	dial(&target);
	cancel_dial();
	assert_int_equal(t.cancels, 1);
	/* while it connects, or just after */
	dial(&target);
	find(here, 1, 60);
	cancel_dial();
	run_until(accepted());
	close(t.peer);
	/* in the handshake */
	dial(&target);
	run_until(accepted());
	EXPECT("CONNECT");
	cancel_dial();
	close(t.peer);
	t.peer = -1;
}

static void a_cancel_ends_what_is_done_but_not_told(void **state)
{
	(void)state;
	close(t.listener);
	t.listener = -1;
	begin(PROXY_HTTP, "127.0.0.1", PATIENCE_MS);
	cancel_dial();
}

static void nonsense_is_refused_at_once(void **state)
{
	const struct chain_deps deps = { .loop = &t.loop, .socks = &t.set };
	struct proxy wrong[] = { proxy(PROXY_HTTP, "127.0.0.1"),
				 proxy(PROXY_SOCKS4A, "127.0.0.1"),
				 proxy(PROXY_HTTP, "a b") };
	struct error err;

	(void)state;
	wrong[0].user = "a:b";
	wrong[0].password = "secret";
	wrong[1].user = "a";
	wrong[1].password = "secret";
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_null(chain_new(&deps, &wrong[i], 1, &err));
		assert_null(strstr(err.text, "secret"));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_name_goes_as_a_name),
		T(an_address_goes_as_an_address),
		T(an_odd_name_goes_nowhere),
		T(what_comes_early_is_kept),
		T(a_chain_goes_hop_by_hop),
		T(a_hop_says_no_more_than_its_own),
		T(what_is_said_of_the_target_passes),
		T(a_proxy_that_is_not_there_is_told),
		T(silence_ends_at_the_deadline),
		T(an_end_instead_of_an_answer_is_told),
		T(a_name_is_looked_up_once_for_its_ttl),
		T(all_addresses_are_tried_and_the_good_one_is_kept),
		T(a_name_without_addresses_is_told),
		T(a_lookup_that_takes_too_long_is_dropped),
		T(a_cancelled_dial_stays_silent),
		T(a_cancel_ends_what_is_done_but_not_told),
		T(nonsense_is_refused_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
