/* The engine's rooms, joined before it is confined. */
#include "cmd/engine_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/log.h"
#include "sandbox/proto.h"

/* Loop, tap, resolver's sockets and the like: flows never take these. */
#define OWN_DESCRIPTORS 40
#define FLOWS_MAX 40000
#define SNIFFING_MAX 2048 /* connections that still have to show a name: 32 MiB */
#define NAMES_MAX 16384	  /* pairs of a name and an address */

int engine_no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "start the engine");
}

/* Raises the limit of descriptors as far as it goes and returns what flows may have of it. */
static size_t descriptors(void)
{
	struct rlimit lim = { .rlim_max = 1024 };

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		const struct rlimit all = { lim.rlim_max, lim.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &all) < 0)
			lim.rlim_max = lim.rlim_cur;
	}
	return MAX(MIN(lim.rlim_max, (rlim_t)FLOWS_MAX), (rlim_t)OWN_DESCRIPTORS + 8) -
	       OWN_DESCRIPTORS;
}

/* What the policy doesn't know it would let pass. */
static int apply_host_addresses(struct engine *e)
{
	const struct hostaddrs_list *l = &e->host.list;

	if (l->cut)
		log_warn("the host has more than %d addresses, the others are not known "
			 "to be its own",
			 HOSTADDRS_MAX);
	return policy_set_host_addresses(&e->policy, l->ranges, l->count);
}

static void on_host_addresses(uv_poll_t *poll, int status, int events)
{
	struct engine *e = container_of(poll, struct engine, host_poll);
	int r = hostaddrs_read(&e->host);

	(void)events;
	/* Lost events are an error of the socket's, after which libuv watches no longer. */
	if (status < 0)
		uv_poll_start(poll, UV_READABLE, on_host_addresses);
	if (r > 0)
		r = apply_host_addresses(e);
	if (r < 0)
		log_warn("the host's addresses have changed, to what can't be told: %s",
			 strerror(-r));
}

static int prepare_host_addresses(struct engine *e, struct error *err)
{
	e->follows_host = e->policy.block_private || e->policy.default_deny;
	if (!e->follows_host)
		return 0;
	if (hostaddrs_open(&e->host, err) < 0)
		return -1;
	return apply_host_addresses(e) < 0 ? engine_no_memory(err) : 0;
}

static int prepare_policy(struct engine *e, struct error *err)
{
	const struct config *cfg = e->setup->cfg;
	const struct policy_rules rules = {
		.lists = {
			[POLICY_DENY_CIDR] = &cfg->deny_cidrs,
			[POLICY_DENY_DOMAIN_EXACT] = &cfg->deny_domains_exact,
			[POLICY_DENY_DOMAIN] = &cfg->deny_domains,
			[POLICY_ROUTE] = &cfg->routes.rules,
			[POLICY_NO_PROXY] = &cfg->no_proxy,
			[POLICY_ALLOW_CIDR] = &cfg->allow_cidrs,
			[POLICY_ALLOW_DOMAIN_EXACT] = &cfg->allow_domains_exact,
			[POLICY_ALLOW_DOMAIN] = &cfg->allow_domains,
		},
	};

	e->policy = (struct policy){
		.gateway4 = e->setup->plan.gateway4,
		.gateway6 = e->setup->plan.gateway6,
		.offline = cfg->offline,
		.block_metadata = cfg->block_metadata,
		.block_private = cfg->block_private,
		.default_deny = cfg->default_policy == POLICY_DENY,
		/* As the learned profile will have it. */
		.own_resolvers = e->setup->resolvers_explicit || cfg->learn,
		.allow_dns = cfg->allow_dns,
		.allow_quic = cfg->allow_quic,
		.learns = cfg->learn,
	};
	proxies_tell_policy(cfg, &e->policy);
	if (policy_compile(&e->policy, &rules, err) < 0)
		return -1;
	return prepare_host_addresses(e, err);
}

static int prepare_guard(struct engine *e, struct error *err)
{
	uint64_t seed;

	/* Eight bytes are never interrupted, random(4). */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return error_set(err, errno, "get random numbers");
	if (prepare_policy(e, err) ||
	    proxies_make_pool(e->setup->cfg, seed, &e->pool, err))
		return -1;
	/* Names of addresses are for rules to match, and for events to tell. */
	if (policy_uses_names(&e->policy) || events_wanted(&e->events)) {
		e->names = names_new(NAMES_MAX, seed);
		if (!e->names)
			return engine_no_memory(err);
	}
	e->guard = (struct guard){ .policy = &e->policy,
				   .events = &e->events,
				   .names = e->names,
				   .pool = e->pool,
				   .loop = &e->loop,
				   .audit = e->setup->cfg->audit };
	return 0;
}

