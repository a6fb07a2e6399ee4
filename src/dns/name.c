#include "dns/name.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define LABEL_MAX 63	  /* RFC 1035 2.3.4 */
#define POINTER_BITS 0xc0 /* RFC 1035 4.1.4; 0x40 and 0x80 are no label types any more */
#define POINTERS_MAX 127  /* as many as a name can have labels */
#define HEADER 12	  /* no name stands in a message's header */

/* Copies the labels at off until the root label or a pointer. Returns the offset of what
 * comes then, or 0 when they are malformed. */
static size_t read_labels(const uint8_t *msg, size_t len, size_t off, struct name *out)
{
	while (off < len && msg[off] && !(msg[off] & POINTER_BITS)) {
		size_t n = 1 + msg[off];

		/* One octet is kept for the root label. */
		if (n > len - off || out->len + n > NAME_MAX_OCTETS - 1)
			return 0;
		memcpy(out->b + out->len, msg + off, n);
		out->len += n;
		off += n;
	}
	return off < len ? off : 0;
}

static bool name_end(struct name *out)
{
	out->b[out->len++] = 0;
	return true;
}

bool name_read(const uint8_t *msg, size_t len, size_t *off, struct name *out)
{
	size_t start = *off, at = start;
	bool jumped = false;

	out->len = 0;
	for (int pointers = 0; pointers <= POINTERS_MAX; pointers++) {
		size_t to;

		at = read_labels(msg, len, at, out);
		if (!at)
			return false;
		if (!jumped)
			*off = at + (msg[at] ? 2 : 1);
		if (!msg[at])
			return name_end(out);
		if ((msg[at] & POINTER_BITS) != POINTER_BITS || len - at < 2)
			return false;
		to = (msg[at] & ~POINTER_BITS) << 8 | msg[at + 1];
		/* Before the run of labels that it ends: it can't come round again. */
		if (to >= start || to < HEADER)
			return false;
		start = at = to;
		jumped = true;
	}
	return false;
}

bool name_read_plain(const uint8_t *msg, size_t len, size_t *off, struct name *out)
{
	size_t at;

	out->len = 0;
	at = read_labels(msg, len, *off, out);
	if (!at || msg[at])
		return false;
	*off = at + 1;
	return name_end(out);
}

/* Length octets are below 'A', so a name can be lowered as one string. */
static bool octets_eq(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

bool name_eq(const struct name *a, const struct name *b)
{
	return a->len == b->len && octets_eq(a->b, b->b, a->len);
}

bool name_is_below(const struct name *n, const struct name *parent)
{
	size_t at = 0;

	if (!parent->len)
		return false;
	while (n->len - at > parent->len)
		at += 1 + n->b[at];
	return n->len - at == parent->len && octets_eq(n->b + at, parent->b, parent->len);
}

struct name name_lower(const struct name *n)
{
	struct name out = { .len = n->len };

	for (size_t i = 0; i < n->len; i++)
		out.b[i] = ascii_lower(n->b[i]);
	return out;
}

/* One octet of a label, escaped or not (RFC 4343 2.1). Returns the text behind it, or NULL. */
static const char *read_octet(const char *t, uint8_t *out)
{
	unsigned v = 0;

	if (*t != '\\') {
		*out = *t;
		return t + 1;
	}
	t++;
	if (!*t)
		return NULL;
	if (*t < '0' || *t > '9') {
		*out = *t;
		return t + 1;
	}
	for (int i = 0; i < 3; i++, t++) {
		if (*t < '0' || *t > '9')
			return NULL;
		v = v * 10 + (*t - '0');
	}
	*out = v;
	return v > 255 ? NULL : t;
}

bool name_from_text(const char *text, struct name *out)
{
	out->len = 0;
	if (!strcmp(text, "."))
		return name_end(out);
	while (*text) {
		size_t label = out->len;
		size_t n = 0;

		while (*text && *text != '.') {
			/* Room for the length in front and the root label behind. */
			if (n == LABEL_MAX || label + 1 + n >= NAME_MAX_OCTETS - 1)
				return false;
			text = read_octet(text, &out->b[label + 1 + n++]);
			if (!text)
				return false;
		}
		if (!n)
			return false;
		out->b[label] = n;
		out->len = label + 1 + n;
		text += *text == '.';
	}
	return out->len && name_end(out);
}

static char *write_octet(char *t, uint8_t c)
{
	if (c <= ' ' || c > '~')
		return t + sprintf(t, "\\%03u", c);
	if (c == '.' || c == '\\')
		*t++ = '\\';
	*t++ = c;
	return t;
}

const char *name_to_text(const struct name *n, char out[static NAME_TEXT_MAX])
{
	char *t = out;
	size_t at = 0;

	while (at + 1 < n->len) {
		size_t end = at + 1 + n->b[at];

		if (at)
			*t++ = '.';
		while (++at < end)
			t = write_octet(t, n->b[at]);
	}
	if (n->len == 1)
		*t++ = '.';
	*t = '\0';
	return out;
}

/* The number in a label of decimal digits, without a leading zero; -1 when it isn't one. */
static int label_decimal(const uint8_t *label)
{
	int v = 0;

	if (!label[0] || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return -1;
	for (int i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -1;
		v = v * 10 + (label[i] - '0');
	}
	return v > 255 ? -1 : v;
}

static int label_nibble(const uint8_t *label)
{
	static const char digits[] = "0123456789abcdef";
	const char *at;

	if (label[0] != 1)
		return -1;
	at = memchr(digits, ascii_lower(label[1]), 16);
	return at ? at - digits : -1;
}

static bool from_in_addr(const struct name *n, size_t end, struct addr *out)
{
	uint8_t raw[4];
	size_t at = 0;

	for (int i = 3; i >= 0; i--) {
		int v = at < end ? label_decimal(n->b + at) : -1;

		if (v < 0)
			return false;
		raw[i] = v;
		at += 1 + n->b[at];
	}
	*out = addr_from_v4(raw);
	return at == end;
}

static bool from_ip6(const struct name *n, size_t end, struct addr *out)
{
	uint8_t raw[16] = { 0 };

	if (end != 64) /* 32 labels of one digit */
		return false;
	for (int i = 0; i < 32; i++) {
		int v = label_nibble(n->b + 2 * i);

		if (v < 0)
			return false;
		raw[15 - i / 2] |= v << (i % 2 * 4);
	}
	*out = addr_from_v6(raw);
	return true;
}

bool name_to_addr(const struct name *n, struct addr *out)
{
	static const struct name in_addr = { 14, "\7in-addr\4arpa" };
	static const struct name ip6 = { 10, "\3ip6\4arpa" };

	if (name_is_below(n, &in_addr))
		return from_in_addr(n, n->len - in_addr.len, out);
	if (name_is_below(n, &ip6))
		return from_ip6(n, n->len - ip6.len, out);
	return false;
}
