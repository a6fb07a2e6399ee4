/* Questions about names that are resolved at a proxy's other end. */
#ifndef FLOW_DNS_REMOTE_H
#define FLOW_DNS_REMOTE_H

#include <uv.h>

#include "dns/msg.h"
#include "dns/pool.h"
#include "flow/dialers.h"

struct remote_dns;
struct remote_ask;

struct remote_deps {
	uv_loop_t *loop;
	struct pool *pool;
	const struct dialers *dialers;
	struct endpoint server; /* is asked through the proxy; port 0: nobody is */
};

/* How a question was answered at once. */
struct remote_told {
	bool synthetic; /* by an address that stands for the name, or the name of one */
	int ede;	/* an Extended DNS Error, or MSG_NO_EDE */
};

/* NULL without memory. */
struct remote_dns *remote_dns_new(const struct remote_deps *deps);
/* All asks have ended or been cancelled; the timers of some close in the loop's next round. */
void remote_dns_free(struct remote_dns *r);

/*
 * Answers what can be answered without asking: addresses, from the pool, and whatever nobody
 * can be asked about, by nothing. Returns the reply's length, or 0 when remote_ask() is to be
 * called. max is at least MSG_UDP_PLAIN.
 */
size_t remote_answer(struct remote_dns *r, const struct msg_question *q, uint8_t *out,
		     size_t max, struct remote_told *told);

/* The names of the pool's addresses. Returns 0 when q doesn't ask for one. */
size_t remote_answer_ptr(const struct pool *pool, const struct msg_question *q,
			 uint8_t *out, size_t max, struct remote_told *told);

/* The server's answer, which msg_match_answer() has accepted; NULL when there is none. */
typedef void (*remote_fn)(void *ctx, const uint8_t *msg, size_t len);

/* Asks the server over TCP by the route. `done` is called once, never from within this call.
 * NULL when there are too many questions, or nobody can be asked. */
struct remote_ask *remote_ask(struct remote_dns *r, const struct msg_question *q,
			      enum route route, remote_fn done, void *ctx);
/* `done` won't be called any more. */
void remote_cancel(struct remote_ask *ask);

#endif
