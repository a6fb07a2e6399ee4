#include "base/addr.h"

#include <arpa/inet.h>

#include "base/decimal.h"

bool addr_prefix_eq(const struct addr *a, const struct addr *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	return memcmp(a->b, b->b, bytes) == 0 &&
	       (!rest || (a->b[bytes] ^ b->b[bytes]) >> (8 - rest) == 0);
}

struct addr_range addr_prefix_range(const struct addr *a, unsigned bits)
{
	struct addr_range r = { *a, *a };

	for (unsigned i = bits / 8; i < 16; i++) {
		uint8_t free = i == bits / 8 ? 0xff >> bits % 8 : 0xff;

		r.first.b[i] &= ~free;
		r.last.b[i] |= free;
	}
	return r;
}

struct addr addr_from_v4(const void *four_bytes)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.b + 12, four_bytes, 4);
	return a;
}

struct addr addr_from_v6(const void *sixteen_bytes)
{
	struct addr a;

	memcpy(a.b, sixteen_bytes, 16);
	return a;
}

bool addr_parse(const char *text, struct addr *out)
{
	uint8_t raw[16];

	if (inet_pton(AF_INET, text, raw) == 1)
		*out = addr_from_v4(raw);
	else if (inet_pton(AF_INET6, text, raw) == 1)
		*out = addr_from_v6(raw);
	else
		return false;
	return true;
}

static char *put_decimal(char *out, unsigned value)
{
	return out + decimal_put(value, out);
}

static const char *format_v4(const uint8_t b[4], char out[static ADDR_TEXT_MAX])
{
	char *at = out;

	for (int i = 0; i < 4; i++) {
		at = put_decimal(at, b[i]);
		*at++ = i < 3 ? '.' : '\0';
	}
	return out;
}

const char *addr_format(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
	if (addr_is_v4(a))
		return format_v4(a->b + 12, out);
	return inet_ntop(AF_INET6, a->b, out, ADDR_TEXT_MAX);
}

const char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_TEXT_MAX])
{
	bool v4 = addr_is_v4(&e->addr);
	char *at = out;

	if (!v4)
		*at++ = '[';
	at += strlen(addr_format(&e->addr, at));
	if (!v4)
		*at++ = ']';
	*at++ = ':';
	*put_decimal(at, e->port) = '\0';
	return out;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	if (addr_is_v4(&e->addr)) {
		struct sockaddr_in *in = (void *)out;

		*in = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_port = htons(e->port) };
		memcpy(&in->sin_addr, e->addr.b + 12, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)out;

	*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
				      .sin6_port = htons(e->port) };
	memcpy(&in6->sin6_addr, e->addr.b, 16);
	return sizeof(*in6);
}

bool endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		out->addr = addr_from_v4(&in->sin_addr);
		out->port = ntohs(in->sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		out->addr = addr_from_v6(&in6->sin6_addr);
		out->port = ntohs(in6->sin6_port);
		return true;
	}
	return false;
}
