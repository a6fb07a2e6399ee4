/* The proxies of a run: as the command line names them, then as a dialer in the engine. */
#ifndef CMD_PROXIES_H
#define CMD_PROXIES_H

#include <uv.h>

#include "base/error.h"
#include "cmd/engine.h"
#include "dial/chain.h"
#include "dns/lookup.h"

/* Plain memory of the engine's. */
struct proxies {
	struct proxy_list list; /* the strings are the config's */
	struct hosts *hosts;
	struct lookup lookup;
	struct tls_trust *trust;
	struct chain *chain;
};

/* Whether the host's /etc/hosts has to be read: where the first proxy is, it may say. */
bool proxies_need_hosts(const struct config *cfg);
/* A command that is forced through proxies needn't know of others: unsets *_proxy. */
void proxies_clean_environment(void);

/* Opens everything that is needed; without a proxy that is nothing. */
int proxies_prepare(struct proxies *p, const struct engine_setup *setup, uv_loop_t *loop,
		    struct sock_set *socks, struct resolver *resolver, struct error *err);
/* NULL without a proxy. */
struct dialer *proxies_dialer(const struct proxies *p);
/* When all flows are closed, and the resolver is not yet. */
void proxies_free(struct proxies *p);

#endif
