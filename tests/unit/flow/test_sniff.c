/* Names in first bytes: each row is read whole and byte by byte. */
#include "flow/sniff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define BYTES(text) text, sizeof(text) - 1

typedef enum sniff_result (*sniff_fn)(const uint8_t *b, size_t len,
				      char name[static SNIFF_NAME_MAX]);

struct row {
	const char *what, *text;
	size_t len;
	enum sniff_result result;
	const char *name; /* of SNIFF_NAME */
};

static enum sniff_result sniff_copy(sniff_fn fn, const void *b, size_t len, char *name)
{
	/* On the heap, so that a sanitizer sees a read past the end. */
	cleanup_free uint8_t *copy = malloc(MAX(len, 1u));

	assert_non_null(copy);
	memcpy(copy, b, len);
	return fn(copy, len, name);
}

/* What has been decided stays so, whatever comes; and what a part decides, the whole does. */
static void check(sniff_fn fn, const struct row *row)
{
	char name[SNIFF_NAME_MAX] = "", early[SNIFF_NAME_MAX] = "";
	enum sniff_result r = sniff_copy(fn, row->text, row->len, name), part;

	if (r != row->result)
		fail_msg("%s: is %d, not %d", row->what, r, row->result);
	if (r == SNIFF_NAME && strcmp(name, row->name))
		fail_msg("%s: is %s", row->what, name);
	for (size_t n = 0; n < row->len; n += n < 600 ? 1 : 97) {
		part = sniff_copy(fn, row->text, n, early);
		if (part != SNIFF_NEED_MORE &&
		    (part != r || (r == SNIFF_NAME && strcmp(name, early))))
			fail_msg("%s: %zu bytes are %d", row->what, n, part);
	}
}

static void test_names(void **state)
{
#define L63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"
#define L61 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678"
	static const struct {
		const char *text;
		size_t len;
		const char *name; /* NULL: it is none */
	} rows[] = {
		{ BYTES("a"), "a" },
		{ BYTES("WWW.Example.COM"), "www.example.com" },
		{ BYTES("www.example.com."), "www.example.com" },
		{ BYTES("_x-1.a--b"), "_x-1.a--b" },
		{ BYTES("xn--bcher-kva.example"), "xn--bcher-kva.example" },
		{ BYTES("192.0.2.1"), "192.0.2.1" },
		{ BYTES(L63 "." L63 "." L63 "." L61), L63 "." L63 "." L63 "." L61 },
		{ BYTES(L63 "." L63 "." L63 "." L61 "."), L63 "." L63 "." L63 "." L61 },
		{ BYTES(L63 "." L63 "." L63 "." L61 "x"), NULL },
		{ BYTES(L63 "x.com"), NULL },
		{ BYTES(""), NULL },
		{ BYTES("."), NULL },
		{ BYTES(".."), NULL },
		{ BYTES(".com"), NULL },
		{ BYTES("a..com"), NULL },
		{ BYTES("a.com.."), NULL },
		{ BYTES("a\0.com"), NULL },
		{ BYTES("a com"), NULL },
		{ BYTES("a.com "), NULL },
		{ BYTES("*.com"), NULL },
		{ BYTES("a.com/b"), NULL },
		{ BYTES("a.com:443"), NULL },
		{ BYTES("a@b.com"), NULL },
		{ BYTES("2001:db8::1"), NULL },
		{ BYTES("b\xc3\xbc"
			"cher.example"),
		  NULL },
		{ BYTES("a\x7f.com"), NULL },
	};
	char name[SNIFF_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const uint8_t *text = (const uint8_t *)rows[i].text;
		bool taken = sniff_take_name(text, rows[i].len, name);

		if (taken != (rows[i].name != NULL))
			fail_msg("row %zu, \"%s\"", i, rows[i].text);
		if (taken)
			assert_string_equal(name, rows[i].name);
	}
}

/* --- TLS --- */

