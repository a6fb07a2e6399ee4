/*
 * Schema version 1 of the flow log. Its readers depend on every field that stands here: more
 * may come, none goes and none changes its type while the version is 1. What the fields mean
 * stands in docs/schema/flow-log.schema.json, and the tests hold each line against it.
 *
 * Texts that strangers have chosen (names, argv, comm, paths) need not be UTF-8: JSON has what
 * can be shown, and a second field with the suffix _b64 the bytes.
 *
 * A row per kind of event, a function per row; nobody else knows what a line looks like.
 */
#include "event/flowlog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"
#include "policy/explain.h"

#define SCHEMA_VERSION 1
#define TYPE_A 1
#define TYPE_AAAA 28
#define NAME_TEXT_MAX 1024

static void put_text(struct json *j, const char *key, const char *text)
{
	if (text)
		json_bytes(j, key, text, strlen(text));
	else
		json_null(j, key);
}

static bool has_ports(const struct event *ev)
{
	return ev->protocol == IPPROTO_TCP || ev->protocol == IPPROTO_UDP;
}

static const char *protocol_name(const struct event *ev)
{
	switch (ev->protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmpv4";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		return "other";
	}
}

static bool is_zero(const struct endpoint *e)
{
	static const struct endpoint zero;

	return memcmp(&e->addr, &zero.addr, sizeof(zero.addr)) == 0 && !e->port;
}

/* "192.0.2.7:80", "[2001:db8::1]:80"; without ports the address alone. */
static const char *where_text(const struct event *ev, const struct endpoint *e,
			      char out[static ENDPOINT_TEXT_MAX])
{
	return has_ports(ev) ? endpoint_format(e, out) : addr_format(&e->addr, out);
}

/* Three fields: PREFIX_addr, PREFIX_ip, PREFIX_port. */
struct keys {
	const char *addr, *ip, *port;
};

static const struct keys remote_keys = { "remote_addr", "remote_ip", "remote_port" };
static const struct keys server_keys = { "server", "server_ip", "server_port" };
static const struct keys violation_keys = { "remote", "remote_ip", "remote_port" };

static void put_endpoint(struct json *j, const struct event *ev, const struct keys *keys,
			 const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	json_string(j, keys->addr, where_text(ev, e, text));
	json_string(j, keys->ip, addr_format(&e->addr, text));
	if (has_ports(ev))
		json_int(j, keys->port, e->port);
	else
		json_null(j, keys->port);
}

static void put_one_endpoint(struct json *j, const struct event *ev, const char *key,
			     const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	if (!is_zero(e))
		json_string(j, key, where_text(ev, e, text));
}

/* Who has opened it; null where that could not be found out. */
static void put_process(struct json *j, const struct event *ev)
{
	const struct process *p = ev->process;

	if (p && p->pid)
		json_int(j, "pid", p->pid);
	else
		json_null(j, "pid");
	put_text(j, "comm", p ? p->comm : NULL);
	put_text(j, "exe", p ? p->exe : NULL);
}

static void put_names(struct json *j, const struct event *ev)
{
	if (ev->name)
		json_bytes(j, "name", ev->name, strlen(ev->name));
	json_array(j, "names");
	for (size_t i = 0; i < ev->name_count; i++)
		json_string(j, NULL, ev->names[i]);
	json_end(j);
}

static void put_error(struct json *j, int err, const char *more)
{
	if (err || more)
		json_string(j, "error", more ? more : strerror(err));
	else
		json_null(j, "error");
	if (err)
		json_int(j, "errno", err);
}

static void put_flow(struct json *j, const struct event *ev)
{
	json_string(j, "protocol", protocol_name(ev));
	put_endpoint(j, ev, &remote_keys, &ev->remote);
	put_names(j, ev);
	put_one_endpoint(j, ev, "child_addr", &ev->child);
	json_bool(j, "via_proxy", ev->via_proxy);
	put_process(j, ev);
}

/* --- DNS --- */

/* Lower case, no last dot; null for the root and for what is no question. */
static void put_qname(struct json *j, const char *key, const char *name)
{
	char text[NAME_TEXT_MAX];
	size_t len = name ? strnlen(name, sizeof(text)) : 0;

	if (len && name[len - 1] == '.')
		len--;
	if (!len)
		return json_null(j, key);
	for (size_t i = 0; i < len; i++)
		text[i] = ascii_lower(name[i]);
	json_bytes(j, key, text, len);
}

static const char *type_name(const struct event *ev)
{
	if (!ev->dns.name || !*ev->dns.name)
		return "unknown";
	return ev->dns.type == TYPE_A	 ? "A" :
	       ev->dns.type == TYPE_AAAA ? "AAAA" :
					   "other";
}

