/*
 * Theory of operation
 *
 * The engine is forked before the child's namespaces exist, so that its loop, resolver and
 * tables are ready when init sends the tap. From then on it is the only process that holds
 * the tap: when it ends, for whatever reason, the child's network has ended. Everything that
 * needs a file or a privilege is done in prepare(): what comes after runs confined.
 *
 * It leaves its loop when the supervisor asks for the drain and that is done, when either of
 * the two other processes is gone, or when the tap can't be read any more. Only the first
 * is an orderly end.
 */
#include "cmd/engine.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/log.h"
#include "dial/direct.h"
#include "dns/hosts.h"
#include "dns/resolver.h"
#include "event/event.h"
#include "event/flowlog.h"
#include "event/notice.h"
#include "flow/dns.h"
#include "flow/flow.h"
#include "flow/guard_dns.h"
#include "flow/udp.h"
#include "netif/stack.h"
#include "netif/tap.h"
#include "policy/policy.h"
#include "sandbox/confine.h"
#include "sandbox/hostaddrs.h"
#include "sandbox/proto.h"

/* Loop, tap, resolver's sockets and the like: flows never take these. */
#define OWN_DESCRIPTORS 40
#define FLOWS_MAX 40000
#define NAMES_MAX 16384 /* pairs of a name and an address */
/* So often free memory is given back, as long as anything happens. */
#define TRIM_MS 5000

struct engine {
	const struct engine_setup *setup;
	int init_fd, supervisor_fd;
	struct netplan plan;
	uv_loop_t loop;
	uv_poll_t init_poll, supervisor_poll, host_poll;
	struct policy policy;
	struct events events;
	struct event_sink log_sink;
	struct counter_sink counter_sink;
	struct notice_sink notice_sink;
	struct hostaddrs host;
	bool follows_host; /* the rules speak of the host's own addresses */
	struct flowlog flowlog;
	struct names *names;
	struct guard guard;
	struct poller poller;
	struct sock_set socks;
	struct direct direct;
	struct hosts *hosts;
	struct resolver *resolver;
	struct nameserver *dns;
	struct flow_table *flows;
	struct sessions *udp;
	struct tap *tap;
	struct stack *stack;
	uv_timer_t trim_timer;
	bool trimmed; /* nothing but that was done in the last turn */
	int status;
};

static void stop(struct engine *e, int status)
{
	e->status = status;
	poller_stop(&e->poller);
}

/* --- the other processes --- */

static void on_drained(void *ctx, const struct flow_lost *lost)
{
	struct engine *e = ctx;
	struct proto_msg msg = {
		.type = PROTO_DRAIN_LOST,
		.lost = { .flows = lost->flows, .bytes = lost->bytes },
	};

	if (lost->flows || lost->bytes)
		proto_send(e->supervisor_fd, &msg, NULL, 0);
	stop(e, 0);
}

static void on_supervisor(uv_poll_t *poll, int status, int events)
{
	struct engine *e = container_of(poll, struct engine, supervisor_poll);
	struct proto_msg msg;

	(void)status;
	(void)events;
	if (proto_recv(e->supervisor_fd, &msg, NULL, 0) != 1)
		return stop(e, 1);
	if (msg.type == PROTO_RESOLVERS)
		resolver_set_servers(e->resolver, msg.resolvers.list,
				     msg.resolvers.count);
	if (msg.type != PROTO_DRAIN)
		return;
	/* What the child's kernel sent before its end is in the device already. */
	for (int i = 0; i < 1024 && tap_drain(e->tap); i++)
		stack_flush(e->stack);
	flow_drain(e->flows, msg.drain_timeout_ms, on_drained, e);
}

static void on_init(uv_poll_t *poll, int status, int events)
{
	struct engine *e = container_of(poll, struct engine, init_poll);
	struct proto_msg msg;

	(void)status;
	(void)events;
	/* Init has nothing more to say: this is its end. */
	if (proto_recv(e->init_fd, &msg, NULL, 0) <= 0)
		stop(e, 1);
}

static void on_tap_gone(void *ctx, int err)
{
	(void)err;
	stop(ctx, 1);
}

