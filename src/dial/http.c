/*
 * CONNECT (RFC 9110 9.3.6). The answer is read byte by byte and never kept but for the
 * beginning of its current line, so its length costs nothing; all headers together may have
 * 16 KiB, interim answers are passed over, a few of them. Any 2xx opens the tunnel, whatever
 * Content-Length or Transfer-Encoding it has: RFC 9112 6.3 has them ignored.
 *
 * Credentials go out with the first request, as the Basic scheme (RFC 7617): waiting for the
 * challenge would cost a round trip and gain nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "dial/handshake.h"

#define CREDENTIAL_MAX 700 /* bytes of user and of password, so that `out` has room */
#define INTERIM_MAX 8

static const char *check(const struct proxy *proxy)
{
	if (!proxy->user)
		return NULL;
	if (strchr(proxy->user, ':'))
		return "a user of an HTTP proxy has no colon";
	if (!handshake_is_printable(proxy->user, CREDENTIAL_MAX) ||
	    !handshake_is_printable(proxy->password, CREDENTIAL_MAX))
		return "user and password have up to 700 bytes and no control characters";
	return NULL;
}

static size_t encode_base64(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";
	char *to = out;

	for (size_t i = 0; i < len; i += 3) {
		size_t n = MIN(len - i, 3u);
		uint32_t v = in[i] << 16 | (n > 1 ? in[i + 1] << 8 : 0) |
			     (n > 2 ? in[i + 2] : 0);

		*to++ = digits[v >> 18];
		*to++ = digits[v >> 12 & 63];
		*to++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*to++ = n > 2 ? digits[v & 63] : '=';
	}
	return to - out;
}

static void say_text(struct handshake *h, const char *text)
{
	handshake_say(h, text, strlen(text));
}

static void say_credentials(struct handshake *h, const struct proxy *proxy)
{
	char plain[2 * CREDENTIAL_MAX + 2], coded[(sizeof(plain) + 2) / 3 * 4];
	int len = snprintf(plain, sizeof(plain), "%s:%s", proxy->user, proxy->password);

	say_text(h, "Proxy-Authorization: Basic ");
	handshake_say(h, coded, encode_base64((uint8_t *)plain, len, coded));
	say_text(h, "\r\n");
	explicit_bzero(plain, sizeof(plain));
	explicit_bzero(coded, sizeof(coded));
}

static void begin(struct handshake *h, const struct proxy *proxy,
		  const struct handshake_to *to)
{
	char authority[HANDSHAKE_NAME_MAX + ENDPOINT_TEXT_MAX];

	h->state = HANDSHAKE_MORE;
	h->why[0] = '\0';
	h->out_len = 0;
	h->http = (struct http_state){ .has_credentials = proxy->user };
	if (to->name[0])
		snprintf(authority, sizeof(authority), "%s:%u", to->name, to->port);
	else
		endpoint_format(&(struct endpoint){ to->addr, to->port }, authority);
	say_text(h, "CONNECT ");
	say_text(h, authority);
	say_text(h, " HTTP/1.1\r\nHost: ");
	say_text(h, authority);
	say_text(h, "\r\nProxy-Connection: Keep-Alive\r\n");
	if (proxy->user)
		say_credentials(h, proxy);
	say_text(h, "\r\n");
}

/* The errno that says to the child what the proxy has said of the target. */
static int error_of(int code)
{
	switch (code) {
	case 403:
		return EACCES;
	case 504:
		return EHOSTUNREACH;
	default:
		return ECONNREFUSED;
	}
}

/* 401 is how tinyproxy says that they are wrong. */
static bool is_about_credentials(const struct http_state *s, int code)
{
	return code == 407 || (code == 401 && s->has_credentials);
}

static void want_credentials(struct handshake *h, int code)
{
	struct http_state *s = &h->http;
	bool foreign = s->scheme[0] && !s->basic;

	handshake_fail(h, ECONNREFUSED, "%s (%d)%s%s%s",
		       s->has_credentials ? "it refuses our user and password" :
					    "it wants a user and a password",
		       code, foreign ? ", by the scheme " : "", foreign ? s->scheme : "",
		       foreign ? ", which we don't speak" : "");
}