/* Whoever asked for nothing is told of nothing: what is refused always is no news then. */
static bool restricts(const struct config *cfg)
{
	return cfg->offline || cfg->block_private || cfg->block_metadata ||
	       cfg->default_policy == POLICY_DENY || cfg->deny_cidrs.count ||
	       cfg->deny_domains.count || cfg->deny_domains_exact.count ||
	       cfg->proxies.count || cfg->routes.rules.count || cfg->fail_on_leak ||
	       cfg->audit;
}

static int prepare_events(struct engine *e, struct error *err)
{
	const struct config *cfg = e->setup->cfg;

	events_init(&e->events);
	event_log_sink_init(&e->log_sink);
	if (log_level() >= LOG_LEVEL_DEBUG)
		event_sink_add(&e->events, &e->log_sink);
	notice_sink_init(&e->notice_sink);
	if (log_level() >= LOG_LEVEL_WARN && restricts(cfg))
		event_sink_add(&e->events, &e->notice_sink.sink);
	notice_sink_init_proxies(&e->proxy_sink);
	if (log_level() >= LOG_LEVEL_WARN && cfg->proxies.count)
		event_sink_add(&e->events, &e->proxy_sink.sink);
	counter_sink_init(&e->counter_sink, e->setup->counters);
	e->events.refused_full = &e->setup->counters->refused_full;
	if (cfg->fail_on_leak || e->setup->log)
		event_sink_add(&e->events, &e->counter_sink.sink);
	if (!e->setup->log)
		return 0;
	if (flowlog_init(&e->flowlog, e->setup->log, e->setup->run_id, err))
		return -1;
	event_sink_add(&e->events, &e->flowlog.sink);
	e->events.wants_process = true;
	return 0;
}

static void ask_next_file(void *ctx, enum capture_view view)
{
	const struct engine *e = ctx;
	const struct proto_msg msg = { .type = PROTO_NEXT_FILE, .file = view };

	/* A dead supervisor takes us along. */
	proto_send(e->supervisor_fd, &msg, NULL, 0);
}

static void tell_file_begun(void *ctx, enum capture_view view)
{
	const struct engine *e = ctx;
	const struct proto_msg msg = { .type = PROTO_FILE_BEGUN, .file = view };

	proto_send(e->supervisor_fd, &msg, NULL, 0);
}

static int prepare_capture(struct engine *e, struct error *err)
{
	const struct capture_deps deps = { .loop = &e->loop,
					   .events = &e->events,
					   .rotate = ask_next_file,
					   .begun = tell_file_begun,
					   .ctx = e };

	e->capture = e->setup->capture;
	if (!e->capture)
		return 0;
	if (capture_start(e->capture, &deps, err) < 0)
		return -1;
	e->socks.watch = capture_sock_watch(e->capture);
	return 0;
}

static int send_questions(void *ctx, const struct owner_question *list, size_t count)
{
	const struct engine *e = ctx;
	struct proto_msg msg = { .type = PROTO_WHOSE, .whose.count = count };

	memcpy(msg.whose.list, list, count * sizeof(*list));
	return proto_send(e->supervisor_fd, &msg, NULL, 0);
}

static int prepare_who(struct engine *e, struct error *err)
{
	if (!e->events.wants_process)
		return 0;
	e->who = who_new(&(struct who_deps){ .loop = &e->loop,
					     .send = send_questions,
					     .ctx = e,
					     .at_any_cost = e->setup->cfg->learn });
	return e->who ? 0 : engine_no_memory(err);
}

static int prepare_dns(struct engine *e, struct error *err)
{
	const struct engine_setup *s = e->setup;
	struct remote_deps remote = { .loop = &e->loop,
				      .pool = e->pool,
				      .dialers = &e->dialers };
	struct hosts_bad bad;

	if (s->hosts_text) {
		e->hosts = hosts_parse(s->hosts_text, s->hosts_len, &bad, err);
		if (!e->hosts)
			return -1;
	}
	e->resolver = resolver_new(&e->loop, err);
	if (!e->resolver)
		return -1;
	resolver_set_servers(e->resolver, s->resolvers, s->resolver_count);
	resolver_set_watch(e->resolver, e->socks.watch);
	if (s->resolvers_explicit)
		remote.server = s->resolvers[0];
	e->remote_dns = remote_dns_new(&remote);
	if (!e->remote_dns)
		return engine_no_memory(err);
	e->dns = nameserver_new(&(struct nameserver_deps){
		.loop = &e->loop,
		.events = &e->events,
		.resolver = e->resolver,
		.hosts = e->hosts,
		.own = { s->plan.gateway4, s->plan.gateway6 },
		.ask_only_ours = policy_asks_own_only(&e->policy),
		.attribution = e->who,
		.names = e->names,
		.pool = e->pool,
		.remote = e->remote_dns,
		.rules = guard_dns_rules(&e->guard),
	});
	return e->dns ? 0 : engine_no_memory(err);
}

