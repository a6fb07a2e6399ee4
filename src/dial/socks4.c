/*
 * SOCKS4 and its extension 4A, by which the proxy is given a name. It knows no IPv6 and no
 * password. An IPv6 address goes as a name, which most that know 4A understand.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "dial/handshake.h"

enum {
	SOCKS_VERSION = 4,
	COMMAND_CONNECT = 1,
	GRANTED = 90,
	REPLY_BYTES = 8,
};

static const char *check(const struct proxy *proxy)
{
	if (!proxy->user)
		return NULL;
	if (proxy->password[0])
		return "SOCKS4 knows no password: leave it empty";
	if (!handshake_is_printable(proxy->user, UINT8_MAX))
		return "the user of a SOCKS4 proxy has up to 255 bytes and no control "
		       "characters";
	return NULL;
}

static void begin(struct handshake *h, const struct proxy *proxy,
		  const struct handshake_to *to)
{
	static const uint8_t name_follows[] = { 0, 0, 0, 1 };
	const bool v4 = !to->name[0] && addr_is_v4(&to->addr);
	const uint8_t head[] = { SOCKS_VERSION, COMMAND_CONNECT, to->port >> 8,
				 to->port & 0xff };
	const char *user = proxy->user ? proxy->user : "";
	char text[ADDR_TEXT_MAX];
	const char *name = to->name[0] ? to->name : addr_format(&to->addr, text);

	h->state = HANDSHAKE_MORE;
	h->why[0] = '\0';
	h->out_len = 0;
	h->socks.have = 0;
	handshake_say(h, head, sizeof(head));
	handshake_say(h, v4 ? to->addr.b + 12 : name_follows, 4);
	handshake_say(h, user, strlen(user) + 1);
	if (!v4)
		handshake_say(h, name, strlen(name) + 1);
}

static void take_reply(struct handshake *h)
{
	uint8_t code = h->socks.in[1];

	if (code == GRANTED)
		h->state = HANDSHAKE_DONE;
	else if (code == 92 || code == 93)
		handshake_fail(h, ECONNREFUSED, "it refuses our user (%u)", code);
	else if (code == 91)
		handshake_fail(h, ECONNREFUSED, "it refuses, or has failed (91)");
	else
		handshake_fail(h, ECONNREFUSED, "what it answers isn't SOCKS4");
}

static size_t step(struct handshake *h, const uint8_t *in, size_t len)
{
	struct socks_state *s = &h->socks;
	size_t i = 0;

	while (i < len && h->state == HANDSHAKE_MORE) {
		s->in[s->have++] = in[i++];
		/* The reply's version is 0, and 4 with some. */
		if (s->have == 1 && s->in[0] != 0 && s->in[0] != SOCKS_VERSION)
			handshake_fail(h, ECONNREFUSED, "what it answers isn't SOCKS4");
		else if (s->have == REPLY_BYTES)
			take_reply(h);
	}
	return i;
}

const struct handshake_ops socks4_handshake = { check, begin, step };
