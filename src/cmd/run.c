/*
 * Reads what the run needs from the caller's files, as the caller, before anything is
 * forked; engine and init find it in their memory.
 */
#include "cmd/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "cmd/engine.h"
#include "cmd/learn.h"
#include "cmd/packets.h"
#include "cmd/proxies.h"
#include "cmd/record.h"
#include "cmd/summary.h"
#include "config/path.h"
#include "dns/hosts.h"
#include "dns/resolvconf.h"
#include "sandbox/netlink.h"
#include "sandbox/nsswitch.h"
#include "sandbox/supervisor.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define HOSTS "/etc/hosts"
#define NSSWITCH_CONF "/etc/nsswitch.conf"
#define DNS_PORT 53

struct run {
	const struct config *cfg;
	struct resolvconf host; /* empty under --dns */
	struct endpoint resolvers[RESOLVCONF_SERVERS_MAX];
	struct etc_file etc[3];
	size_t etc_count;
	struct record record;
	struct learn learn;
	struct packets packets;
	struct engine_setup engine;
	struct supervisor_setup supervisor;
};

/* The whole of a file or pipe, malloc'ed. With `optional` a missing one is empty. */
static char *read_file(const char *path, bool optional, size_t *len, struct error *err)
{
	char *text = path_read(path, HOSTS_FILE_MAX, len, err);

	return text || !optional || err->code != ENOENT ? text : calloc(1, 1);
}

static uint32_t entropy(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint32_t)getpid() ^ (uint32_t)t.tv_nsec;
}

/* Takes over malloc'ed text; NULL is the lack of memory for it. */
static int add_etc(struct run *run, const char *name, char *text, size_t len,
		   struct error *err)
{
	if (!text)
		return error_set(err, ENOMEM, "write the child's %s", name);
	assert(run->etc_count < ARRAY_SIZE(run->etc));
	run->etc[run->etc_count++] = (struct etc_file){ name, text, len };
	return 0;
}

static void warn_lines(const char *path, const char *lines)
{
	while (*lines) {
		int n = strcspn(lines, "\n");

		log_warn("%s: %.*s", path, n, lines);
		lines += n + (lines[n] != '\0');
	}
}

static void list_resolvers(const struct resolvconf *host,
			   struct endpoint out[static RESOLVCONF_SERVERS_MAX])
{
	for (size_t i = 0; i < host->n_servers; i++)
		out[i] = (struct endpoint){ host->servers[i], DNS_PORT };
}

/*
 * A file that is missing or empty is one that is just being replaced. Should it stay so, the
 * old servers are a better guess than none.
 */
static size_t read_resolvers(void *ctx, struct endpoint out[static PROTO_RESOLVERS_MAX])
{
	static_assert(RESOLVCONF_SERVERS_MAX == PROTO_RESOLVERS_MAX, "lists of one size");
	struct run *run = ctx;
	struct resolvconf now = { 0 };
	struct error err;
	struct stat st;
	size_t n = 0, old = run->engine.resolver_count, same;

	if (stat(RESOLV_CONF, &st) == 0 && st.st_size > 0 &&
	    resolvconf_read(RESOLV_CONF, &now, &err) == 0)
		n = now.n_servers;
	list_resolvers(&now, out);
	resolvconf_free(&now);
	for (same = 0; same < MIN(n, old); same++) {
		if (!endpoint_eq(&out[same], &run->resolvers[same]))
			break;
	}
	if (n == 0 || (n == old && same == n))
		return 0;
	log_info("%s has changed: %zu DNS servers", RESOLV_CONF, n);
	memcpy(run->resolvers, out, n * sizeof(*out));
	run->engine.resolver_count = n;
	return n;
}

