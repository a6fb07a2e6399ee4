/*
 * Theory of operation
 *
 * A ClientHello (RFC 8446 4.1.2, the same in all versions since TLS 1.0) may be spread over
 * records, and those over segments. The records' contents are put together anew each time
 * more has come; it is read when it is whole, because a second server name may stand anywhere
 * in it. What begins as a ClientHello and breaks the rules later shows no name; what doesn't
 * begin so is another protocol.
 *
 * The name seen is that of the outer hello: with ECH (RFC 9849) the inner one is encrypted.
 */
#include "flow/sniff.h"

#include <string.h>

#include "base/util.h"

#define RECORD_HEADER 5
#define RECORD_MAX 16384 /* RFC 8446 5.1 */
#define HANDSHAKE_HEADER 4
#define RANDOM 32
#define SESSION_ID_MAX 32

enum {
	RECORD_HANDSHAKE = 22,
	HANDSHAKE_CLIENT_HELLO = 1,
	EXTENSION_SERVER_NAME = 0, /* RFC 6066 3 */
	NAME_TYPE_HOST = 0,
};

/* --- a hello that is whole --- */

struct span {
	const uint8_t *at, *end;
};

static size_t span_len(const struct span *s)
{
	return s->end - s->at;
}

/* A number of so many octets. */
static bool take_number(struct span *s, int octets, size_t *out)
{
	if (span_len(s) < (size_t)octets)
		return false;
	*out = 0;
	while (octets--)
		*out = *out << 8 | *s->at++;
	return true;
}

/* A vector whose length stands in front in so many octets (RFC 8446 3.4). */
static bool take_vector(struct span *s, int octets, struct span *out)
{
	size_t len;

	if (!take_number(s, octets, &len) || len > span_len(s))
		return false;
	*out = (struct span){ s->at, s->at + len };
	s->at += len;
	return true;
}

/* The list has one entry in practice, and for us: servers differ in which of two they take. */
static enum sniff_result read_server_name(struct span ext, char *name)
{
	struct span list, host;
	size_t type;

	if (!take_vector(&ext, 2, &list) || span_len(&ext) ||
	    !take_number(&list, 1, &type) || !take_vector(&list, 2, &host))
		return SNIFF_NONE;
	if (type != NAME_TYPE_HOST || span_len(&list))
		return SNIFF_MISMATCH;
	return sniff_take_name(host.at, span_len(&host), name) ? SNIFF_NAME :
								 SNIFF_MISMATCH;
}

static enum sniff_result read_extensions(struct span exts, char *name)
{
	enum sniff_result result = SNIFF_NONE;
	bool seen = false;

	while (span_len(&exts)) {
		struct span ext;
		size_t type;

		if (!take_number(&exts, 2, &type) || !take_vector(&exts, 2, &ext))
			return SNIFF_NONE;
		if (type != EXTENSION_SERVER_NAME)
			continue;
		result = seen ? SNIFF_MISMATCH : read_server_name(ext, name);
		seen = true;
	}
	return result;
}

static enum sniff_result read_hello(struct span hello, char *name)
{
	struct span session, ciphers, compression, exts;

	if (span_len(&hello) < 2 + RANDOM)
		return SNIFF_NONE;
	hello.at += 2 + RANDOM;
	if (!take_vector(&hello, 1, &session) || span_len(&session) > SESSION_ID_MAX ||
	    !take_vector(&hello, 2, &ciphers) || !span_len(&ciphers) ||
	    span_len(&ciphers) % 2 || !take_vector(&hello, 1, &compression) ||
	    !span_len(&compression))
		return SNIFF_NONE;
	/* No extensions at all: as old as SSL 3.0. */
	if (!span_len(&hello) || !take_vector(&hello, 2, &exts) || span_len(&hello))
		return SNIFF_NONE;
	return read_extensions(exts, name);
}

/* --- records --- */

struct hello {
	size_t len;
	uint8_t b[SNIFF_MAX];
};

/* The hello's length with its header; 0 while that isn't there. */
static size_t hello_size(const struct hello *h)
{
	if (h->len < HANDSHAKE_HEADER)
		return 0;
	return HANDSHAKE_HEADER + (h->b[1] << 16 | h->b[2] << 8 | h->b[3]);
}

/* Whether these may be a record of a hello, as far as they are there. */
static bool is_record(const uint8_t *b, size_t len)
{
	size_t size = len < RECORD_HEADER ? 1 : b[3] << 8 | b[4];

	return (len < 1 || b[0] == RECORD_HANDSHAKE) && (len < 2 || b[1] == 3) && size &&
	       size <= RECORD_MAX;
}

enum sniff_result sniff_tls(const uint8_t *b, size_t len,
			    char name[static SNIFF_NAME_MAX])
{
	struct hello h;
	size_t size = 0;

	h.len = 0;
	len = MIN(len, (size_t)SNIFF_MAX);
	for (size_t at = 0; at < len;) {
		size_t record, n;

		if (!is_record(b + at, len - at))
			return h.len ? SNIFF_NONE : SNIFF_NOT_THIS_PROTOCOL;
		if (len - at < RECORD_HEADER)
			break;
		record = b[at + 3] << 8 | b[at + 4];
		at += RECORD_HEADER;
		n = MIN(record, len - at);
		memcpy(h.b + h.len, b + at, n);
		h.len += n;
		at += n;
		if (h.len && h.b[0] != HANDSHAKE_CLIENT_HELLO)
			return SNIFF_NOT_THIS_PROTOCOL;
		size = hello_size(&h);
		if (size > SNIFF_MAX)
			return SNIFF_NONE;
		if (size && h.len >= size)
			return read_hello((struct span){ h.b + HANDSHAKE_HEADER,
							 h.b + size },
					  name);
	}
	return len == SNIFF_MAX ? SNIFF_NONE : SNIFF_NEED_MORE;
}