#define RANDOM "0123456789abcdefghijklmnopqrstuv"
#define SUITES "\0\4\x13\1\x0a\x0a"
#define START "\3\3" RANDOM "\0" SUITES "\1\0"
#define SNI(ext, list, len, name) "\0\0\0" ext "\0" list "\0\0" len name
#define SNI_A SNI("\x0e", "\x0c", "\x09", "a.example")
#define GREASE "\x0a\x0a\0\0"
#define ALPN "\0\x10\0\5\0\3\2h2"
#define ECH "\xfe\x0d\0\4\0\1\2\3"

/* Bodies of ClientHellos, from the version on. */
static const struct row hellos[] = {
	{ "a server name", BYTES(START "\0\x12" SNI_A), SNIFF_NAME, "a.example" },
	{ "in capitals, with a dot",
	  BYTES(START "\0\x13" SNI("\x0f", "\x0d", "\x0a", "A.eXample.")), SNIFF_NAME,
	  "a.example" },
	{ "between others", BYTES(START "\0\x1f" GREASE ALPN SNI_A), SNIFF_NAME,
	  "a.example" },
	{ "in front of others", BYTES(START "\0\x1f" SNI_A ALPN GREASE), SNIFF_NAME,
	  "a.example" },
	{ "with ECH", BYTES(START "\0\x1a" ECH SNI_A), SNIFF_NAME, "a.example" },
	{ "a session to resume",
	  BYTES("\3\3" RANDOM "\x20" RANDOM SUITES "\1\0\0\x12" SNI_A), SNIFF_NAME,
	  "a.example" },
	{ "TLS 1.0", BYTES("\3\1" RANDOM "\0" SUITES "\1\0\0\x12" SNI_A), SNIFF_NAME,
	  "a.example" },
	{ "an address for a name",
	  BYTES(START "\0\x12" SNI("\x0e", "\x0c", "\x09", "192.0.2.1")), SNIFF_NAME,
	  "192.0.2.1" },
	{ "others only", BYTES(START "\0\x0d" GREASE ALPN), SNIFF_NONE, NULL },
	{ "no extensions", BYTES(START), SNIFF_NONE, NULL },
	{ "an empty list of extensions", BYTES(START "\0\0"), SNIFF_NONE, NULL },
	{ "twice", BYTES(START "\0\x24" SNI_A SNI_A), SNIFF_MISMATCH, NULL },
	{ "two names in one",
	  BYTES(START "\0\x16" SNI("\x12", "\x10", "\x09", "a.example") "\0\0\1b"),
	  SNIFF_MISMATCH, NULL },
	{ "another type of name",
	  BYTES(START "\0\x0a"
		      "\0\0\0\6\0\4\1\0\1a"),
	  SNIFF_MISMATCH, NULL },
	{ "a NUL in it", BYTES(START "\0\x12" SNI("\x0e", "\x0c", "\x09", "a.ex\0mple")),
	  SNIFF_MISMATCH, NULL },
	{ "not ASCII", BYTES(START "\0\x12" SNI("\x0e", "\x0c", "\x09", "a.ex\xc3mple")),
	  SNIFF_MISMATCH, NULL },
	{ "an empty name", BYTES(START "\0\x09" SNI("\5", "\3", "\0", "")),
	  SNIFF_MISMATCH, NULL },
	{ "an empty list of names", BYTES(START "\0\6\0\0\0\2\0\0"), SNIFF_NONE, NULL },
	{ "an empty server name", BYTES(START "\0\4\0\0\0\0"), SNIFF_NONE, NULL },
	{ "a list shorter than its extension",
	  BYTES(START "\0\x13" SNI("\x0f", "\x0c", "\x09", "a.example") "x"), SNIFF_NONE,
	  NULL },
	{ "a list longer than its extension",
	  BYTES(START "\0\x12" SNI("\x0e", "\x0d", "\x09", "a.example")), SNIFF_NONE,
	  NULL },
	{ "a name longer than its list",
	  BYTES(START "\0\x12" SNI("\x0e", "\x0c", "\x0a", "a.example")), SNIFF_NONE,
	  NULL },
	{ "an extension past the end",
	  BYTES(START "\0\x12" SNI("\x0f", "\x0c", "\x09", "a.example")), SNIFF_NONE,
	  NULL },
	{ "extensions past the end", BYTES(START "\0\x13" SNI_A), SNIFF_NONE, NULL },
	{ "a byte behind", BYTES(START "\0\x12" SNI_A "x"), SNIFF_NONE, NULL },
	{ "half an extension", BYTES(START "\0\x15" SNI_A "\0\1\0"), SNIFF_NONE, NULL },
	{ "a long session id",
	  BYTES("\3\3" RANDOM "\x21" RANDOM "x" SUITES "\1\0\0\x12" SNI_A), SNIFF_NONE,
	  NULL },
	{ "no suites", BYTES("\3\3" RANDOM "\0\0\0\1\0\0\x12" SNI_A), SNIFF_NONE, NULL },
	{ "half a suite", BYTES("\3\3" RANDOM "\0\0\3\x13\1\2\1\0\0\x12" SNI_A),
	  SNIFF_NONE, NULL },
	{ "no compression", BYTES("\3\3" RANDOM "\0" SUITES "\0\0\x12" SNI_A), SNIFF_NONE,
	  NULL },
	{ "half a random", BYTES("\3\3 0123"), SNIFF_NONE, NULL },
	{ "nothing", BYTES(""), SNIFF_NONE, NULL },
};