static int plan_resolvers(struct run *run, struct error *err)
{
	const struct netplan *plan = &run->supervisor.plan;
	struct resolvconf *host = &run->host;
	char *text;

	if (run->cfg->dns.set) {
		run->resolvers[0] = (struct endpoint){ run->cfg->dns.addr, DNS_PORT };
		run->engine.resolver_count = 1;
	} else {
		if (resolvconf_read(RESOLV_CONF, host, err) < 0)
			return -1;
		warn_lines(RESOLV_CONF, host->warnings);
		run->engine.resolver_count = host->n_servers;
		list_resolvers(host, run->resolvers);
	}
	run->engine.resolvers = run->resolvers;
	run->engine.resolvers_explicit = run->cfg->dns.set;
	text = resolvconf_render(host->kept ? host->kept : "", &plan->gateway4,
				 plan->ipv6 ? &plan->gateway6 : NULL);
	return add_etc(run, "resolv.conf", text, text ? strlen(text) : 0, err);
}

/* The child's /etc/hosts: the override, then what it leaves of the host's. */
static int render_hosts(struct run *run, const struct hosts *table, struct error *err)
{
	size_t host_len, len;
	cleanup_free char *host = read_file(HOSTS, true, &host_len, err);
	char *text;

	if (!host)
		return -1;
	text = hosts_render(table, run->engine.hosts_text, run->engine.hosts_len, host,
			    host_len, &len);
	return add_etc(run, "hosts", text, len, err);
}

static int plan_hosts(struct run *run, struct error *err)
{
	const char *path = run->cfg->hosts_file;
	struct engine_setup *engine = &run->engine;
	struct hosts_bad bad = { 0 };
	struct hosts *table;
	int ret;

	if (!path)
		return 0;
	engine->hosts_text = read_file(path, false, &engine->hosts_len, err);
	if (!engine->hosts_text)
		return error_wrap(err, "--hosts-file");
	table = hosts_parse(engine->hosts_text, engine->hosts_len, &bad, err);
	if (!table)
		return error_wrap(err, "--hosts-file %s", path);
	if (bad.count)
		log_warn("%s:%u: %s (lines skipped in all: %u)", path, bad.line, bad.why,
			 bad.count);
	ret = render_hosts(run, table, err);
	hosts_free(table);
	return ret;
}

static int plan_nsswitch(struct run *run, struct error *err)
{
	size_t host_len, len;
	cleanup_free char *host = read_file(NSSWITCH_CONF, true, &host_len, err);
	char *text;

	if (!host)
		return -1;
	text = nsswitch_render(host, host_len, &len);
	return add_etc(run, "nsswitch.conf", text, len, err);
}

static int plan_proxies(struct run *run, struct error *err)
{
	const struct config *cfg = run->cfg;
	struct engine_setup *engine = &run->engine;

	if (cfg->proxies.count && !cfg->keep_proxy_env)
		proxies_clean_environment();
	if (!proxies_need_hosts(cfg))
		return 0;
	engine->host_hosts_text = read_file(HOSTS, true, &engine->host_hosts_len, err);
	return engine->host_hosts_text ? 0 : -1;
}

static void tell_plan(const struct run *run)
{
	const struct netplan *plan = &run->supervisor.plan;
	char child[ADDR_TEXT_MAX], gateway[ADDR_TEXT_MAX], server[ENDPOINT_TEXT_MAX];

	log_info("the command is %s behind %s", addr_format(&plan->child4, child),
		 addr_format(&plan->gateway4, gateway));
	if (plan->ipv6)
		log_info("the command is %s behind %s", addr_format(&plan->child6, child),
			 addr_format(&plan->gateway6, gateway));
	for (size_t i = 0; i < run->engine.resolver_count; i++)
		log_info("DNS server %s", endpoint_format(&run->resolvers[i], server));
}

static void run_free(struct run *run)
{
	for (size_t i = 0; i < run->etc_count; i++)
		free((void *)run->etc[i].text);
	free(run->engine.hosts_text);
	learn_close(&run->learn);
	free(run->engine.host_hosts_text);
	record_close(&run->record);
	packets_close(&run->packets);
	counters_free(run->engine.counters);
	resolvconf_free(&run->host);
}

