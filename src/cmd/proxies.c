#include "cmd/proxies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool proxies_need_hosts(const struct config *cfg)
{
	const struct proxy_list *own = &cfg->routes.own;

	if (cfg->proxies.count && !cfg->proxies.proxies[0].is_addr)
		return true;
	for (size_t i = 0; i < own->count; i++)
		if (!own->proxies[i].is_addr)
			return true;
	return false;
}

void proxies_clean_environment(void)
{
	static const char suffix[] = "_proxy";

	for (char **variable = environ; *variable;) {
		size_t len = strcspn(*variable, "=");
		cleanup_free char *name = strndup(*variable, len);

		if (name && len >= strlen(suffix) &&
		    strcasecmp(name + len - strlen(suffix), suffix) == 0 &&
		    unsetenv(name) == 0)
			continue; /* the next one has moved up */
		variable++;
	}
}

/* A copy of the list with the credentials that options give; config_check() has seen to it
 * that they are for the one proxy there is. */
static int copy_list(struct proxies *p, const struct config *cfg, struct error *err)
{
	struct proxy *proxies = calloc(cfg->proxies.count, sizeof(*proxies));

	if (!proxies)
		return error_set(err, ENOMEM, "plan the proxies");
	memcpy(proxies, cfg->proxies.proxies, cfg->proxies.count * sizeof(*proxies));
	if (cfg->proxy_user)
		proxies[0].user = cfg->proxy_user;
	if (cfg->proxy_password)
		proxies[0].password = cfg->proxy_password;
	p->list = (struct proxy_list){ proxies, cfg->proxies.count, cfg->proxies.count };
	return 0;
}

static bool any_https(const struct proxy_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->proxies[i].scheme == PROXY_HTTPS)
			return true;
	return false;
}

/* One for --proxy, and one for each URL of a route. */
static int make_chains(struct proxies *p, const struct config *cfg,
		       const struct chain_deps *deps, struct error *err)
{
	const struct proxy_list *own = &cfg->routes.own;

	if (p->list.count) {
		p->chains[ROUTE_PROXY] = chain_new(deps, p->list.proxies, p->list.count,
						   err);
		if (!p->chains[ROUTE_PROXY])
			return -1;
	}
	for (size_t i = 0; i < own->count; i++) {
		struct chain **c = &p->chains[ROUTE_OWN + i];

		*c = chain_new(deps, &own->proxies[i], 1, err);
		if (!*c)
			return error_wrap(err, "--route");
	}
	return 0;
}

int proxies_prepare(struct proxies *p, const struct engine_setup *setup, uv_loop_t *loop,
		    struct sock_set *socks, struct resolver *resolver, struct error *err)
{
	const struct config *cfg = setup->cfg;
	struct chain_deps deps = { .loop = loop,
				   .socks = socks,
				   .resolve = &p->lookup.resolve,
				   .timeout_ms = cfg->connect_timeout_ms };
	struct hosts_bad bad;

	*p = (struct proxies){ 0 };
	if (cfg->proxies.count && copy_list(p, cfg, err) < 0)
		return -1;
	if (setup->host_hosts_text) {
		p->hosts = hosts_parse(setup->host_hosts_text, setup->host_hosts_len,
				       &bad, err);
		if (!p->hosts)
			return -1;
	}
	lookup_init(&p->lookup, loop, resolver, p->hosts);
	if (any_https(&p->list) || any_https(&cfg->routes.own)) {
		p->trust = tls_trust_new(cfg->proxy_insecure, err);
		if (!p->trust)
			return -1;
	}
	deps.tls = p->trust;
	return make_chains(p, cfg, &deps, err);
}

void proxies_enter(const struct proxies *p, struct dialers *dialers)
{
	for (size_t i = ROUTE_PROXY; i < ARRAY_SIZE(p->chains); i++) {
		if (p->chains[i])
			dialers->by_route[i] = chain_dialer(p->chains[i]);
		if (p->relayers[i])
			dialers->relayers[i] = socks5_relayer(p->relayers[i]);
	}
}