/* Wraps a hello in records of at most `step` bytes. */
static size_t in_records(const struct row *hello, size_t step, uint8_t *out)
{
	uint8_t whole[SNIFF_MAX] = { 1, 0, hello->len >> 8, hello->len & 255 };
	size_t len = 4 + hello->len;
	uint8_t *to = out;

	memcpy(whole + 4, hello->text, hello->len);
	for (size_t at = 0; at < len; at += step) {
		size_t n = MIN(step, len - at);
		uint8_t header[] = { 22, 3, 1, n >> 8, n & 255 };

		to = mempcpy(mempcpy(to, header, 5), whole + at, n);
	}
	return to - out;
}

static void test_hellos(void **state)
{
	static const size_t steps[] = { 16384, 1, 2, 3, 4, 5, 40, 70 };
	static uint8_t records[6 * SNIFF_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hellos); i++)
		for (size_t k = 0; k < ARRAY_SIZE(steps); k++) {
			struct row row = hellos[i];

			row.text = (const char *)records;
			row.len = in_records(&hellos[i], steps[k], records);
			check(sniff_tls, &row);
			check(sniff_first_bytes, &row);
		}
}

#define RECORD "\x16\3\1"

static void test_records(void **state)
{
	static const struct row rows[] = {
		{ "nothing", BYTES(""), SNIFF_NEED_MORE, NULL },
		{ "a byte", BYTES("\x16"), SNIFF_NEED_MORE, NULL },
		{ "half a header", BYTES(RECORD "\0"), SNIFF_NEED_MORE, NULL },
		{ "a header", BYTES(RECORD "\2\0"), SNIFF_NEED_MORE, NULL },
		{ "half a hello", BYTES(RECORD "\2\0\1\0\1\xfc\3\3"), SNIFF_NEED_MORE,
		  NULL },
		{ "an alert", BYTES("\x15\3\1\0\2\1\0"), SNIFF_NOT_THIS_PROTOCOL, NULL },
		{ "application data", BYTES("\x17\3\3\0\1x"), SNIFF_NOT_THIS_PROTOCOL,
		  NULL },
		{ "another handshake message", BYTES(RECORD "\0\4\2\0\0\0"),
		  SNIFF_NOT_THIS_PROTOCOL, NULL },
		{ "SSL 2.0", BYTES("\x80\x2e\1\3\1\0\x15"), SNIFF_NOT_THIS_PROTOCOL,
		  NULL },
		{ "version 4", BYTES("\x16\4\1\0\4\1\0\0\0"), SNIFF_NOT_THIS_PROTOCOL,
		  NULL },
		{ "an empty record", BYTES(RECORD "\0\0"), SNIFF_NOT_THIS_PROTOCOL,
		  NULL },
		{ "a record of 16385", BYTES(RECORD "\x40\1\1\0\0\0"),
		  SNIFF_NOT_THIS_PROTOCOL, NULL },
		{ "an alert inside", BYTES(RECORD "\0\5\1\0\0\x30\3\x15\3\1\0\2\1\0"),
		  SNIFF_NONE, NULL },
		{ "an empty record inside",
		  BYTES(RECORD "\0\5\1\0\0\x30\3" RECORD "\0\0"), SNIFF_NONE, NULL },
		{ "a hello of 16 MiB", BYTES(RECORD "\2\0\1\xff\xff\xff"), SNIFF_NONE,
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(sniff_tls, &rows[i]);
}

/* A hello as large as may be seen, and one that isn't whole by then. */
static void test_large_hellos(void **state)
{
	static char body[SNIFF_MAX];
	static uint8_t records[2 * SNIFF_MAX];
	struct row row = { .what = "large", .text = body, .len = SNIFF_MAX - 9 };
	size_t start = sizeof(START) - 1, rest = row.len - start - 2;
	size_t pad = rest - (sizeof(SNI_A) - 1) - 4;
	char *to;
	size_t len;
	char name[SNIFF_NAME_MAX];

	(void)state;
	to = mempcpy(body, START, start);
	*to++ = rest >> 8;
	*to++ = rest & 255;
	*to++ = 0;
	*to++ = 21; /* padding, RFC 7685 */
	*to++ = pad >> 8;
	*to++ = pad & 255;
	memcpy(to + pad, SNI_A, sizeof(SNI_A) - 1);
	len = in_records(&row, 16384, records);
	assert_int_equal(len, SNIFF_MAX);
	row = (struct row){ "large", (char *)records, len, SNIFF_NAME, "a.example" };
	check(sniff_tls, &row);
	/* The same in two records is longer than what is looked at. */
	row = (struct row){ .text = body, .len = SNIFF_MAX - 9 };
	len = in_records(&row, 10000, records);
	assert_int_equal(sniff_tls(records, SNIFF_MAX - 1, name), SNIFF_NEED_MORE);
	assert_int_equal(sniff_tls(records, SNIFF_MAX, name), SNIFF_NONE);
	assert_int_equal(sniff_tls(records, len, name), SNIFF_NONE);
}

/* --- HTTP --- */

#define GET "GET / HTTP/1.1\r\n"

static const struct row requests[] = {
	{ "Host", BYTES(GET "Host: a.example\r\n\r\n"), SNIFF_NAME, "a.example" },
	{ "in capitals", BYTES(GET "HOST: A.Example.\r\n\r\n"), SNIFF_NAME, "a.example" },
	{ "no blank", BYTES(GET "host:a.example\r\n\r\n"), SNIFF_NAME, "a.example" },
	{ "many blanks", BYTES(GET "host:\t  a.example \t\r\n\r\n"), SNIFF_NAME,
	  "a.example" },
	{ "a port", BYTES(GET "Host: a.example:8080\r\n\r\n"), SNIFF_NAME, "a.example" },
	{ "an empty port", BYTES(GET "Host: a.example:\r\n\r\n"), SNIFF_NAME,
	  "a.example" },
	{ "an IPv4 address", BYTES(GET "Host: 192.0.2.1:80\r\n\r\n"), SNIFF_NAME,
	  "192.0.2.1" },
	{ "an IPv6 address", BYTES(GET "Host: [2001:DB8:0::1]\r\n\r\n"), SNIFF_NAME,
	  "2001:db8::1" },
	{ "an IPv6 address with a port", BYTES(GET "Host: [2001:db8::1]:80\r\n\r\n"),
	  SNIFF_NAME, "2001:db8::1" },
	{ "among others",
	  BYTES(GET "User-Agent: x\r\nHost: a.example\r\nX-Host: b\r\n\r\nHost: c"),
	  SNIFF_NAME, "a.example" },
	{ "a body that looks like a header",
	  BYTES("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 7\r\n\r\n"
		"Host: b\r\n\r\n"),
	  SNIFF_NAME, "a.example" },
	{ "HTTP/1.0", BYTES("HEAD /x HTTP/1.0\r\nHost: a.example\r\n\r\n"), SNIFF_NAME,
	  "a.example" },
	{ "an unknown method", BYTES("M-SEARCH * HTTP/1.1\r\nHost: a.example\r\n\r\n"),
	  SNIFF_NAME, "a.example" },
	{ "LF alone", BYTES("GET / HTTP/1.1\nHost: a.example\n\n"), SNIFF_NAME,
	  "a.example" },
	{ "blank lines in front", BYTES("\r\n\n" GET "Host: a.example\r\n\r\n"),
	  SNIFF_NAME, "a.example" },
	{ "absolute form, alone", BYTES("GET http://a.example/x HTTP/1.1\r\n\r\n"),
	  SNIFF_NAME, "a.example" },
	{ "absolute form and Host",
	  BYTES("GET HTTP://A.example:80?x HTTP/1.1\r\nHost: a.example\r\n\r\n"),
	  SNIFF_NAME, "a.example" },
	{ "CONNECT", BYTES("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n"),
	  SNIFF_NAME, "a.example" },
	{ "CONNECT, alone", BYTES("CONNECT a.example:443 HTTP/1.1\r\n\r\n"), SNIFF_NAME,
	  "a.example" },
	{ "a URL in the query",
	  BYTES("GET /?u=http://b/ HTTP/1.1\r\nHost: a.example\r\n\r\n"), SNIFF_NAME,
	  "a.example" },

	{ "no Host", BYTES("GET / HTTP/1.0\r\nAccept: *\r\n\r\n"), SNIFF_NONE, NULL },
	{ "an empty Host", BYTES(GET "Host:  \r\n\r\n"), SNIFF_NONE, NULL },
	{ "HTTP/2", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), SNIFF_NONE, NULL },
	{ "HTTP/2, as if it were 1", BYTES("GET / HTTP/2.0\r\nHost: a.example\r\n\r\n"),
	  SNIFF_NONE, NULL },

	{ "twice", BYTES(GET "Host: a.example\r\nHost: b.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "twice the same", BYTES(GET "Host: a.example\r\nhost: a.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "absolute form, another Host",
	  BYTES("GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "CONNECT, another Host",
	  BYTES("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "absolute form, empty Host",
	  BYTES("GET http://a.example/ HTTP/1.1\r\nHost:\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },
	{ "absolute form with a user",
	  BYTES("GET http://a.example@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "absolute form without a host", BYTES("GET http:///x HTTP/1.1\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "folded", BYTES(GET "Host: a.example\r\n b.example\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },
	{ "folded in front", BYTES(GET " Host: b.example\r\nHost: a.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "folded by a tab", BYTES(GET "X: y\r\n\tHost: b\r\nHost: a.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "a blank before the colon", BYTES(GET "Host : a.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "two in one", BYTES(GET "Host: a.example, b.example\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },
	{ "CR inside", BYTES(GET "X: y\rHost: b.example\r\nHost: a.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "NUL inside", BYTES(GET "Host: a.example\0.b\r\n\r\n"), SNIFF_MISMATCH, NULL },
	{ "CR in the target", BYTES("GET /\r HTTP/1.1\r\nHost: a.example\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "a port that is none", BYTES(GET "Host: a.example:8x\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },
	{ "two ports", BYTES(GET "Host: a.example:80:81\r\n\r\n"), SNIFF_MISMATCH, NULL },
	{ "IPv6 without brackets", BYTES(GET "Host: 2001:db8::1\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },
	{ "half a literal", BYTES(GET "Host: [2001:db8::1\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },
	{ "no literal", BYTES(GET "Host: [a.example]\r\n\r\n"), SNIFF_MISMATCH, NULL },
	{ "text behind a literal", BYTES(GET "Host: [2001:db8::1]x\r\n\r\n"),
	  SNIFF_MISMATCH, NULL },
	{ "NUL in a literal", BYTES(GET "Host: [2001:db8::1\0]\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },
	{ "a path", BYTES(GET "Host: a.example/b\r\n\r\n"), SNIFF_MISMATCH, NULL },
	{ "not ASCII", BYTES(GET "Host: \xc3\xbc.example\r\n\r\n"), SNIFF_MISMATCH,
	  NULL },

	{ "SSH", BYTES("SSH-2.0-OpenSSH_9.2\r\n"), SNIFF_NOT_THIS_PROTOCOL, NULL },
	{ "Redis", BYTES("*1\r\n$4\r\nPING\r\n"), SNIFF_NOT_THIS_PROTOCOL, NULL },
	{ "IRC", BYTES("NICK a\r\nUSER a 0 * :a\r\n"), SNIFF_NOT_THIS_PROTOCOL, NULL },
	{ "HTTP/0.9", BYTES("GET /\r\n"), SNIFF_NOT_THIS_PROTOCOL, NULL },
	{ "RTSP", BYTES("OPTIONS * RTSP/1.0\r\nHost: a\r\n\r\n"), SNIFF_NOT_THIS_PROTOCOL,
	  NULL },
	{ "a long first word", BYTES("ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n"),
	  SNIFF_NOT_THIS_PROTOCOL, NULL },
	{ "a blank in front", BYTES(" " GET), SNIFF_NOT_THIS_PROTOCOL, NULL },
	{ "five blank lines", BYTES("\n\n\n\n\n" GET), SNIFF_NOT_THIS_PROTOCOL, NULL },
	{ "bytes", BYTES("\0\0\0\x08\4\xd2\x16\x2f"), SNIFF_NOT_THIS_PROTOCOL, NULL },

	{ "nothing", BYTES(""), SNIFF_NEED_MORE, NULL },
	{ "half a blank line", BYTES("\r"), SNIFF_NEED_MORE, NULL },
	{ "half a method", BYTES("GE"), SNIFF_NEED_MORE, NULL },
	{ "half a request line", BYTES("GET / HTTP/1.1"), SNIFF_NEED_MORE, NULL },
	{ "half a header", BYTES(GET "Host: a.exam"), SNIFF_NEED_MORE, NULL },
	{ "no empty line yet", BYTES(GET "Host: a.example\r\n"), SNIFF_NEED_MORE, NULL },
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		check(sniff_http, &requests[i]);
		check(sniff_first_bytes, &requests[i]);
	}
}

static void test_large_requests(void **state)
{
	static char text[SNIFF_MAX + 16];
	char name[SNIFF_NAME_MAX];
	const uint8_t *b = (const uint8_t *)text;
	struct row row = { "large", text, SNIFF_MAX, SNIFF_NAME, "a.example" };

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, BYTES(GET "Host: a.example\r\nX: "));
	memcpy(text + SNIFF_MAX - 4, "\r\n\r\n", 4);
	check(sniff_http, &row);
	/* One byte more is too many. */
	memcpy(text + SNIFF_MAX - 4, "x\r\n\r\n", 5);
	assert_int_equal(sniff_http(b, SNIFF_MAX - 1, name), SNIFF_NEED_MORE);
	assert_int_equal(sniff_http(b, SNIFF_MAX, name), SNIFF_NONE);
	assert_int_equal(sniff_http(b, SNIFF_MAX + 1, name), SNIFF_NONE);
	/* A request line without an end. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET /", 5);
	assert_int_equal(sniff_http(b, SNIFF_MAX - 1, name), SNIFF_NEED_MORE);
	assert_int_equal(sniff_http(b, SNIFF_MAX, name), SNIFF_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_hellos),
		cmocka_unit_test(test_records),	 cmocka_unit_test(test_large_hellos),
		cmocka_unit_test(test_requests), cmocka_unit_test(test_large_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