/* --fail-on-leak: the command's own failure is told first. What isn't in the log can't be
 * shown to be harmless. */
static void judge_leaks(const struct run *run, int *exit_code)
{
	const struct counters *c = run->engine.counters;
	uint64_t n = c->events[EVENT_POLICY_VIOLATION];

	if (!run->cfg->fail_on_leak || *exit_code != 0 || (!n && !c->lost_records))
		return;
	if (n)
		log_error("--fail-on-leak: %" PRIu64 " attempt%s against the rules", n,
			  n == 1 ? " was" : "s were");
	else
		log_error("--fail-on-leak: events are missing in the flow log");
	*exit_code = SUPERVISOR_EXIT_LEAK;
}

static int plan(struct run *run, struct error *err)
{
	/* A guess from outside, for resolv.conf; init makes it sure for the links. */
	if (netlink_has_ipv6(&run->supervisor.plan.ipv6, err) ||
	    plan_resolvers(run, err) || plan_hosts(run, err) || plan_nsswitch(run, err) ||
	    plan_proxies(run, err) ||
	    packets_open(&run->packets, run->cfg, &run->supervisor, err))
		return -1;
	if (log_level() >= LOG_LEVEL_INFO)
		tell_plan(run);
	return 0;
}

static int start(struct run *run, int *exit_code, struct error *err)
{
	const struct config *cfg = run->cfg;
	struct supervisor_setup *s = &run->supervisor;

	run->engine.cfg = cfg;
	run->engine.plan = s->plan;
	s->command = cfg->command.list;
	s->etc = run->etc;
	s->etc_count = run->etc_count;
	s->as_root = cfg->as_root;
	s->drain_timeout_ms = cfg->drain_timeout_ms;
	if (!cfg->dns.set) {
		s->resolvers_read = read_resolvers;
		s->resolvers_ctx = run;
		s->resolvers_path = RESOLV_CONF;
	}
	if (run->record.open) {
		run->engine.log = &run->record.file;
		run->engine.run_id = run->record.run_id;
		supervisor_keep(s, run->record.file.fd);
		s->file_size_signal = &run->record.file_size_signal;
	}
	if (run->learn.path) {
		s->meanwhile = learn_meanwhile;
		s->meanwhile_ctx = &run->learn;
	}
	run->engine.capture = run->packets.capture;
	s->engine_main = engine_main;
	s->engine_ctx = &run->engine;
	return supervisor_run(s, exit_code, err);
}

int run_command(const struct config *cfg, int *exit_code, struct error *err)
{
	struct run run = { .cfg = cfg, .learn = { .fd = -1, .log = -1 } };
	int ret;

	*exit_code = SUPERVISOR_EXIT_FAILED;
	netplan_choose(&run.supervisor.plan, entropy(), cfg->mtu);
	run.engine.counters = counters_new(err);
	if (!run.engine.counters)
		return -1;
	if (record_open(&run.record, cfg, run.engine.counters, err) < 0 ||
	    learn_open(&run.learn, cfg, &run.record, err) < 0) {
		run_free(&run);
		return -1;
	}
	record_start(&run.record, cfg);
	ret = plan(&run, err) < 0 ? -1 : start(&run, exit_code, err);
	if (ret == 0)
		judge_leaks(&run, exit_code);
	else
		record_failure(&run.record, err);
	record_end(&run.record, *exit_code);
	if (ret == 0 && cfg->summary)
		summary_print(cfg, &run.record, run.engine.counters, *exit_code);
	if (ret == 0 && learn_finish(&run.learn, cfg, *exit_code, err) < 0) {
		*exit_code = SUPERVISOR_EXIT_FAILED;
		ret = -1;
	}
	run_free(&run);
	return ret;
}
