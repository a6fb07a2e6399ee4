/*
 * ICMP queries of the child, as a backend sees them: messages that carry an identifier and a
 * sequence number, echo requests above all, and what comes back for them.
 */
#ifndef BASE_ECHO_H
#define BASE_ECHO_H

#include <stddef.h>

#include "base/neterror.h"

/* One message. Of a query `data` is valid in the call only. */
struct echo {
	struct addr child, peer;
	uint8_t type, code;
	uint16_t id, seq; /* host order */
	const void *data; /* what follows them */
	size_t len;
	uint8_t ttl, tos;
	bool dont_fragment;  /* IPv4's DF; always for IPv6 that came in one piece */
	uint16_t ip_id, sum; /* as they stand in the headers, in network order */
};

struct echo_near;

struct echo_near_ops {
	/* To the child, from e->peer; `sum` and `ip_id` don't count. */
	void (*reply)(struct echo_near *n, const struct echo *e);
	/* Tells what became of a query, the present one or an earlier one: of its data the
	 * first `known` bytes are there. */
	void (*error)(struct echo_near *n, const struct echo *query, size_t known,
		      const struct neterror *e);
};

/* The backend's side; lives as long as the backend. */
struct echo_near {
	const struct echo_near_ops *ops;
};

typedef void (*echo_fn)(void *ctx, struct echo_near *n, const struct echo *query);

enum {
	ECHO_REQUEST4 = 8,
	ECHO_REQUEST6 = 128,
};

/* The type that answers a query's; -1: it is no query, or none with an identifier. (Plain
 * numbers, since the system's and lwIP's names for them exclude each other.) */
static inline int echo_reply_type(bool v4, uint8_t query)
{
	static const uint8_t rows[][3] = {
		{ 4, 8, 0 },	 /* echo (RFC 792) */
		{ 4, 13, 14 },	 /* time stamp */
		{ 4, 15, 16 },	 /* information */
		{ 4, 17, 18 },	 /* address mask (RFC 950) */
		{ 4, 42, 43 },	 /* extended echo (RFC 8335) */
		{ 6, 128, 129 }, /* echo (RFC 4443) */
		{ 6, 160, 161 }, /* extended echo */
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i][0] == (v4 ? 4 : 6) && rows[i][1] == query)
			return rows[i][2];
	return -1;
}

#endif