/* --- set-up --- */

static int no_memory(struct error *err)
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
	return policy_set_host_addresses(&e->policy, l->addrs, l->count);
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
	return apply_host_addresses(e) < 0 ? no_memory(err) : 0;
}

static int prepare_policy(struct engine *e, struct error *err)
{
	const struct config *cfg = e->setup->cfg;
	const struct policy_rules rules = {
		.lists = {
			[POLICY_DENY_CIDR] = &cfg->deny_cidrs,
			[POLICY_DENY_DOMAIN_EXACT] = &cfg->deny_domains_exact,
			[POLICY_DENY_DOMAIN] = &cfg->deny_domains,
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
		.own_resolvers = e->setup->resolvers_explicit,
		.allow_dns = cfg->allow_dns,
		.allow_quic = cfg->allow_quic,
	};
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
	e->names = names_new(NAMES_MAX, seed);
	if (!e->names)
		return no_memory(err);
	e->guard = (struct guard){ .policy = &e->policy,
				   .events = &e->events,
				   .names = e->names,
				   .loop = &e->loop,
				   .audit = e->setup->cfg->audit };
	return prepare_policy(e, err);
}

/* Whoever asked for nothing is told of nothing: what is refused always is no news then. */
static bool restricts(const struct config *cfg)
{
	return cfg->offline || cfg->block_private || cfg->block_metadata ||
	       cfg->default_policy == POLICY_DENY || cfg->deny_cidrs.count ||
	       cfg->deny_domains.count || cfg->deny_domains_exact.count ||
	       cfg->proxy_only || cfg->fail_on_leak || cfg->audit;
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
	counter_sink_init(&e->counter_sink, e->setup->counters);
	if (cfg->fail_on_leak || e->setup->log)
		event_sink_add(&e->events, &e->counter_sink.sink);
	if (!e->setup->log)
		return 0;
	if (flowlog_init(&e->flowlog, e->setup->log, e->setup->run_id, err))
		return -1;
	event_sink_add(&e->events, &e->flowlog.sink);
	return 0;
}

static int prepare_dns(struct engine *e, struct error *err)
{
	const struct engine_setup *s = e->setup;
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
	e->dns = nameserver_new(&(struct nameserver_deps){
		.loop = &e->loop,
		.events = &e->events,
		.resolver = e->resolver,
		.hosts = e->hosts,
		.own = { s->plan.gateway4, s->plan.gateway6 },
		.ask_only_ours = policy_asks_own_only(&e->policy),
		.names = e->names,
		.rules = guard_dns_rules(&e->guard),
	});
	return e->dns ? 0 : no_memory(err);
}

/* All that needs no tap. What is left undone on failure the process's end cleans up. */
static int prepare(struct engine *e, struct error *err)
{
	struct flow_deps deps = {
		.loop = &e->loop,
		.guard = &e->guard,
		.dialer = &e->direct.dialer,
		.socks = &e->socks,
	};
	size_t room;
	int r = uv_loop_init(&e->loop);

	if (r)
		return error_set(err, -r, "start the engine's loop");
	room = descriptors();
	deps.capacity = room - room / 4;
	r = poller_init(&e->poller, &e->loop);
	if (r)
		return error_set(err, -r, "watch sockets");
	sock_set_init(&e->socks, &e->loop, &e->poller);
	direct_init(&e->direct, &e->socks);
	if (prepare_events(e, err) || prepare_guard(e, err) || prepare_dns(e, err))
		return -1;
	deps.dns = e->dns;
	e->flows = flow_table_new(&deps);
	e->udp = e->flows ?
			 sessions_new(&(struct sessions_deps){ .loop = &e->loop,
							       .guard = &e->guard,
							       .dns = e->dns,
							       .poller = &e->poller,
							       .capacity = room / 4 }) :
			 NULL;
	return e->udp ? 0 : no_memory(err);
}

static int receive_tap(struct engine *e, int fds[PROTO_FD_COUNT], struct error *err)
{
	struct proto_msg msg;
	int r = proto_recv(e->init_fd, &msg, fds, PROTO_FD_COUNT);

	if (r != 1 || msg.type != PROTO_TAP || fds[PROTO_FD_TAP] < 0) {
		error_set(err, r < 0 ? -r : 0, "receive the tap");
		return error_because(err, ERROR_SYNC);
	}
	e->plan = msg.plan;
	return 0;
}

static int attach(struct engine *e, int tap_fd, struct error *err)
{
	struct stack_up up = { .on_attempt = flow_attempt,
			       .attempt_ctx = e->flows,
			       .on_dgram = sessions_dgram,
			       .dgram_ctx = e->udp };
	int r;

	e->tap = tap_new(&e->poller, tap_fd);
	if (!e->tap)
		return no_memory(err);
	e->stack = stack_new(&e->loop, tap_link(e->tap), &e->plan, &up);
	if (!e->stack)
		return no_memory(err);
	uv_timer_init(&e->loop, &e->trim_timer);
	e->trim_timer.data = e;
	r = uv_poll_init(&e->loop, &e->init_poll, e->init_fd);
	if (r == 0)
		r = uv_poll_init(&e->loop, &e->supervisor_poll, e->supervisor_fd);
	if (r == 0 && e->follows_host)
		r = uv_poll_init(&e->loop, &e->host_poll, e->host.fd);
	if (r)
		return error_set(err, -r, "watch the other processes");
	uv_poll_start(&e->init_poll, UV_READABLE, on_init);
	uv_poll_start(&e->supervisor_poll, UV_READABLE, on_supervisor);
	if (e->follows_host)
		uv_poll_start(&e->host_poll, UV_READABLE, on_host_addresses);
	r = tap_start(e->tap, on_tap_gone, e);
	return r ? error_set(err, -r, "watch the tap") : 0;
}

/* The allocator gives back only what is free at the heap's end. One connection that was opened
 * in a busy moment would hold all the buffers of that moment. */
static void on_trim(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	buf_trim();
	malloc_trim(0);
	e->trimmed = true;
}

static void before_turn(void *ctx)
{
	struct engine *e = ctx;

	if (!e->trimmed && !uv_is_active((uv_handle_t *)&e->trim_timer))
		uv_timer_start(&e->trim_timer, on_trim, TRIM_MS, 0);
	e->trimmed = false;
	sessions_flush(e->udp);
	stack_flush(e->stack);
}

static void tear_down(struct engine *e)
{
	sessions_close(e->udp);
	nameserver_close(e->dns);
	flow_table_close(e->flows);
	sock_set_close(&e->socks);
	stack_close(e->stack);
	tap_close(e->tap);
	poller_close(&e->poller);
	resolver_close(e->resolver, NULL, NULL);
	uv_close((uv_handle_t *)&e->trim_timer, NULL);
	uv_close((uv_handle_t *)&e->init_poll, NULL);
	uv_close((uv_handle_t *)&e->supervisor_poll, NULL);
	if (e->follows_host)
		uv_close((uv_handle_t *)&e->host_poll, NULL);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	sessions_free(e->udp);
	flow_table_free(e->flows);
	nameserver_free(e->dns);
	stack_free(e->stack);
	hosts_free(e->hosts);
	names_free(e->names);
	flowlog_free(&e->flowlog);
	policy_free(&e->policy);
	if (e->follows_host)
		hostaddrs_close(&e->host);
	buf_trim();
	uv_loop_close(&e->loop);
}

int engine_main(void *ctx, int init_fd, int supervisor_fd)
{
	struct engine e = { .setup = ctx,
			    .init_fd = init_fd,
			    .supervisor_fd = supervisor_fd };
	int fds[PROTO_FD_COUNT];
	struct error err;

	if (prepare(&e, &err) || confine_engine(&err) || receive_tap(&e, fds, &err) ||
	    attach(&e, fds[PROTO_FD_TAP], &err)) {
		proto_send_error(init_fd, &err);
		return 1;
	}
	if (proto_send(init_fd, &(struct proto_msg){ .type = PROTO_READY }, NULL, 0))
		return 1;
	poller_run(&e.poller, before_turn, &e);
	tear_down(&e);
	return e.status;
}