static void on_no_datagrams(void *ctx, enum route route, const char *why)
{
	struct engine *e = ctx;

	if (!(e->policy.udp_routes >> route & 1))
		return;
	e->policy.udp_routes &= ~(1ull << route);
	log_warn("%s; they are %s", why,
		 e->policy.proxy_udp_direct ? "sent past it" : "refused");
}

/* What was asked for is told once all the same: it is a way past the proxy. */
static void tell_detour(const struct engine *e)
{
	const struct policy *p = &e->policy;

	if (p->proxy && p->proxy_udp_direct && !(p->udp_routes >> ROUTE_PROXY & 1))
		log_warn("the proxy carries no datagrams; they are sent past it");
}

int engine_prepare(struct engine *e, struct error *err)
{
	struct flow_deps deps = {
		.loop = &e->loop,
		.guard = &e->guard,
		.dialers = &e->dialers,
		.socks = &e->socks,
	};
	size_t room;
	int r = uv_loop_init(&e->loop);

	if (r)
		return error_set(err, -r, "start the engine's loop");
	room = descriptors();
	deps.capacity = room - room / 4 - room / 16;
	deps.sniffing_max = SNIFFING_MAX;
	r = poller_init(&e->poller, &e->loop);
	if (r)
		return error_set(err, -r, "watch sockets");
	sock_set_init(&e->socks, &e->loop, &e->poller);
	direct_init(&e->direct, &e->socks);
	if (prepare_events(e, err) || prepare_capture(e, err) || prepare_guard(e, err) ||
	    prepare_who(e, err) || prepare_dns(e, err) ||
	    proxies_prepare(&e->proxies, e->setup, &e->loop, &e->socks, e->resolver, err))
		return -1;
	/* A relay has two descriptors. */
	if (e->policy.udp_routes)
		deps.capacity -= room / 16;
	if (proxies_prepare_relays(&e->proxies, e->setup->cfg, &e->socks, room / 32, err))
		return -1;
	tell_detour(e);
	e->dialers.by_route[ROUTE_DIRECT] = &e->direct.dialer;
	proxies_enter(&e->proxies, &e->dialers);
	deps.who = e->who;
	deps.dns = e->dns;
	e->flows = flow_table_new(&deps);
	e->udp = e->flows ? sessions_new(&(struct sessions_deps){
				    .loop = &e->loop,
				    .guard = &e->guard,
				    .dns = e->dns,
				    .who = e->who,
				    .watch = e->socks.watch,
				    .poller = &e->poller,
				    .dialers = &e->dialers,
				    .no_datagrams = on_no_datagrams,
				    .ctx = e,
				    .capacity = room / 4 }) :
			    NULL;
	e->echoes = e->udp ? echoes_new(&(struct echoes_deps){ .loop = &e->loop,
							       .who = e->who,
							       .watch = e->socks.watch,
							       .guard = &e->guard,
							       .poller = &e->poller,
							       .capacity = room / 16 }) :
			     NULL;
	return e->echoes ? 0 : engine_no_memory(err);
}

int engine_prepared_start(struct engine *e)
{
	int r;

	if (!e->follows_host)
		return 0;
	r = uv_poll_init(&e->loop, &e->host_poll, e->host.fd);
	return r ? r : uv_poll_start(&e->host_poll, UV_READABLE, on_host_addresses);
}

void engine_prepared_close(struct engine *e)
{
	sessions_close(e->udp);
	echoes_close(e->echoes);
	nameserver_close(e->dns);
	flow_table_close(e->flows);
	proxies_free(&e->proxies);
	sock_set_close(&e->socks);
	resolver_close(e->resolver, NULL, NULL);
	who_close(e->who);
	if (e->follows_host)
		uv_close((uv_handle_t *)&e->host_poll, NULL);
}

void engine_prepared_free(struct engine *e)
{
	sessions_free(e->udp);
	echoes_free(e->echoes);
	flow_table_free(e->flows);
	nameserver_free(e->dns);
	hosts_free(e->hosts);
	who_free(e->who);
	names_free(e->names);
	pool_free(e->pool);
	remote_dns_free(e->remote_dns);
	flowlog_free(&e->flowlog);
	policy_free(&e->policy);
	if (e->follows_host)
		hostaddrs_close(&e->host);
}
