/*
 * The name that a TCP client shows in its first bytes: a TLS ClientHello's server name, an
 * HTTP/1 request's Host. Pure functions over what has come so far; asked again with more.
 */
#ifndef FLOW_SNIFF_H
#define FLOW_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNIFF_MAX 16384	   /* no more than this is looked at */
#define SNIFF_NAME_MAX 254 /* 253 characters, RFC 1035 2.3.4 as text, and the NUL */

enum sniff_result {
	SNIFF_NEED_MORE, /* never with SNIFF_MAX bytes */
	SNIFF_NAME, /* a host name: lower-case ASCII without a last dot; or an address */
	SNIFF_MISMATCH, /* several, or none that could be one: whom they name is open */
	SNIFF_NONE,	/* the protocol, and it shows no name that we could read */
	SNIFF_NOT_THIS_PROTOCOL,
};

/* `name` is written with SNIFF_NAME only. */
enum sniff_result sniff_tls(const uint8_t *b, size_t len,
			    char name[static SNIFF_NAME_MAX]);
enum sniff_result sniff_http(const uint8_t *b, size_t len,
			     char name[static SNIFF_NAME_MAX]);
/* Whichever of them it is. */
enum sniff_result sniff_first_bytes(const uint8_t *b, size_t len,
				    char name[static SNIFF_NAME_MAX]);

/* Takes a host name as rules spell theirs. False when it isn't one: labels of letters, digits,
 * '-' and '_' (names in other scripts come as xn--), at most one dot behind the last. */
bool sniff_take_name(const uint8_t *text, size_t len, char name[static SNIFF_NAME_MAX]);

#endif
