/* What is said to proxies, whatever they answer. */
#include "dial/handshake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static struct handshake h;

static struct handshake_to to_addr(const char *text, uint16_t port)
{
	struct handshake_to to = { .port = port };

	assert_true(addr_parse(text, &to.addr));
	return to;
}

static struct handshake_to to_name(const char *name, uint16_t port)
{
	struct handshake_to to = { .port = port };

	assert_true(handshake_take_name(name, to.name));
	return to;
}

static void begin(const struct handshake_ops *ops, const struct proxy *proxy,
		  struct handshake_to to)
{
	memset(&h, 0xee, sizeof(h));
	assert_null(ops->check(proxy));
	ops->begin(&h, proxy, &to);
	assert_int_equal(h.state, HANDSHAKE_MORE);
}

static void said(const void *bytes, size_t len)
{
	assert_int_equal(h.out_len, len);
	assert_memory_equal(h.out, bytes, len);
	h.out_len = 0;
}

#define SAID(literal) said(literal, sizeof(literal) - 1)

/* Feeds bytes in pieces of `piece`; returns how many were taken. */
static size_t feed(const struct handshake_ops *ops, const void *bytes, size_t len,
		   size_t piece)
{
	const uint8_t *b = bytes;
	size_t at = 0;

	while (at < len && h.state == HANDSHAKE_MORE) {
		size_t n = MIN(piece, len - at), used = ops->step(&h, b + at, n);

		assert_true(used == n || h.state != HANDSHAKE_MORE);
		at += used;
	}
	return at;
}

struct answer {
	const char *bytes;
	size_t len;
	enum handshake_state state;
	size_t taken;
	int err;
	const char *why;
};

#define B(literal) literal, sizeof(literal) - 1
#define ALL(literal) literal, sizeof(literal) - 1, HANDSHAKE_DONE, sizeof(literal) - 1

static void check_answers(const struct handshake_ops *ops, const struct proxy *proxy,
			  const struct answer *answers, size_t n)
{
	static const size_t pieces[] = { 1, 2, 7, SIZE_MAX };

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(pieces); k++) {
			const struct answer *a = &answers[i];
			size_t taken;

			begin(ops, proxy, to_name("example.org", 443));
			h.out_len = 0;
			taken = feed(ops, a->bytes, a->len, pieces[k]);
			if (h.state != a->state)
				print_message("# %zu: %s\n", i, h.why);
			assert_int_equal(h.state, a->state);
			if (a->state == HANDSHAKE_DONE)
				assert_int_equal(taken, a->taken);
			if (a->state != HANDSHAKE_FAILED)
				continue;
			assert_int_equal(h.err, a->err);
			if (!strstr(h.why, a->why))
				print_message("# %s\n", h.why);
			assert_non_null(strstr(h.why, a->why));
		}
	}
}

/* --- HTTP --- */

static const struct proxy plain = { 0 }, login = { .user = "demo", .password = "p:w" };

static void http_asks(void **state)
{
	(void)state;
	begin(&http_handshake, &plain, to_addr("192.0.2.7", 80));
	SAID("CONNECT 192.0.2.7:80 HTTP/1.1\r\nHost: 192.0.2.7:80\r\n"
	     "Proxy-Connection: Keep-Alive\r\n\r\n");
	begin(&http_handshake, &plain, to_addr("2001:db8::7", 443));
	SAID("CONNECT [2001:db8::7]:443 HTTP/1.1\r\nHost: [2001:db8::7]:443\r\n"
	     "Proxy-Connection: Keep-Alive\r\n\r\n");
	begin(&http_handshake, &login, to_name("Example.org.", 8443));
	SAID("CONNECT Example.org:8443 HTTP/1.1\r\nHost: Example.org:8443\r\n"
	     "Proxy-Connection: Keep-Alive\r\n"
	     "Proxy-Authorization: Basic ZGVtbzpwOnc=\r\n\r\n");
}