static bool is_socks5(const struct proxy *p)
{
	return p->scheme == PROXY_SOCKS5 || p->scheme == PROXY_SOCKS5H;
}

/* A relay of datagrams is spoken to directly, so it has to be the only proxy. */
static uint64_t udp_routes(const struct config *cfg)
{
	const struct proxy_list *own = &cfg->routes.own;
	uint64_t routes = 0;

	if (cfg->proxies.count == 1 && is_socks5(&cfg->proxies.proxies[0]))
		routes |= 1ull << ROUTE_PROXY;
	for (size_t i = 0; i < own->count; i++)
		if (is_socks5(&own->proxies[i]))
			routes |= 1ull << (ROUTE_OWN + i);
	return routes;
}

int proxies_prepare_relays(struct proxies *p, const struct config *cfg,
			   struct sock_set *socks, size_t capacity, struct error *err)
{
	uint64_t routes = udp_routes(cfg);

	for (size_t i = ROUTE_PROXY; i < ARRAY_SIZE(p->relayers); i++) {
		if (!(routes >> i & 1))
			continue;
		p->relayers[i] = socks5_relayer_new(p->chains[i], socks->poller,
						    socks->watch, capacity);
		if (!p->relayers[i])
			return error_set(err, ENOMEM, "relay datagrams");
	}
	return 0;
}

/* Who resolves the names of a chain is its last proxy. */
static uint64_t name_routes(const struct config *cfg)
{
	const struct proxy_list *own = &cfg->routes.own, *all = &cfg->proxies;
	uint64_t routes = 0;

	if (cfg->proxy_only || cfg->proxy_dns == PROXY_DNS_REMOTE)
		return ~0ull;
	if (cfg->proxy_dns == PROXY_DNS_LOCAL)
		return 0;
	if (all->count && all->proxies[all->count - 1].scheme != PROXY_SOCKS5)
		routes |= 1ull << ROUTE_PROXY;
	for (size_t i = 0; i < own->count; i++)
		if (own->proxies[i].scheme != PROXY_SOCKS5)
			routes |= 1ull << (ROUTE_OWN + i);
	return routes;
}

void proxies_tell_policy(const struct config *cfg, struct policy *policy)
{
	policy->proxy = cfg->proxies.count;
	policy->proxy_only = cfg->proxy_only;
	policy->proxy_udp_direct = cfg->proxy_udp == PROXY_UDP_DIRECT;
	policy->udp_routes = udp_routes(cfg);
	policy->name_routes = name_routes(cfg);
}

static struct pool_range range_of(const struct config *cfg, bool v4, const char *text,
				  unsigned prefix)
{
	struct pool_range range = { .prefix = prefix };

	for (size_t i = 0; i < cfg->proxy_dns_range.count; i++) {
		const struct rule *r = &cfg->proxy_dns_range.rules[i];

		if (addr_is_v4(&r->network) == v4)
			return (struct pool_range){ r->network, r->prefix };
	}
	addr_parse(text, &range.network);
	return range;
}

int proxies_make_pool(const struct config *cfg, uint64_t seed, struct pool **pool,
		      struct error *err)
{
	/* Benchmarking, RFC 2544; and unique local, RFC 4193. */
	struct pool_range v4 = range_of(cfg, true, "198.18.0.0", 96 + 15);
	struct pool_range v6 = range_of(cfg, false, "fdcf:1918::", 64);

	*pool = NULL;
	if ((!cfg->proxies.count && !cfg->routes.own.count) || !name_routes(cfg))
		return 0;
	*pool = pool_new(&v4, &v6, seed);
	return *pool ? 0 : error_set(err, ENOMEM, "make a pool of addresses");
}

void proxies_free(struct proxies *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->chains); i++) {
		socks5_relayer_free(p->relayers[i]);
		chain_free(p->chains[i]);
	}
	tls_trust_free(p->trust);
	hosts_free(p->hosts);
	free(p->list.proxies);
}
