/* What cmd/engine.c and cmd/prepare.c share. */
#ifndef CMD_ENGINE_INTERNAL_H
#define CMD_ENGINE_INTERNAL_H

#include "cmd/engine.h"
#include "cmd/proxies.h"
#include "dial/direct.h"
#include "dns/hosts.h"
#include "dns/resolver.h"
#include "event/flowlog.h"
#include "event/notice.h"
#include "flow/dns.h"
#include "flow/flow.h"
#include "flow/guard_dns.h"
#include "flow/icmp.h"
#include "flow/udp.h"
#include "netif/stack.h"
#include "netif/tap.h"
#include "sandbox/hostaddrs.h"

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
	struct notice_sink notice_sink, proxy_sink;
	struct hostaddrs host;
	bool follows_host; /* the rules speak of the host's own addresses */
	struct flowlog flowlog;
	struct names *names;
	struct pool *pool; /* or NULL: all names are resolved here */
	struct remote_dns *remote_dns;
	struct guard guard;
	struct who *who; /* NULL: nobody wants to know */
	struct poller poller;
	struct sock_set socks;
	struct direct direct;
	struct proxies proxies;
	struct dialers dialers;
	struct hosts *hosts;
	struct resolver *resolver;
	struct nameserver *dns;
	struct flow_table *flows;
	struct sessions *udp;
	struct echoes *echoes;
	struct tap *tap;
	struct stack *stack;
	struct capture *capture; /* or NULL */
	uv_timer_t trim_timer;
	uint64_t drain_began_ms;
	unsigned patience_ms; /* from then on, for who reads the capture */
	struct flow_lost lost;
	bool trimmed; /* nothing but that was done in the last turn */
	int status;
};

/* All that needs no tap: what opens files or wants privileges. What is left undone on failure
 * the process's end cleans up. */
int engine_prepare(struct engine *e, struct error *err);

/* The handles of what engine_prepare() has made that wait for the loop. 0 or -errno. */
int engine_prepared_start(struct engine *e);
/* Ends them; engine_prepared_free() when the loop has run. */
void engine_prepared_close(struct engine *e);
void engine_prepared_free(struct engine *e);

/* error_set() of the lack of memory. */
int engine_no_memory(struct error *err);

#endif