/* The vectors of RFC 4648 10, with a colon in the middle. */
static void http_encodes_credentials_of_any_length(void **state)
{
	static const struct {
		const char *user, *password, *coded;
	} rows[] = {
		{ "", "", "Og==" },
		{ "f", "", "Zjo=" },
		{ "f", "o", "Zjpv" },
		{ "fo", "ob", "Zm86b2I=" },
		{ "Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
		{ "\xff\xfe", "\xfb", "//46+w==" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct proxy p = { .user = (char *)rows[i].user,
					 .password = (char *)rows[i].password };
		char want[80];

		begin(&http_handshake, &p, to_name("a", 1));
		h.out[h.out_len] = '\0';
		snprintf(want, sizeof(want), "Basic %s\r\n\r\n", rows[i].coded);
		assert_non_null(strstr((char *)h.out, want));
	}
}

static void http_has_room_for_the_longest(void **state)
{
	char word[701], name[HANDSHAKE_NAME_MAX] = "";
	const struct proxy p = { .user = word, .password = word };

	(void)state;
	memset(word, 'x', 700);
	word[700] = '\0';
	while (strlen(name) < 253)
		strcat(name, strlen(name) % 64 == 62 ? "." : "y");
	begin(&http_handshake, &p, to_name(name, 65535));
	assert_true(h.out_len > 2 * 253 + 1868 && h.out_len < sizeof(h.out));
}

static void http_answers(void **state)
{
	static const struct answer answers[] = {
		{ ALL("HTTP/1.1 200 OK\r\n\r\n") },
		{ ALL("HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n") },
		{ ALL("HTTP/1.1 299\r\n\r\n") },
		{ ALL("HTTP/1.1 200 OK\n\n") },
		{ B("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n220 hello\r\n"),
		  HANDSHAKE_DONE, 38 },
		{ ALL("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: y\r\n\r\n"
		      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") },
		{ B("HTTP/1.1 200 OK\r\nX: y\r\n"), HANDSHAKE_MORE },
		{ B("HTTP/1.1 20"), HANDSHAKE_MORE },
		{ B("HTTP/1.1 403 Forbidden\r\n"), HANDSHAKE_FAILED, 0, EACCES,
		  "it says \"403 Forbidden\"" },
		{ B("HTTP/1.1 502 Bad\x1b[31m gateway\r\n"), HANDSHAKE_FAILED, 0,
		  ECONNREFUSED, "\"502 Bad?[31m gateway\"" },
		{ B("HTTP/1.1 504 Late\r\n"), HANDSHAKE_FAILED, 0, EHOSTUNREACH, "504" },
		{ B("HTTP/1.1 401 No\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "\"401 No\"" },
		{ B("HTTP/1.1 301 Moved\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "301" },
		{ B("HTTP/1.1 101 Switching\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "101" },
		{ B("HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"),
		  HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "it wants a user and a password (407)" },
		{ B("HTTP/1.1 407 Who?\r\nproxy-authenticate:\tNTLM\r\n\r\n"),
		  HANDSHAKE_FAILED, 0, ECONNREFUSED, "by the scheme NTLM, which" },
		{ B("SSH-2.0-OpenSSH_9.2\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "isn't HTTP" },
		/* What never ends its line isn't waited for. */
		{ B("SSH-2.0"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't HTTP" },
		{ B("\25\3\3"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't HTTP" },
		{ B("H\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't HTTP" },
		{ B("HTTP/2 200\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't HTTP" },
		{ B("HTTP/1.2 200\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "isn't HTTP" },
		{ B("HTTP/1.1 2x0 OK\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "isn't HTTP" },
		{ B("HTTP/1.1 2000 OK\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "isn't HTTP" },
		{ B("HTTP/1.1 200 OK\r\nX: \0\r\n"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "isn't HTTP" },
	};
	static const struct answer refused[] = {
		{ B("HTTP/1.1 407 Who?\r\nProxy-Authenticate: Negotiate\r\n"
		    "Proxy-Authenticate: basic realm=x\r\n\r\n"),
		  HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "it refuses our user and password (407)" },
		{ B("HTTP/1.0 401 Unauthorized\r\nServer: tinyproxy\r\n\r\n"),
		  HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "it refuses our user and password (401)" },
	};

	(void)state;
	check_answers(&http_handshake, &plain, answers, ARRAY_SIZE(answers));
	check_answers(&http_handshake, &login, refused, ARRAY_SIZE(refused));
}

static void http_headers_end_somewhere(void **state)
{
	static const char line[] = "X-Filler: 0123456789\r\n",
			  status[] = "HTTP/1.1 200 OK\r\n";
	size_t total = strlen(status);

	(void)state;
	begin(&http_handshake, &plain, to_name("a", 1));
	feed(&http_handshake, status, strlen(status), SIZE_MAX);
	while (h.state == HANDSHAKE_MORE)
		total += feed(&http_handshake, line, strlen(line), SIZE_MAX);
	assert_int_equal(h.state, HANDSHAKE_FAILED);
	assert_non_null(strstr(h.why, "16 KiB"));
	assert_int_equal(total, HANDSHAKE_HEADER_MAX + 1);
}

static void http_interim_answers_end_somewhere(void **state)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
	int n = 0;

	(void)state;
	begin(&http_handshake, &plain, to_name("a", 1));
	for (; h.state == HANDSHAKE_MORE; n++)
		feed(&http_handshake, interim, strlen(interim), SIZE_MAX);
	assert_non_null(strstr(h.why, "never comes to its answer"));
	assert_in_range(n, 2, 10);
}

/* --- SOCKS5 --- */

static void socks5_asks(void **state)
{
	(void)state;
	begin(&socks5_handshake, &plain, to_addr("192.0.2.7", 80));
	SAID("\5\1\0");
	assert_int_equal(feed(&socks5_handshake, B("\5\0"), 1), 2);
	SAID("\5\1\0\1\300\0\2\7\0\120");
	begin(&socks5_handshake, &plain, to_addr("2001:db8::7", 443));
	SAID("\5\1\0");
	feed(&socks5_handshake, B("\5\0"), 2);
	SAID("\5\1\0\4\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\7\1\xbb");
	begin(&socks5_handshake, &login, to_name("example.org", 256));
	SAID("\5\2\0\2");
	feed(&socks5_handshake, B("\5\2"), 2);
	SAID("\1\4demo\3p:w");
	feed(&socks5_handshake, B("\1\0"), 2);
	SAID("\5\1\0\3\13example.org\1\0");
	/* It may do without. */
	begin(&socks5_handshake, &login, to_name("a", 1));
	SAID("\5\2\0\2");
	feed(&socks5_handshake, B("\5\0"), 2);
	SAID("\5\1\0\3\1a\0\1");
}

static void socks5_answers(void **state)
{
	static const struct answer answers[] = {
		{ ALL("\5\0\5\0\0\1\1\2\3\4\5\6") },
		{ ALL("\5\0\5\0\0\4\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\5\6") },
		{ ALL("\5\0\5\0\0\3\3abc\5\6") },
		{ ALL("\5\0\5\0\0\3\0\5\6") },
		{ B("\5\0\5\0\0\1\1\2\3\4\5\6"
		    "220 hello"),
		  HANDSHAKE_DONE, 12 },
		{ B("\5\0\5\0\0\3\377abc\5\6"), HANDSHAKE_MORE },
		{ B("\5\0\5\0\0"), HANDSHAKE_MORE },
		{ B("\5\0\5\0\0\2"
		    "abcd"),
		  HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't SOCKS5" },
		{ B("\5\0\4\0"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't SOCKS5" },
		{ B("\5\0\5\1"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "failure" },
		{ B("\5\0\5\2"), HANDSHAKE_FAILED, 0, EACCES, "rules" },
		{ B("\5\0\5\3"), HANDSHAKE_FAILED, 0, ENETUNREACH, "network" },
		{ B("\5\0\5\4"), HANDSHAKE_FAILED, 0, EHOSTUNREACH, "host" },
		{ B("\5\0\5\5"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "(5)" },
		{ B("\5\0\5\6"), HANDSHAKE_FAILED, 0, EHOSTUNREACH, "TTL" },
		{ B("\5\0\5\7"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "command" },
		{ B("\5\0\5\10"), HANDSHAKE_FAILED, 0, ENETUNREACH, "address type" },
		{ B("\5\0\5\11"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "reason 9" },
		{ B("\5\0\5\377"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "reason 255" },
		{ B("HT"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't SOCKS5" },
		{ B("\5\377"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "it wants a user" },
		{ B("\5\2"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "haven't offered" },
		{ B("\5\1"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "haven't offered" },
	};
	static const struct answer refused[] = {
		{ ALL("\5\2\1\0\5\0\0\1\1\2\3\4\5\6") },
		{ ALL("\5\0\5\0\0\1\1\2\3\4\5\6") },
		{ B("\5\2\1\1"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "it refuses our user and password" },
		{ B("\5\2\5\0"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't SOCKS5" },
		{ B("\5\377"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "it takes no user" },
		{ B("\5\1"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "haven't offered" },
	};

	(void)state;
	check_answers(&socks5_handshake, &plain, answers, ARRAY_SIZE(answers));
	check_answers(&socks5_handshake, &login, refused, ARRAY_SIZE(refused));
}

/* --- SOCKS4A --- */

static void socks4_asks(void **state)
{
	const struct proxy user = { .user = "demo", .password = "" };

	(void)state;
	begin(&socks4_handshake, &plain, to_addr("192.0.2.7", 80));
	SAID("\4\1\0\120\300\0\2\7\0");
	begin(&socks4_handshake, &user, to_name("example.org", 443));
	SAID("\4\1\1\xbb\0\0\0\1demo\0example.org\0");
	begin(&socks4_handshake, &plain, to_addr("2001:db8::7", 443));
	SAID("\4\1\1\xbb\0\0\0\1\0"
	     "2001:db8::7\0");
}

static void socks4_answers(void **state)
{
	static const struct answer answers[] = {
		{ ALL("\0\132\1\2\3\4\5\6") },
		{ ALL("\4\132\1\2\3\4\5\6") },
		{ B("\0\132\1\2\3\4\5\6"
		    "220 hello"),
		  HANDSHAKE_DONE, 8 },
		{ B("\0\132\1\2\3\4\5"), HANDSHAKE_MORE },
		{ B("\0\133\1\2\3\4\5\6"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "(91)" },
		{ B("\0\134\1\2\3\4\5\6"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "our user" },
		{ B("\0\135\1\2\3\4\5\6"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "our user" },
		{ B("\0\0\1\2\3\4\5\6"), HANDSHAKE_FAILED, 0, ECONNREFUSED,
		  "isn't SOCKS4" },
		{ B("HTTP/1.1"), HANDSHAKE_FAILED, 0, ECONNREFUSED, "isn't SOCKS4" },
	};

	(void)state;
	check_answers(&socks4_handshake, &plain, answers, ARRAY_SIZE(answers));
}

/* --- what may be said at all --- */

static void credentials_are_checked(void **state)
{
	static char long256[257], long701[702];
	static const struct {
		const struct handshake_ops *ops;
		const char *user, *password;
	} wrong[] = {
		{ &http_handshake, "a:b", "" },	     { &http_handshake, "a\r\nX: y", "" },
		{ &http_handshake, "a", "b\n" },     { &http_handshake, "a\x7f", "b" },
		{ &http_handshake, long701, "b" },   { &http_handshake, "a", long701 },
		{ &socks5_handshake, "", "b" },	     { &socks5_handshake, long256, "b" },
		{ &socks5_handshake, "a", long256 }, { &socks5_handshake, "a\r", "b" },
		{ &socks4_handshake, "a", "b" },     { &socks4_handshake, long256, "" },
		{ &socks4_handshake, "a\n", "" },
	};

	(void)state;
	memset(long256, 'x', 256);
	memset(long701, 'x', 701);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const struct proxy p = { .user = (char *)wrong[i].user,
					 .password = (char *)wrong[i].password };

		assert_non_null(wrong[i].ops->check(&p));
	}
	long256[255] = '\0';
	begin(&socks5_handshake, &(struct proxy){ .user = long256, .password = long256 },
	      to_name("a", 1));
	feed(&socks5_handshake, B("\5\2"), 2);
	assert_int_equal(h.out_len, 4 + 3 + 2 * 255);
}

static void names_are_checked(void **state)
{
	static const char *const good[] = {
		"a",	    "example.org", "EXAMPLE.org.",	    "_x.y-z.0a",
		"1.2.3.4x", "0xg",	   "xn--bcher-kva.example", "a.b.c.d.e"
	};
	static const char *const bad[] = {
		"",    ".",	 "a..b",    ".a",    "a b",	   "a\r\nb", "a/b",
		"a:1", "[::1]",	 "1.2.3.4", "127.1", "2130706433", "0x7f.1", "a.0x7f",
		"0x",  "a.0X1.", "b\xfc.a", "a\\.b", "user@host",  "a.7"
	};
	char out[HANDSHAKE_NAME_MAX], text[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(handshake_take_name(good[i], out));
	assert_true(handshake_take_name("EXAMPLE.org.", out));
	assert_string_equal(out, "EXAMPLE.org");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(handshake_take_name(bad[i], out));
	memset(text, 'a', 64);
	text[64] = '\0';
	assert_false(handshake_take_name(text, out));
	text[63] = '\0';
	assert_true(handshake_take_name(text, out));
	for (size_t i = 0; i < 299; i++)
		text[i] = i % 50 == 49 ? '.' : 'a';
	text[253] = '\0';
	assert_true(handshake_take_name(text, out));
	text[253] = 'a';
	text[254] = '\0';
	assert_false(handshake_take_name(text, out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http_asks),
		cmocka_unit_test(http_encodes_credentials_of_any_length),
		cmocka_unit_test(http_has_room_for_the_longest),
		cmocka_unit_test(http_answers),
		cmocka_unit_test(http_headers_end_somewhere),
		cmocka_unit_test(http_interim_answers_end_somewhere),
		cmocka_unit_test(socks5_asks),
		cmocka_unit_test(socks5_answers),
		cmocka_unit_test(socks4_asks),
		cmocka_unit_test(socks4_answers),
		cmocka_unit_test(credentials_are_checked),
		cmocka_unit_test(names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
