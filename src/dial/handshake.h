/*
 * What is said to a proxy before it lets bytes pass, as step functions over bytes: no socket,
 * no clock. A dialect says what it wants to in `out`, and steps through what comes. It takes
 * no byte behind its own last one: those are the tunnel's.
 */
#ifndef DIAL_HANDSHAKE_H
#define DIAL_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/proxy.h"

#define HANDSHAKE_NAME_MAX 254 /* of a host, with the NUL */
#define HANDSHAKE_OUT_MAX 4096
#define HANDSHAKE_WHY_MAX 160
#define HANDSHAKE_LINE_MAX 128
#define HANDSHAKE_HEADER_MAX 16384 /* bytes of all HTTP headers together */

/* Where the proxy is to connect to: the name if there is one, else the address. */
struct handshake_to {
	char name[HANDSHAKE_NAME_MAX]; /* by handshake_take_name(), or empty */
	struct addr addr;
	uint16_t port;
	bool datagrams; /* of SOCKS5: no connection, but a relay for datagrams is wanted */
};

enum handshake_state {
	HANDSHAKE_MORE, /* waits for bytes */
	HANDSHAKE_DONE, /* what comes now is the tunnel's */
	HANDSHAKE_FAILED,
};

struct http_state {
	bool in_headers, has_credentials, basic;
	int code;
	unsigned interim; /* responses before the final one */
	size_t total, line_len;
	char line[HANDSHAKE_LINE_MAX]; /* the beginning of the line that is being read */
	char scheme[24];	       /* of the first challenge that we can't answer */
};

struct socks_state {
	unsigned stage;
	size_t have, need;
	uint8_t in[264];
	const struct proxy *proxy;
	struct handshake_to to;
	uint16_t bound_port; /* when it is done */
};

struct handshake {
	enum handshake_state state;
	int err;		     /* of HANDSHAKE_FAILED: the errno for the child */
	char why[HANDSHAKE_WHY_MAX]; /* and the reason, or "" */
	uint8_t out[HANDSHAKE_OUT_MAX];
	size_t out_len; /* bytes to be sent; who has sent them all makes it 0 */
	union {
		struct http_state http;
		struct socks_state socks;
	};
};

struct handshake_ops {
	/* What is wrong with the proxy's user and password for this dialect, or NULL. */
	const char *(*check)(const struct proxy *proxy);
	/* Begins. The proxy has passed the check and must live on. */
	void (*begin)(struct handshake *h, const struct proxy *proxy,
		      const struct handshake_to *to);
	/* Takes bytes in state HANDSHAKE_MORE and returns how many. */
	size_t (*step)(struct handshake *h, const uint8_t *in, size_t len);
};

extern const struct handshake_ops http_handshake, socks5_handshake, socks4_handshake;

/* The dialect of a scheme. */
const struct handshake_ops *handshake_of(enum proxy_scheme scheme);

/* Copies a host's name without its last dot. False when it is none that may be given to a
 * proxy: odd characters, too long, or one that programs take for an address ("127.1"). */
bool handshake_take_name(const char *text, char out[static HANDSHAKE_NAME_MAX]);

/* Whether text is free of control characters and no longer than max bytes. */
bool handshake_is_printable(const char *text, size_t max);

/* For the dialects: ends the handshake. */
void handshake_fail(struct handshake *h, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Appends to what is to be sent; there is room. */
void handshake_say(struct handshake *h, const void *bytes, size_t len);

#endif
