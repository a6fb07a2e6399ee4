/*
 * Theory of operation
 *
 * The header section of an HTTP/1 request (RFC 9112) is read when it is whole, because a second
 * Host may stand anywhere in it. Servers differ in what they make of odd ones: folded lines,
 * Host twice, a blank before its colon, a target with an authority that isn't Host's. Such
 * requests are not understood the way some server might; they are a mismatch.
 *
 * Lenient where all servers agree: blank lines in front, lines that end in LF alone.
 */
#include "flow/sniff.h"

#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/util.h"

#define METHOD_MAX 24 /* the longest that is registered has 17 */
#define BLANK_LINES_MAX 4

struct text {
	const uint8_t *at, *end;
};

static size_t text_len(const struct text *t)
{
	return t->end - t->at;
}

static bool text_is(const struct text *t, const char *word)
{
	return text_len(t) == strlen(word) &&
	       !strncasecmp((const char *)t->at, word, text_len(t));
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct text trim(struct text t)
{
	while (text_len(&t) && is_blank(*t.at))
		t.at++;
	while (text_len(&t) && is_blank(t.end[-1]))
		t.end--;
	return t;
}

/* RFC 9110 5.6.2 */
static bool is_token_octet(uint8_t c)
{
	return c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

/* The next line without its end; false when it isn't whole. */
static bool take_line(struct text *rest, struct text *line)
{
	const uint8_t *lf = memchr(rest->at, '\n', text_len(rest));

	if (!lf)
		return false;
	*line = (struct text){ rest->at, lf };
	rest->at = lf + 1;
	if (text_len(line) && line->end[-1] == '\r')
		line->end--;
	return true;
}

/* CR and NUL inside a line: an end for some. */
static bool has_other_ends(const struct text *line)
{
	return memchr(line->at, '\r', text_len(line)) ||
	       memchr(line->at, '\0', text_len(line));
}

/* --- host and port --- */

static bool is_port(struct text t)
{
	if (!text_len(&t))
		return true;
	if (*t.at++ != ':')
		return false;
	for (; text_len(&t); t.at++)
		if (*t.at < '0' || *t.at > '9')
			return false;
	return true;
}

static bool take_literal(struct text t, char *name)
{
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	if (text_len(&t) >= sizeof(text))
		return false;
	*(char *)mempcpy(text, t.at, text_len(&t)) = '\0';
	if (!addr_parse(text, &addr))
		return false;
	addr_format(&addr, name);
	return true;
}

/* "host", "host:port", "[IPv6]:port" (RFC 3986 3.2). */
static bool take_authority(struct text t, char *name)
{
	bool is_literal = text_len(&t) && *t.at == '[';
	const uint8_t *end = memchr(t.at, is_literal ? ']' : ':', text_len(&t));

	if (is_literal)
		return end && is_port((struct text){ end + 1, t.end }) &&
		       take_literal((struct text){ t.at + 1, end }, name);
	if (!end)
		end = t.end;
	return is_port((struct text){ end, t.end }) &&
	       sniff_take_name(t.at, end - t.at, name);
}

/* --- the request line --- */

struct request {
	bool whole;
	bool has_authority; /* in its target */
	struct text authority;
};

/* Takes the method. False when there can be none; all is taken when it isn't whole. */
static bool take_method(struct text *rest, struct text *method)
{
	method->at = rest->at;
	for (; text_len(rest); rest->at++) {
		if (*rest->at == ' ' && rest->at > method->at)
			break;
		if (!is_token_octet(*rest->at) || rest->at - method->at == METHOD_MAX)
			return false;
	}
	method->end = rest->at;
	return true;
}

/* Takes what stands behind the last blank, as "HTTP/1.1"; SNIFF_NEED_MORE if it is that. */
static enum sniff_result take_version(struct text *line)
{
	const uint8_t *at;

	*line = trim(*line);
	at = line->end;
	while (at > line->at && !is_blank(at[-1]))
		at--;
	if (at == line->at || line->end - at != 8 || memcmp(at, "HTTP/", 5) ||
	    at[6] != '.')
		return SNIFF_NOT_THIS_PROTOCOL;
	line->end = at;
	*line = trim(*line);
	return at[5] == '1' ? SNIFF_NEED_MORE : SNIFF_NONE;
}

/* The authority in a target of absolute form, RFC 9112 3.2.2; or the whole, for CONNECT. */
static void read_target(struct request *r, const struct text *method, struct text target)
{
	const uint8_t *at = target.at;

	r->has_authority = text_is(method, "CONNECT");
	r->authority = target;
	if (r->has_authority)
		return;
	while (at < target.end && *at != ':' && *at != '/' && *at != '?')
		at++;
	if (target.end - at < 3 || memcmp(at, "://", 3))
		return;
	r->has_authority = true;
	r->authority.at = at += 3;
	while (at < target.end && !memchr("/?#\\ \t", *at, 6))
		at++;
	r->authority.end = at;
}

static void skip_blank_lines(struct text *rest)
{
	for (int i = 0; i < BLANK_LINES_MAX && text_len(rest); i++) {
		if (*rest->at == '\n')
			rest->at++;
		else if (*rest->at == '\r' && text_len(rest) > 1 && rest->at[1] == '\n')
			rest->at += 2;
		else
			return;
	}
}

/* SNIFF_NEED_MORE: it is HTTP/1 as far as it goes; r->whole tells whether that is all of it. */
static enum sniff_result read_request_line(struct text *rest, struct request *r)
{
	enum sniff_result result;
	struct text method, line;

	skip_blank_lines(rest);
	if (!text_len(rest) || (text_len(rest) == 1 && *rest->at == '\r'))
		return SNIFF_NEED_MORE;
	if (!take_method(rest, &method))
		return SNIFF_NOT_THIS_PROTOCOL;
	if (!text_len(rest) || !take_line(rest, &line))
		return SNIFF_NEED_MORE;
	result = take_version(&line);
	if (result != SNIFF_NEED_MORE)
		return result;
	r->whole = true;
	read_target(r, &method, line);
	return has_other_ends(&line) ? SNIFF_MISMATCH : SNIFF_NEED_MORE;
}

/* --- the headers --- */

struct headers {
	bool whole, has_host, odd;
	struct text host;
};

static void read_header(struct headers *h, const struct text *line)
{
	const uint8_t *colon = memchr(line->at, ':', text_len(line));
	struct text name = { line->at, colon }, trimmed;

	/* A folded line: it could be read as the last one's end or as a header. */
	h->odd |= is_blank(*line->at) || has_other_ends(line);
	if (!colon)
		return;
	trimmed = trim(name);
	if (!text_is(&trimmed, "Host"))
		return;
	h->odd |= text_len(&trimmed) != text_len(&name) || h->has_host;
	h->has_host = true;
	h->host = trim((struct text){ colon + 1, line->end });
}

static struct headers read_headers(struct text rest)
{
	struct headers h = { .whole = false };
	struct text line;

	while (!h.whole && !h.odd && take_line(&rest, &line)) {
		if (text_len(&line))
			read_header(&h, &line);
		else
			h.whole = true;
	}
	return h;
}

static enum sniff_result judge(const struct request *r, const struct headers *h,
			       char name[static SNIFF_NAME_MAX])
{
	char other[SNIFF_NAME_MAX];

	if (!r->has_authority) {
		if (!h->has_host || !text_len(&h->host))
			return SNIFF_NONE;
		return take_authority(h->host, name) ? SNIFF_NAME : SNIFF_MISMATCH;
	}
	if (!take_authority(r->authority, name))
		return SNIFF_MISMATCH;
	if (h->has_host && (!take_authority(h->host, other) || strcmp(name, other)))
		return SNIFF_MISMATCH;
	return SNIFF_NAME;
}

enum sniff_result sniff_http(const uint8_t *b, size_t len,
			     char name[static SNIFF_NAME_MAX])
{
	struct text rest = { b, b + MIN(len, (size_t)SNIFF_MAX) };
	struct request r = { .whole = false };
	enum sniff_result result = read_request_line(&rest, &r);
	struct headers h = { .whole = false };

	if (result != SNIFF_NEED_MORE)
		return result;
	if (r.whole)
		h = read_headers(rest);
	if (h.odd)
		return SNIFF_MISMATCH;
	if (h.whole)
		return judge(&r, &h, name);
	return len >= SNIFF_MAX ? SNIFF_NONE : SNIFF_NEED_MORE;
}