static void put_question(struct json *j, const struct event *ev)
{
	json_string(j, "protocol", protocol_name(ev));
	put_endpoint(j, ev, &server_keys, &ev->dns.server);
	put_qname(j, "qname", ev->dns.name);
	json_string(j, "qtype", type_name(ev));
	json_int(j, "qtype_number", ev->dns.type);
	put_one_endpoint(j, ev, "child_addr", &ev->child);
	put_process(j, ev);
}

static void write_dns_answer(struct json *j, const struct event *ev)
{
	char text[ADDR_TEXT_MAX];

	put_question(j, ev);
	json_string(j, "mode", answered_mode_name(ev->dns.mode));
	json_uint(j, "bytes", ev->dns.bytes);
	json_int(j, "rcode", ev->dns.rcode);
	if (ev->dns.ede >= 0)
		json_int(j, "ede", ev->dns.ede);
	json_array(j, "answer_ips");
	for (size_t i = 0; i < ev->dns.addr_count; i++)
		json_string(j, NULL, addr_format(&ev->dns.addrs[i], text));
	json_end(j);
}

/* --- flows --- */

static void write_connect_result(struct json *j, const struct event *ev)
{
	int err = ev->connect_result.err;

	put_flow(j, ev);
	json_string(j, "status", err ? "error" : "ok");
	put_error(j, err, err ? ev->connect_result.error : NULL);
	put_one_endpoint(j, ev, "host_addr", &ev->connect_result.local);
	put_one_endpoint(j, ev, "peer_addr", &ev->connect_result.peer);
}

static void write_flow_start(struct json *j, const struct event *ev)
{
	put_flow(j, ev);
	put_one_endpoint(j, ev, "host_addr", &ev->flow_start.local);
	put_one_endpoint(j, ev, "peer_addr", &ev->flow_start.peer);
}

static void write_flow_end(struct json *j, const struct event *ev)
{
	put_flow(j, ev);
	json_uint(j, "bytes_up", ev->flow_end.bytes_up);
	json_uint(j, "bytes_down", ev->flow_end.bytes_down);
	if (ev->protocol != IPPROTO_TCP) {
		json_uint(j, "packets_up", ev->flow_end.packets_up);
		json_uint(j, "packets_down", ev->flow_end.packets_down);
	}
	json_uint(j, "duration_ms", ev->flow_end.duration_ms);
	json_string(j, "close_reason", close_reason_name(ev->flow_end.reason));
	put_error(j, ev->flow_end.err, NULL);
	if (!ev->flow_end.sniffed)
		return;
	json_bool(j, "sniffed", true);
	json_string(j, "seen_name", ev->flow_end.seen_name);
}

/* --- violations --- */

/* By a reason that no rule stands for; the others have the option of their list. */
static const char *const controls[REASON_COUNT] = {
	[REASON_OFFLINE] = "--offline",
	[REASON_METADATA] = "--block-metadata",
	[REASON_PRIVATE] = "--block-private",
	[REASON_PROXY_ONLY] = "--proxy-only",
	[REASON_DEFAULT_DENY] = "--default-policy",
	[REASON_QUIC] = "--allow-quic",
};

static void put_control(struct json *j, const struct verdict *v)
{
	const char *list = policy_list_option(v->list);
	const char *control = list ? list : controls[v->reason];
	const char *value = v->rule			     ? v->rule->text :
			    v->reason == REASON_DEFAULT_DENY ? "deny" :
							       NULL;
	char reason[2 * NAME_TEXT_MAX];
	bool cidr = v->rule && v->rule->kind == RULE_CIDR;

	/* What no option brings about, and none lifts. */
	if (!control)
		control = "built-in";
	json_string(j, "control", control);
	json_string(j, "matched_cidr", cidr ? v->rule->text : NULL);
	json_string(j, "matched_domain", v->rule && !cidr ? v->rule->text : NULL);
	snprintf(reason, sizeof(reason), "blocked by `%s%s%.1000s`", control,
		 value ? " " : "", value ? value : "");
	json_string(j, "reason", reason);
}

static void put_violation_target(struct json *j, const struct event *ev)
{
	const struct target *t = ev->policy_violation.target;

	json_string(j, "protocol", t->dns_question ? "dns" : protocol_name(ev));
	if (!t->dns_question || !t->name)
		return put_endpoint(j, ev, &violation_keys, &t->to);
	put_qname(j, violation_keys.addr, t->name);
	json_null(j, violation_keys.ip);
	json_null(j, violation_keys.port);
}

