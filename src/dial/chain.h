/* Dials a target through a chain of proxies; one proxy is a chain of one. */
#ifndef DIAL_CHAIN_H
#define DIAL_CHAIN_H

#include <uv.h>

#include "base/dialer.h"
#include "base/error.h"
#include "base/proxy.h"
#include "base/resolve.h"
#include "dial/sock.h"
#include "dial/tls.h"

struct chain_deps {
	uv_loop_t *loop;
	struct sock_set *socks;
	struct resolve *resolve; /* of a first proxy that is given by name */
	struct tls_trust *tls;	 /* may be NULL when none is https */
	unsigned timeout_ms;	 /* for all of it, from connect() to the last answer */
};

struct chain;

/* The proxies must live on. NULL with *err set when they can't be a chain. */
struct chain *chain_new(const struct chain_deps *deps, const struct proxy *proxies,
			size_t count, struct error *err);
struct dialer *chain_dialer(struct chain *c);

/* The connection that keeps a relay for datagrams alive, and the relay's port; or NULL with an
 * errno (EOPNOTSUPP: the proxy has none) and a sentence. Never from within chain_associate(). */
typedef void (*chain_relay_fn)(void *ctx, struct channel *control, uint16_t port, int err,
			       const char *why);
/* Asks for one. The chain is one SOCKS5 proxy. NULL without memory. */
struct dial *chain_associate(struct chain *c, chain_relay_fn done, void *ctx);
void chain_cancel(struct dial *dial);

/* Every dial has ended or been cancelled; the timers of some close in the loop's next round. */
void chain_free(struct chain *c);

#endif
