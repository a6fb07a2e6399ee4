#include "cmd/proxies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool proxies_need_hosts(const struct config *cfg)
{
	return cfg->proxies.count && !cfg->proxies.proxies[0].is_addr;
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

int proxies_prepare(struct proxies *p, const struct engine_setup *setup, uv_loop_t *loop,
		    struct sock_set *socks, struct resolver *resolver, struct error *err)
{
	const struct config *cfg = setup->cfg;
	struct hosts_bad bad;

	*p = (struct proxies){ 0 };
	if (!cfg->proxies.count)
		return 0;
	if (copy_list(p, cfg, err) < 0)
		return -1;
	if (setup->host_hosts_text) {
		p->hosts = hosts_parse(setup->host_hosts_text, setup->host_hosts_len,
				       &bad, err);
		if (!p->hosts)
			return -1;
	}
	lookup_init(&p->lookup, loop, resolver, p->hosts);
	if (any_https(&p->list)) {
		p->trust = tls_trust_new(cfg->proxy_insecure, err);
		if (!p->trust)
			return -1;
	}
	p->chain = chain_new(
		&(struct chain_deps){ .loop = loop,
				      .socks = socks,
				      .resolve = &p->lookup.resolve,
				      .tls = p->trust,
				      .timeout_ms = cfg->connect_timeout_ms },
		p->list.proxies, p->list.count, err);
	return p->chain ? 0 : -1;
}

struct dialer *proxies_dialer(const struct proxies *p)
{
	return p->chain ? chain_dialer(p->chain) : NULL;
}

void proxies_free(struct proxies *p)
{
	chain_free(p->chain);
	tls_trust_free(p->trust);
	hosts_free(p->hosts);
	free(p->list.proxies);
}
