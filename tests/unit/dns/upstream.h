/* A name server for tests, in the test's own loop: UDP and TCP on one port of 127.0.0.1. */
#ifndef UPSTREAM_H
#define UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/addr.h"
#include "dns/msg.h"

#define UPSTREAM_SEEN_MAX 4096

struct upstream;

struct upstream_query {
	struct msg_question q; /* q.asked is the spelling that came */
	const uint8_t *msg;
	size_t len;
	uint16_t port; /* it came from */
	bool tcp;
};

/* Writes the answer to out (MSG_MAX) and returns its length; 0 for silence. May set
 * u->delay_ms for this one answer over UDP. */
typedef size_t (*upstream_fn)(struct upstream *u, const struct upstream_query *query,
			      uint8_t *out);

struct upstream {
	uv_udp_t udp;
	uv_tcp_t tcp;
	struct endpoint at;
	upstream_fn answer;
	unsigned delay_ms;
	unsigned udp_count, tcp_count;
	/* Of the first queries over UDP. */
	uint16_t ids[UPSTREAM_SEEN_MAX], ports[UPSTREAM_SEEN_MAX];
	char in[MSG_MAX];
	uint8_t out[2 + MSG_MAX];
};

void upstream_open(struct upstream *u, uv_loop_t *loop, upstream_fn answer);
/* The handles close in the loop's next round. */
void upstream_close(struct upstream *u);

/* The query's header and question as an answer with `flags` and rcode, and n A records
 * 192.0.2.x. OPT if the query has one. */
size_t upstream_reply(const struct upstream_query *query, uint16_t flags, int n,
		      uint8_t *out);

#endif
