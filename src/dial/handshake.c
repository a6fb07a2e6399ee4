#include "dial/handshake.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define LABEL_MAX 63

const struct handshake_ops *handshake_of(enum proxy_scheme scheme)
{
	static const struct handshake_ops *const dialects[] = {
		[PROXY_HTTP] = &http_handshake,	     [PROXY_HTTPS] = &http_handshake,
		[PROXY_SOCKS5] = &socks5_handshake,  [PROXY_SOCKS5H] = &socks5_handshake,
		[PROXY_SOCKS4A] = &socks4_handshake,
	};

	return dialects[scheme];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Whether inet_aton(3), which many proxies use, would read a name with this last label as an
 * address: it is a number, maybe a hexadecimal one. */
static bool is_number(const char *label)
{
	if (label[0] == '0' && ascii_lower(label[1]) == 'x')
		return strspn(label + 2, "0123456789abcdefABCDEF") == strlen(label + 2);
	return strspn(label, "0123456789") == strlen(label);
}

bool handshake_take_name(const char *text, char out[static HANDSHAKE_NAME_MAX])
{
	size_t len = strlen(text), label = 0;

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len >= HANDSHAKE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		out[i] = c;
		if (c == '.') {
			if (i == label)
				return false;
			label = i + 1;
			continue;
		}
		if (!is_digit(c) && !(ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') &&
		    c != '-' && c != '_')
			return false;
		if (i - label == LABEL_MAX)
			return false;
	}
	out[len] = '\0';
	return label < len && !is_number(out + label);
}

bool handshake_is_printable(const char *text, size_t max)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	}
	return len <= max;
}

void handshake_fail(struct handshake *h, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	h->err = err;
	h->state = HANDSHAKE_FAILED;
}

void handshake_say(struct handshake *h, const void *bytes, size_t len)
{
	assert(len <= sizeof(h->out) - h->out_len);
	memcpy(h->out + h->out_len, bytes, len);
	h->out_len += len;
}
