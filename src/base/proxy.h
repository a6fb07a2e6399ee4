/* One proxy as a URL names it. Plain data: config makes it, dialers read it. */
#ifndef BASE_PROXY_H
#define BASE_PROXY_H

#include <stddef.h>

#include "base/addr.h"

enum proxy_scheme {
	PROXY_HTTP,
	PROXY_HTTPS,
	PROXY_SOCKS5,  /* names are resolved here */
	PROXY_SOCKS5H, /* names are resolved by the proxy */
	PROXY_SOCKS4A,
};

struct proxy {
	enum proxy_scheme scheme;
	char *host; /* a name in ASCII, or an address without brackets */
	bool is_addr;
	struct addr addr; /* of a host that is one */
	uint16_t port;
	char *user, *password; /* decoded; NULL when the URL has none */
};

/* A chain: the first is reached directly, each other one through those before it. */
struct proxy_list {
	struct proxy *proxies;
	size_t count, room;
};

#endif