static void write_policy_violation(struct json *j, const struct event *ev)
{
	const struct target *t = ev->policy_violation.target;
	const struct verdict *v = ev->policy_violation.verdict;
	char text[POLICY_EXPLAIN_MAX];

	put_violation_target(j, ev);
	put_names(j, ev);
	put_one_endpoint(j, ev, "child_addr", &ev->child);
	put_process(j, ev);
	json_string(j, "action", ev->policy_violation.audit ? "audit" : "deny");
	json_string(j, "reason_code", reason_name(v->reason));
	put_control(j, v);
	json_string(j, "explanation", policy_explain(v, t, text));
	if (t->seen_name)
		put_qname(j, "seen_name", t->seen_name);
	if (ev->policy_violation.stripped)
		json_string(j, "stripped_ip",
			    addr_format(ev->policy_violation.stripped, text));
	if (ev->policy_violation.alias)
		put_qname(j, "alias", ev->policy_violation.alias);
}

/* --- the run --- */

/* False when something in it is not UTF-8. */
static bool put_list(struct json *j, const char *key, const char *const *list)
{
	bool whole = true;

	json_array(j, key);
	for (; list && *list; list++)
		whole &= json_string(j, NULL, *list);
	json_end(j);
	return whole;
}

/* An array's elements have no place for their bytes. */
static void put_words(struct json *j, const char *key, const char *const *words)
{
	json_array(j, key);
	for (; words && *words; words++) {
		json_object(j, NULL);
		put_text(j, "word", *words);
		json_end(j);
	}
	json_end(j);
}

static void write_run_start(struct json *j, const struct event *ev)
{
	const struct run_info *run = &ev->run_start;

	json_string(j, "version", run->version);
	json_string(j, "backend", run->backend);
	if (!put_list(j, "command", run->command))
		put_words(j, "command_words", run->command);
	put_text(j, "policy", run->policy);
	json_string(j, "policy_sha256", run->policy_sha256);
	put_list(j, "hidden_sockets", run->hidden_sockets);
}

static void write_runtime_failure(struct json *j, const struct event *ev)
{
	json_string(j, "phase", ev->runtime_failure.phase);
	json_string(j, "reason_code", ev->runtime_failure.reason_code);
	put_text(j, "detail", ev->runtime_failure.detail);
}

static void write_run_end(struct json *j, const struct event *ev)
{
	json_int(j, "exit_code", ev->run_end.exit_code);
	json_object(j, "events");
	for (int k = 0; k < EVENT_COUNT && ev->run_end.events; k++)
		json_uint(j, event_name(k), ev->run_end.events[k]);
	json_end(j);
	json_uint(j, "refused_full", ev->run_end.refused_full);
	json_uint(j, "lost_records", ev->run_end.lost_records);
}

/* --- the sink --- */

static const struct {
	void (*write)(struct json *j, const struct event *ev);
} kinds[] = {
	[EVENT_RUN_START] = { write_run_start },
	[EVENT_DNS_QUERY] = { put_question },
	[EVENT_DNS_ANSWER] = { write_dns_answer },
	[EVENT_CONNECT_ATTEMPT] = { put_flow },
	[EVENT_CONNECT_RESULT] = { write_connect_result },
	[EVENT_FLOW_START] = { write_flow_start },
	[EVENT_FLOW_END] = { write_flow_end },
	[EVENT_POLICY_VIOLATION] = { write_policy_violation },
	[EVENT_RUNTIME_FAILURE] = { write_runtime_failure },
	[EVENT_RUN_END] = { write_run_end },
};
static_assert(ARRAY_SIZE(kinds) == EVENT_COUNT, "one row per kind");

static void on_event(struct event_sink *sink, const struct event *ev)
{
	struct flowlog *log = container_of(sink, struct flowlog, sink);
	struct json *j = log->json;
	const char *text;
	size_t len;

	json_reset(j);
	json_object(j, NULL);
	json_int(j, "schema_version", SCHEMA_VERSION);
	json_uint(j, "ts_ms", ev->time_ns / 1000000);
	json_string(j, "event", event_name(ev->kind));
	json_string(j, "run_id", log->run_id);
	if (ev->flow_id)
		json_uint(j, "flow_id", ev->flow_id);
	kinds[ev->kind].write(j, ev);
	json_end(j);
	text = json_text(j, &len);
	if (text)
		logfile_line(log->file, text, len);
	else
		logfile_lost(log->file, ENOMEM);
}

int flowlog_init(struct flowlog *log, struct logfile *file, const char *run_id,
		 struct error *err)
{
	*log = (struct flowlog){ .sink.on_event = on_event,
				 .file = file,
				 .run_id = run_id,
				 .json = json_new(JSON_COMPACT) };
	return log->json ? 0 : error_set(err, ENOMEM, "write the flow log");
}

void flowlog_free(struct flowlog *log)
{
	json_free(log->json);
	log->json = NULL;
}
