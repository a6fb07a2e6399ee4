/* Of an ICMP query, what a message about it has to quote. */
#ifndef FLOW_PAST_H
#define FLOW_PAST_H

#include "base/echo.h"

struct past {
	uint16_t seq, ip_id, sum, len;
	uint8_t ttl, tos, code;
	bool dont_fragment;
};

static inline struct past past_of(const struct echo *query)
{
	return (struct past){
		.seq = query->seq,
		.ip_id = query->ip_id,
		.sum = query->sum,
		.len = query->len,
		.ttl = query->ttl,
		.tos = query->tos,
		.code = query->code,
		.dont_fragment = query->dont_fragment,
	};
}

/* Makes a query, of which a message brought the beginning, what it was, if that is known. */
static inline void past_restore(const struct past *p, struct echo *query)
{
	if (!p->ttl || p->seq != query->seq)
		return;
	query->len = p->len;
	query->ttl = p->ttl;
	query->tos = p->tos;
	query->code = p->code;
	query->dont_fragment = p->dont_fragment;
	query->ip_id = p->ip_id;
	query->sum = p->sum;
}

#endif