/* "HTTP/1.1 200 Connection established" */
static void take_status(struct handshake *h)
{
	struct http_state *s = &h->http;
	const char *digits = s->line + strlen("HTTP/1.1 ");

	for (int i = 0; i < 3; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return handshake_fail(h, ECONNREFUSED,
					      "what it answers isn't HTTP");
		s->code = s->code * 10 + digits[i] - '0';
	}
	if (digits[3] != ' ' && digits[3] != '\0')
		return handshake_fail(h, ECONNREFUSED, "what it answers isn't HTTP");
	s->in_headers = true;
	/* A switch of protocols is nothing that we have asked for. */
	if (s->code / 100 == 2 || is_about_credentials(s, s->code) ||
	    (s->code / 100 == 1 && s->code != 101))
		return;
	handshake_fail(h, error_of(s->code), "it says \"%.*s\"", 100, digits);
}

/* Of a 407: does it want what we can give? */
static void take_challenge(struct http_state *s)
{
	static const char name[] = "proxy-authenticate:";
	const char *value = s->line + strlen(name);
	size_t len;

	if (strncasecmp(s->line, name, strlen(name)) != 0)
		return;
	value += strspn(value, " \t");
	len = strcspn(value, " \t,");
	if (len == 5 && strncasecmp(value, "basic", 5) == 0)
		s->basic = true;
	else if (!s->scheme[0])
		snprintf(s->scheme, sizeof(s->scheme), "%.*s", (int)len, value);
}

static void end_headers(struct handshake *h)
{
	struct http_state *s = &h->http;
	int code = s->code;

	s->in_headers = false;
	s->code = 0;
	if (code / 100 == 2)
		h->state = HANDSHAKE_DONE;
	else if (is_about_credentials(s, code))
		want_credentials(h, code);
	else if (++s->interim > INTERIM_MAX)
		handshake_fail(h, ECONNREFUSED, "it never comes to its answer");
}

static void take_line(struct handshake *h)
{
	struct http_state *s = &h->http;
	size_t kept = MIN(s->line_len, sizeof(s->line) - 1);

	if (kept == s->line_len && kept && s->line[kept - 1] == '\r')
		kept = --s->line_len;
	s->line[kept] = '\0';
	for (char *cr = s->line; (cr = strchr(cr, '\r'));)
		*cr = '?';
	if (!s->in_headers)
		take_status(h);
	else if (!s->line_len)
		end_headers(h);
	else if (is_about_credentials(s, s->code))
		take_challenge(s);
	s->line_len = 0;
}

/* Every byte of "HTTP/1.x " is looked at as it comes: what isn't HTTP is not waited for. */
static bool begins_well(const struct http_state *s, uint8_t c)
{
	static const char begin[] = "HTTP/1.";
	size_t at = s->line_len;

	if (s->in_headers)
		return true;
	if (at < strlen(begin))
		return c == (uint8_t)begin[at];
	if (at == strlen(begin))
		return c == '0' || c == '1';
	return at > strlen(begin) + 1 ? c != '\n' || at >= strlen("HTTP/1.1 200") :
					c == ' ';
}

/* The line may be shown to people. */
static char showable(uint8_t c)
{
	if (c == '\t')
		return ' ';
	return (c < 0x20 && c != '\r') || c >= 0x7f ? '?' : c;
}

static size_t step(struct handshake *h, const uint8_t *in, size_t len)
{
	struct http_state *s = &h->http;
	size_t i = 0;

	while (i < len && h->state == HANDSHAKE_MORE) {
		uint8_t c = in[i++];

		if (++s->total > HANDSHAKE_HEADER_MAX) {
			handshake_fail(h, ECONNREFUSED,
				       "its headers are longer than 16 KiB");
		} else if (!c || !begins_well(s, c)) {
			handshake_fail(h, ECONNREFUSED, "what it answers isn't HTTP");
		} else if (c == '\n') {
			take_line(h);
		} else {
			if (s->line_len < sizeof(s->line) - 1)
				s->line[s->line_len] = showable(c);
			s->line_len++;
		}
	}
	return i;
}

const struct handshake_ops http_handshake = { check, begin, step };
