/* The proxies of a run: as the command line names them, then as a dialer in the engine. */
#ifndef CMD_PROXIES_H
#define CMD_PROXIES_H

#include <uv.h>

#include "base/error.h"
#include "cmd/engine.h"
#include "dial/chain.h"
#include "dial/socks5_udp.h"
#include "dns/lookup.h"
#include "dns/pool.h"
#include "flow/dialers.h"

/* Plain memory of the engine's. */
struct proxies {
	struct proxy_list list; /* the strings are the config's */
	struct hosts *hosts;
	struct lookup lookup;
	struct tls_trust *trust;
	struct chain *chains[ROUTE_BLOCK]; /* by enum route */
	struct socks5_relayer *relayers[ROUTE_BLOCK];
};

/* Whether the host's /etc/hosts has to be read: where the first proxy is, it may say. */
bool proxies_need_hosts(const struct config *cfg);
/* A command that is forced through proxies needn't know of others: unsets *_proxy. */
void proxies_clean_environment(void);

/* Opens everything that is needed; without a proxy that is nothing. */
int proxies_prepare(struct proxies *p, const struct engine_setup *setup, uv_loop_t *loop,
		    struct sock_set *socks, struct resolver *resolver, struct error *err);
/* Enters those that lead through proxies. */
void proxies_enter(const struct proxies *p, struct dialers *dialers);
/* What the policy has to know of them. */
void proxies_tell_policy(const struct config *cfg, struct policy *policy);
/* The addresses that stand for names, or NULL when none will be needed. */
int proxies_make_pool(const struct config *cfg, uint64_t seed, struct pool **pool,
		      struct error *err);
/* Makes the relayers of datagrams, `capacity` relays each, where proxies may have some. */
int proxies_prepare_relays(struct proxies *p, const struct config *cfg,
			   struct sock_set *socks, size_t capacity, struct error *err);
/* When all flows are closed, and the resolver is not yet. */
void proxies_free(struct proxies *p);

#endif
