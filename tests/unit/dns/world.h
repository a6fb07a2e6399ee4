/* A resolver in a loop of its own with up to three name servers, for tests. */
#ifndef WORLD_H
#define WORLD_H

#include "dns/resolver.h"
#include "upstream.h"

struct world {
	uv_loop_t loop;
	uv_timer_t patience;
	struct resolver *r;
	struct upstream up[3];
	bool closed, impatient;
};

/* One ask and what came of it. */
struct result {
	struct resolver_ask *ask;
	int calls;
	uint8_t msg[4096];
	size_t len;
	uint64_t at_ms;
	uv_loop_t *loop;
};

/* A loop with a resolver whose servers are those given; NULL for none. */
struct world *world_new(upstream_fn first, upstream_fn second);
/* Closes all of it; the loop must then be empty. */
void world_free(struct world *w);
/* The question for a name's A records. */
struct msg_question world_question(const char *text);
/* The resolver's callback; ctx is the struct result. */
void world_on_answer(void *ctx, const uint8_t *msg, size_t len);
/* Asks; res->ask is NULL when that is refused. `server` may be NULL. */
void world_ask_at(struct world *w, struct result *res, const char *name,
		  const struct endpoint *server);
/* Asks our servers, which must be taken. */
void world_ask(struct world *w, struct result *res, const char *name);
/* Runs the loop until *calls is 1, and no longer than patience lasts. */
void world_run_until(struct world *w, const int *calls);
/* Asks our servers and runs until the answer has come. */
void world_ask_and_wait(struct world *w, struct result *res, const char *name);
/* The answer that came has this rcode and so many answer records. */
void world_expect(const struct result *res, enum msg_rcode rcode, int records);
/* Kinds of servers: one A record, nothing, TC over UDP and 200 A records over TCP. */
size_t world_good(struct upstream *u, const struct upstream_query *query, uint8_t *out);
size_t world_silent(struct upstream *u, const struct upstream_query *query, uint8_t *out);
size_t world_truncated(struct upstream *u, const struct upstream_query *query,
		       uint8_t *out);

#endif
