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
/* Every dial has ended or been cancelled; the timers of some close in the loop's next round. */
void chain_free(struct chain *c);

#endif
