/* Heads of datagrams; and relays, against a scripted proxy on loopback. */
#include "dial/socks5_udp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/util.h"

static struct endpoint at(const char *text, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_true(addr_parse(text, &e.addr));
	return e;
}

/* --- heads --- */

static void heads_written(void **state)
{
	static const uint8_t v4[] = { 0, 0, 0, 1, 192, 0, 2, 1, 0x1f, 0x90 };
	static const uint8_t v6[] = { 0, 0, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0,
				      0, 0, 0, 0, 0,	0, 0,	0,    1, 0, 53 };
	static const uint8_t name[] = { 0,   0,	  0,   3,   9,	 'a', '.', 'e',
					'x', 'a', 'm', 'p', 'l', 'e', 0,   53 };
	uint8_t out[SOCKS5_UDP_HEAD_MAX];
	struct relay_peer to = { .at = at("192.0.2.1", 8080) };
	char text[300];

	(void)state;
	assert_int_equal(socks5_udp_write_head(&to, out), sizeof(v4));
	assert_memory_equal(out, v4, sizeof(v4));
	to.at = at("2001:db8::1", 53);
	assert_int_equal(socks5_udp_write_head(&to, out), sizeof(v6));
	assert_memory_equal(out, v6, sizeof(v6));
	to.name = "a.example";
	assert_int_equal(socks5_udp_write_head(&to, out), sizeof(name));
	assert_memory_equal(out, name, sizeof(name));
	to.name = "127.1";
	assert_int_equal(socks5_udp_write_head(&to, out), 0);
	to.name = "a b.example";
	assert_int_equal(socks5_udp_write_head(&to, out), 0);
	memset(text, 'a', sizeof(text));
	text[299] = '\0';
	to.name = text;
	assert_int_equal(socks5_udp_write_head(&to, out), 0);
}

static void heads_read(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, head;
		const char *from; /* "NAME" or an address */
	} rows[] = {
		{ "\0\0\0\1\xc0\0\2\1\0005data", 14, 10, "192.0.2.1" },
		{ "\0\0\0\1\xc0\0\2\1\0005", 10, 10, "192.0.2.1" },
		{ "\xff\xff\0\1\xc0\0\2\1\0005", 10, 10, "192.0.2.1" },
		{ "\0\0\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0005x", 23, 22,
		  "2001:db8::1" },
		{ "\0\0\0\3\1a\0005x", 9, 8, "a" },
		/* fragments, odd types, cuts, odd names */
		{ "\0\0\1\1\xc0\0\2\1\0005", 10, 0, NULL },
		{ "\0\0\x80\1\xc0\0\2\1\0005", 10, 0, NULL },
		{ "\0\0\0\0\xc0\0\2\1\0005", 10, 0, NULL },
		{ "\0\0\0\2\xc0\0\2\1\0005", 10, 0, NULL },
		{ "\0\0\0\1\xc0\0\2\1\0", 9, 0, NULL },
		{ "\0\0\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0", 21, 0, NULL },
		{ "\0\0\0\3\xff"
		  "a\0005x",
		  9, 0, NULL },
		{ "\0\0\0\3\0\0005x", 8, 0, NULL },
		{ "\0\0\0\3\2a\0\0005", 9, 0, NULL },
		{ "\0\0\0\1", 4, 0, NULL },
		{ "", 0, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* At the end of its memory, for the sanitizers. */
		uint8_t *copy = malloc(rows[i].len ? rows[i].len : 1);
		char name[UINT8_MAX + 1], text[ADDR_TEXT_MAX];
		struct relay_peer from;

		memcpy(copy, rows[i].bytes, rows[i].len);
		if (socks5_udp_read_head(copy, rows[i].len, &from, name) != rows[i].head)
			fail_msg("row %zu", i);
		if (rows[i].head) {
			assert_int_equal(from.at.port, 53);
			assert_string_equal(from.name ? from.name :
							addr_format(&from.at.addr, text),
					    rows[i].from);
		}
		free(copy);
	}
}

