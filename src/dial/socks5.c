/*
 * SOCKS5 (RFC 1928), with user and password by RFC 1929. Each message of the proxy's has a
 * length that its first bytes tell; exactly that many are taken. Only a method that was
 * offered is accepted, and user and password leave us only after the proxy has chosen theirs.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "dial/handshake.h"

enum {
	STAGE_METHOD,
	STAGE_LOGIN,
	STAGE_REPLY,
};

enum {
	SOCKS_VERSION = 5,
	LOGIN_VERSION = 1,
	METHOD_NONE = 0,
	METHOD_LOGIN = 2,
	METHOD_NO_ONE = 0xff,
	COMMAND_CONNECT = 1,
	COMMAND_ASSOCIATE = 3,
	TYPE_IPV4 = 1,
	TYPE_NAME = 3,
	TYPE_IPV6 = 4,
};

static const char *check(const struct proxy *proxy)
{
	if (!proxy->user)
		return NULL;
	if (!proxy->user[0] || !handshake_is_printable(proxy->user, UINT8_MAX) ||
	    !handshake_is_printable(proxy->password, UINT8_MAX))
		return "user and password of a SOCKS5 proxy have up to 255 bytes and no "
		       "control characters";
	return NULL;
}

static void expect(struct handshake *h, unsigned stage, size_t bytes)
{
	h->socks.stage = stage;
	h->socks.have = 0;
	h->socks.need = bytes;
}

static void begin(struct handshake *h, const struct proxy *proxy,
		  const struct handshake_to *to)
{
	static const uint8_t without[] = { SOCKS_VERSION, 1, METHOD_NONE };
	static const uint8_t with[] = { SOCKS_VERSION, 2, METHOD_NONE, METHOD_LOGIN };

	h->state = HANDSHAKE_MORE;
	h->why[0] = '\0';
	h->out_len = 0;
	h->socks.proxy = proxy;
	h->socks.to = *to;
	if (proxy->user)
		handshake_say(h, with, sizeof(with));
	else
		handshake_say(h, without, sizeof(without));
	expect(h, STAGE_METHOD, 2);
}

static void say_counted(struct handshake *h, const char *text)
{
	uint8_t len = strlen(text);

	handshake_say(h, &len, 1);
	handshake_say(h, text, len);
}

static void log_in(struct handshake *h)
{
	const struct proxy *proxy = h->socks.proxy;
	const uint8_t version = LOGIN_VERSION;

	handshake_say(h, &version, 1);
	say_counted(h, proxy->user);
	say_counted(h, proxy->password);
	expect(h, STAGE_LOGIN, 2);
}

static void request(struct handshake *h)
{
	const struct handshake_to *to = &h->socks.to;
	const bool v4 = addr_is_v4(&to->addr);
	const uint8_t head[] = { SOCKS_VERSION,
				 to->datagrams ? COMMAND_ASSOCIATE : COMMAND_CONNECT, 0,
				 to->name[0] ? TYPE_NAME :
				 v4	     ? TYPE_IPV4 :
					       TYPE_IPV6 };
	const uint8_t port[] = { to->port >> 8, to->port & 0xff };

	handshake_say(h, head, sizeof(head));
	if (to->name[0])
		say_counted(h, to->name);
	else
		handshake_say(h, to->addr.b + (v4 ? 12 : 0), v4 ? 4 : 16);
	handshake_say(h, port, sizeof(port));
	/* Up to the first byte of the bound address, which may be its length. */
	expect(h, STAGE_REPLY, 5);
}

static void take_method(struct handshake *h, const uint8_t in[2])
{
	if (in[0] != SOCKS_VERSION)
		return handshake_fail(h, ECONNREFUSED, "what it answers isn't SOCKS5");
	if (in[1] == METHOD_NONE)
		return request(h);
	if (in[1] == METHOD_LOGIN && h->socks.proxy->user)
		return log_in(h);
	if (in[1] == METHOD_NO_ONE)
		return handshake_fail(h, ECONNREFUSED,
				      h->socks.proxy->user ?
					      "it takes no user and password" :
					      "it wants a user and a password");
	handshake_fail(h, ECONNREFUSED, "it chooses a method that we haven't offered");
}

static void take_login(struct handshake *h, const uint8_t in[2])
{
	if (in[0] != LOGIN_VERSION)
		return handshake_fail(h, ECONNREFUSED, "what it answers isn't SOCKS5");
	if (in[1])
		return handshake_fail(h, ECONNREFUSED,
				      "it refuses our user and password");
	request(h);
}

static void refuse(struct handshake *h, uint8_t reply)
{
	static const struct {
		int err;
		const char *text;
	} replies[] = {
		[1] = { ECONNREFUSED, "general failure" },
		[2] = { EACCES, "not allowed by its rules" },
		[3] = { ENETUNREACH, "network unreachable" },
		[4] = { EHOSTUNREACH, "host unreachable" },
		[5] = { ECONNREFUSED, "connection refused" },
		[6] = { EHOSTUNREACH, "TTL expired" },
		[7] = { ECONNREFUSED, "command not supported" },
		[8] = { ENETUNREACH, "address type not supported" },
	};

	if (reply == 7 && h->socks.to.datagrams)
		handshake_fail(h, EOPNOTSUPP, "it carries no datagrams");
	else if (reply < ARRAY_SIZE(replies))
		handshake_fail(h, replies[reply].err, "it says \"%s\" (%u)",
			       replies[reply].text, reply);
	else
		handshake_fail(h, ECONNREFUSED, "it refuses for the reason %u", reply);
}

/* The address that the proxy has bound is of no use to us, and the port only if datagrams go
 * there. */
static void take_reply(struct handshake *h, const uint8_t in[5])
{
	struct socks_state *s = &h->socks;

	if (s->have > 5) {
		s->bound_port = s->in[s->have - 2] << 8 | s->in[s->have - 1];
		h->state = HANDSHAKE_DONE;
		return;
	}
	switch (in[3]) {
	case TYPE_IPV4:
		s->need = 4 + 4 + 2;
		break;
	case TYPE_NAME:
		s->need = 5 + in[4] + 2;
		break;
	case TYPE_IPV6:
		s->need = 4 + 16 + 2;
		break;
	default:
		handshake_fail(h, ECONNREFUSED, "what it answers isn't SOCKS5");
	}
}

static void take(struct handshake *h)
{
	struct socks_state *s = &h->socks;

	if (s->stage == STAGE_METHOD)
		take_method(h, s->in);
	else if (s->stage == STAGE_LOGIN)
		take_login(h, s->in);
	else
		take_reply(h, s->in);
}

static size_t step(struct handshake *h, const uint8_t *in, size_t len)
{
	struct socks_state *s = &h->socks;
	size_t i = 0;

	while (i < len && h->state == HANDSHAKE_MORE) {
		s->in[s->have++] = in[i++];
		if (s->stage == STAGE_REPLY && s->have == 1 && s->in[0] != SOCKS_VERSION)
			handshake_fail(h, ECONNREFUSED, "what it answers isn't SOCKS5");
		/* Some close right behind a refusal's code. */
		else if (s->stage == STAGE_REPLY && s->have == 2 && s->in[1])
			refuse(h, s->in[1]);
		else if (s->have == s->need)
			take(h);
	}
	return i;
}

const struct handshake_ops socks5_handshake = { check, begin, step };
