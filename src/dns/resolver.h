/*
 * Asks upstream resolvers, without blocking: several servers, retries, TCP when an answer
 * is truncated. Needs no file to be readable.
 */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/addr.h"
#include "base/error.h"
#include "base/sockwatch.h"
#include "dns/msg.h"

#define RESOLVER_SERVERS_MAX 3	  /* as many as glibc uses (MAXNS in resolv.h) */
#define RESOLVER_QUERIES_MAX 1024 /* under way at once; beyond that we refuse */
#define RESOLVER_TIMEOUT_MS 10000 /* no question waits longer for its answer */

struct resolver;
struct resolver_ask;

/* The answer as it came from upstream (match it is checked, well-formed it is for
 * answer_reencode() to find out), valid in the call only; or NULL and 0 when none came.
 * May call resolver_ask() and resolver_cancel(), not resolver_close(). */
typedef void (*resolver_fn)(void *ctx, const uint8_t *answer, size_t len);

/* Has no servers at first. NULL with *err set on failure. */
struct resolver *resolver_new(uv_loop_t *loop, struct error *err);

/* Replaces the list, in order of preference; the first RESOLVER_SERVERS_MAX count. What is
 * under way goes on with the servers it has been sent to. */
void resolver_set_servers(struct resolver *r, const struct endpoint *servers, size_t n);

/* Its sockets are told of. */
void resolver_set_watch(struct resolver *r, struct sock_watch *watch);

/* The one that is asked first. False when there is none. */
bool resolver_first_server(const struct resolver *r, struct endpoint *out);

/*
 * Asks q of our servers, or of `server` alone if it isn't NULL. `done` is called once, never
 * from within this call. NULL when the question couldn't even be sent (no server, no route,
 * too many under way): `done` isn't called then.
 */
struct resolver_ask *resolver_ask(struct resolver *r, const struct msg_question *q,
				  const struct endpoint *server, resolver_fn done,
				  void *ctx);
/* `done` won't be called any more, and the ask is gone. Not after `done`. */
void resolver_cancel(struct resolver_ask *ask);

/* Cancels everything. `closed` (may be NULL) is called from the loop when the resolver's
 * last handle is closed and its memory freed. */
void resolver_close(struct resolver *r, void (*closed)(void *ctx), void *ctx);

#endif