static void heads_survive(void **state)
{
	static const char *const names[] = { NULL, "a.example", "x" };
	static const char *const addrs[] = { "192.0.2.1", "2001:db8::1", "::" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (size_t k = 0; k < ARRAY_SIZE(addrs); k++) {
			struct relay_peer to = { names[i], at(addrs[k], 40000 + k) },
					  from;
			uint8_t head[SOCKS5_UDP_HEAD_MAX];
			size_t len = socks5_udp_write_head(&to, head);
			char name[UINT8_MAX + 1];

			assert_int_equal(socks5_udp_read_head(head, len, &from, name),
					 len);
			assert_int_equal(from.at.port, to.at.port);
			if (names[i])
				assert_string_equal(from.name, names[i]);
			else
				assert_true(endpoint_eq(&from.at, &to.at));
		}
}

/* --- relays --- */

static struct {
	uv_loop_t loop;
	struct poller poller;
	struct sock_set socks;
	struct proxy proxy;
	struct chain *chain;
	struct socks5_relayer *relayer;
	struct relayer *ops;
	struct relay *relay;
	/* the proxy's side */
	int listener, control, udp, stranger;
	uint16_t udp_port;
	/* what the relay told */
	int datagrams, gones;
	bool refused;
	char from[64], data[64];
} t;

static void on_datagram(void *ctx, const struct relay_peer *from, const void *data,
			size_t len)
{
	(void)ctx;
	t.datagrams++;
	if (from->name)
		snprintf(t.from, sizeof(t.from), "%s", from->name);
	else
		addr_format(&from->at.addr, t.from);
	snprintf(t.data, sizeof(t.data), "%.*s", (int)len, (const char *)data);
}

static void on_gone(void *ctx, bool refused, const char *why)
{
	(void)ctx;
	assert_non_null(why);
	t.gones++;
	t.refused = refused;
	t.ops->ops->close(t.relay);
	t.relay = NULL;
}

static const struct relay_up up = { on_datagram, on_gone };

static int loopback(int type, uint16_t *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static int setup(void **state)
{
	struct chain_deps deps = { .loop = &t.loop,
				   .socks = &t.socks,
				   .timeout_ms = 20000 };
	struct error err;
	uint16_t port;

	(void)state;
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	assert_int_equal(poller_init(&t.poller, &t.loop), 0);
	sock_set_init(&t.socks, &t.loop, &t.poller);
	t.listener = loopback(SOCK_STREAM, &t.proxy.port);
	assert_int_equal(listen(t.listener, 5), 0);
	t.udp = loopback(SOCK_DGRAM, &t.udp_port);
	t.stranger = loopback(SOCK_DGRAM, &port);
	t.control = -1;
	t.proxy.scheme = PROXY_SOCKS5;
	t.proxy.host = "127.0.0.1";
	t.proxy.is_addr = true;
	t.proxy.addr = at("127.0.0.1", 0).addr;
	t.chain = chain_new(&deps, &t.proxy, 1, &err);
	assert_non_null(t.chain);
	t.relayer = socks5_relayer_new(t.chain, &t.poller, NULL, 2);
	t.ops = socks5_relayer(t.relayer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (t.relay)
		t.ops->ops->close(t.relay);
	close(t.listener);
	close(t.udp);
	close(t.stranger);
	if (t.control >= 0)
		close(t.control);
	socks5_relayer_free(t.relayer);
	sock_set_abandon(&t.socks);
	chain_free(t.chain);
	sock_set_close(&t.socks);
	poller_close(&t.poller);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	return 0;
}

static void turn_until_readable(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		poller_turn(&t.poller);
}

static void heard(const void *bytes, size_t len)
{
	uint8_t got[64];

	turn_until_readable(t.control);
	assert_int_equal(recv(t.control, got, len, MSG_WAITALL), len);
	assert_memory_equal(got, bytes, len);
}

static void said(const void *bytes, size_t len)
{
	assert_int_equal(send(t.control, bytes, len, 0), len);
}

static int relay_send(const char *name, const char *addr, const char *text)
{
	struct relay_peer to = { name, at(addr, 53) };

	return t.ops->ops->send(t.relay, &to, text, strlen(text));
}

/* Up to the request; zeros stand for an address that isn't known yet. */
static void ask(void)
{
	t.relay = t.ops->ops->open(t.ops, &up, NULL);
	assert_non_null(t.relay);
	t.control = accept(t.listener, NULL, NULL);
	assert_true(t.control >= 0);
	heard("\5\1\0", 3);
	said("\5\0", 2);
	heard("\5\3\0\1\0\0\0\0\0\0", 10);
}

static void associate(void)
{
	/* An address that lies. */
	uint8_t reply[] = { 5, 0, 0, 1, 10, 9, 9, 9, t.udp_port >> 8, t.udp_port & 255 };

	ask();
	said(reply, sizeof(reply));
}

/* What the proxy's relay has got; answers go back to its sender. */
static void relayed(const void *bytes, size_t len, struct sockaddr_in *from)
{
	uint8_t got[512];
	socklen_t from_len = sizeof(*from);

	turn_until_readable(t.udp);
	assert_int_equal(recvfrom(t.udp, got, sizeof(got), 0, (struct sockaddr *)from,
				  &from_len),
			 len);
	assert_memory_equal(got, bytes, len);
}

static void to_child(int fd, const struct sockaddr_in *to, const void *bytes, size_t len)
{
	assert_int_equal(
		sendto(fd, bytes, len, 0, (const struct sockaddr *)to, sizeof(*to)), len);
}

static void there_and_back(void **state)
{
	static const char v4[] = "\0\0\0\1\xc0\0\2\1\0005", name[] = "\0\0\0\3\1a\0005";
	struct endpoint local, peer;
	struct sockaddr_in from;

	(void)state;
	associate();
	assert_false(t.ops->ops->endpoints(t.relay, &local, &peer));
	/* Two wait for the relay, the third doesn't. */
	assert_int_equal(relay_send(NULL, "192.0.2.1", ""), 0);
	assert_int_equal(relay_send("a", "198.18.0.1", ""), 0);
	relayed(v4, 10, &from);
	relayed(name, 8, &from);
	assert_true(t.ops->ops->endpoints(t.relay, &local, &peer));
	assert_int_equal(local.port, ntohs(from.sin_port));
	assert_int_equal(peer.port, t.udp_port);
	assert_int_equal(relay_send(NULL, "192.0.2.1", ""), 0);
	relayed(v4, 10, &from);
	assert_int_equal(relay_send("127.1", "198.18.0.1", "x"), -EHOSTUNREACH);
	/* Neither strangers nor fragments nor what makes no sense. */
	to_child(t.stranger, &from, "\0\0\0\1\xc0\0\2\1\0005 no", 13);
	to_child(t.udp, &from, "\0\0\1\1\xc0\0\2\1\0005 no", 13);
	to_child(t.udp, &from, "no", 2);
	to_child(t.udp, &from, "\0\0\0\1\xc0\0\2\1\0005yes", 13);
	while (!t.datagrams)
		poller_turn(&t.poller);
	assert_string_equal(t.data, "yes");
	assert_string_equal(t.from, "192.0.2.1");
	to_child(t.udp, &from, "\0\0\0\3\1b\0005", 8);
	while (t.datagrams < 2)
		poller_turn(&t.poller);
	assert_string_equal(t.data, "");
	assert_string_equal(t.from, "b");
	assert_int_equal(t.gones, 0);
}

static void more_than_fits(void **state)
{
	static char data[SOCKS5_UDP_DATA_MAX];
	int came = 0;
	struct relay_peer to = { .at = at("192.0.2.1", 53) };

	(void)state;
	associate();
	assert_int_equal(t.ops->ops->send(t.relay, &to, data, sizeof(data) - 9),
			 -EMSGSIZE);
	/* As many wait as are let; all others are lost, and that is no error. */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(t.ops->ops->send(t.relay, &to, data, 100), 0);
	turn_until_readable(t.udp);
	while (recv(t.udp, data, sizeof(data), MSG_DONTWAIT) >= 0)
		came++;
	assert_int_equal(came, 32);
}

static void turn_until_gone(void)
{
	while (!t.gones)
		poller_turn(&t.poller);
	assert_int_equal(t.gones, 1);
	assert_null(t.relay);
}

static void the_end_of_the_connection(void **state)
{
	struct sockaddr_in from;

	(void)state;
	associate();
	relay_send(NULL, "192.0.2.1", "");
	relayed("\0\0\0\1\xc0\0\2\1\0005", 10, &from);
	said("whatever it says", 16);
	close(t.control);
	t.control = -1;
	turn_until_gone();
	assert_false(t.refused);
}

static void the_end_of_the_relay(void **state)
{
	struct sockaddr_in from;

	(void)state;
	associate();
	relay_send(NULL, "192.0.2.1", "");
	relayed("\0\0\0\1\xc0\0\2\1\0005", 10, &from);
	close(t.udp);
	t.udp = -1;
	relay_send(NULL, "192.0.2.1", "");
	turn_until_gone();
	assert_false(t.refused);
}

static void refusals(void **state)
{
	static const struct {
		const char *reply;
		size_t len;
		bool refused;
	} rows[] = {
		{ "\5\7\0\1\0\0\0\0\0\0", 10, true },
		{ "\5\1\0\1\0\0\0\0\0\0", 10, false },
		{ "\5\0\0\1\177\0\0\1\0\0", 10, false }, /* no port */
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", 28, false },
		{ "", 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t.gones = 0;
		ask();
		relay_send(NULL, "192.0.2.1", "waits");
		said(rows[i].reply, rows[i].len);
		if (!rows[i].len)
			close(t.control);
		turn_until_gone();
		assert_int_equal(t.refused, rows[i].refused);
		if (rows[i].len)
			close(t.control);
		t.control = -1;
	}
}

static void closed_early_and_bounded(void **state)
{
	struct relay *a, *b;

	(void)state;
	a = t.ops->ops->open(t.ops, &up, NULL);
	b = t.ops->ops->open(t.ops, &up, NULL);
	assert_true(a && b);
	assert_null(t.ops->ops->open(t.ops, &up, NULL));
	t.ops->ops->close(a);
	t.ops->ops->close(b);
	assert_non_null(a = t.ops->ops->open(t.ops, &up, NULL));
	t.ops->ops->close(a);
	assert_int_equal(t.gones, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_written),
		cmocka_unit_test(heads_read),
		cmocka_unit_test(heads_survive),
		CASE(there_and_back),
		CASE(more_than_fits),
		CASE(the_end_of_the_connection),
		CASE(the_end_of_the_relay),
		CASE(refusals),
		CASE(closed_early_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
