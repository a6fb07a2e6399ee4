#include "event/event.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

static void text_connect_result(const struct event *ev, char *out, size_t size)
{
	snprintf(out, size, " %s",
		 ev->connect_result.error ? ev->connect_result.error :
		 ev->connect_result.err	  ? strerror(ev->connect_result.err) :
					    "ok");
}

static void text_flow_end(const struct event *ev, char *out, size_t size)
{
	snprintf(out, size, " up=%llu down=%llu %s%s%s",
		 (unsigned long long)ev->flow_end.bytes_up,
		 (unsigned long long)ev->flow_end.bytes_down,
		 close_reason_name(ev->flow_end.reason), ev->flow_end.err ? " " : "",
		 ev->flow_end.err ? strerror(ev->flow_end.err) : "");
}

static void text_policy_violation(const struct event *ev, char *out, size_t size)
{
	snprintf(out, size, " %s%s", reason_name(ev->policy_violation.verdict->reason),
		 ev->policy_violation.audit ? " (audit)" : "");
}

static void text_dns_query(const struct event *ev, char *out, size_t size)
{
	snprintf(out, size, " %s type %u", ev->dns.name, ev->dns.type);
}

static void text_dns_answer(const struct event *ev, char *out, size_t size)
{
	snprintf(out, size, " %s type %u rcode %d", ev->dns.name, ev->dns.type,
		 ev->dns.rcode);
}

/* One row per kind. */
static const struct {
	const char *name;
	void (*text)(const struct event *ev, char *out, size_t size);
} kinds[] = {
	[EVENT_RUN_START] = { "run_start", NULL },
	[EVENT_CONNECT_ATTEMPT] = { "connect_attempt", NULL },
	[EVENT_CONNECT_RESULT] = { "connect_result", text_connect_result },
	[EVENT_FLOW_START] = { "flow_start", NULL },
	[EVENT_FLOW_END] = { "flow_end", text_flow_end },
	[EVENT_POLICY_VIOLATION] = { "policy_violation", text_policy_violation },
	[EVENT_DNS_QUERY] = { "dns_query", text_dns_query },
	[EVENT_DNS_ANSWER] = { "dns_answer", text_dns_answer },
	[EVENT_RUNTIME_FAILURE] = { "runtime_failure", NULL },
	[EVENT_RUN_END] = { "run_end", NULL },
};
static_assert(ARRAY_SIZE(kinds) == EVENT_COUNT, "one row per kind");

static const char *const close_reasons[] = {
	[CLOSE_EOF] = "eof",
	[CLOSE_CHILD_RESET] = "child_reset",
	[CLOSE_REMOTE_RESET] = "remote_reset",
	[CLOSE_IDLE] = "idle",
	[CLOSE_EVICTED] = "evicted",
	[CLOSE_POLICY] = "policy",
	[CLOSE_RUN_END] = "run_end",
};
static_assert(ARRAY_SIZE(close_reasons) == CLOSE_COUNT, "one name per reason");

static const char *const answered_modes[] = {
	[ANSWERED_RELAYED] = "relayed",
	[ANSWERED_EMPTY] = "synthetic_empty",
	[ANSWERED_BY_HOSTS] = "hosts_file",
	[ANSWERED_SYNTHETIC] = "synthetic",
};
static_assert(ARRAY_SIZE(answered_modes) == ANSWERED_COUNT, "one name per mode");

const char *event_name(enum event_kind kind)
{
	return kinds[kind].name;
}

const char *close_reason_name(enum close_reason reason)
{
	return close_reasons[reason];
}

const char *answered_mode_name(enum answered_mode mode)
{
	return answered_modes[mode];
}

void events_init(struct events *events)
{
	*events = (struct events){ 0 };
	list_init(&events->sinks);
}

void event_sink_add(struct events *events, struct event_sink *sink)
{
	list_add_tail(&events->sinks, &sink->node);
}

void event_emit(struct events *events, struct event *ev)
{
	struct list *pos, *tmp;
	struct timespec t;

	if (!events_wanted(events))
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	ev->time_ns = t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;

	list_for_each (pos, tmp, &events->sinks) {
		struct event_sink *sink = list_entry(pos, struct event_sink, node);

		sink->on_event(sink, ev);
	}
}

static void log_event(struct event_sink *sink, const struct event *ev)
{
	char remote[ENDPOINT_TEXT_MAX], text[400] = "";

	(void)sink;
	if (kinds[ev->kind].text)
		kinds[ev->kind].text(ev, text, sizeof(text));
	log_debug("%s flow=%llu %s %s%s", event_name(ev->kind),
		  (unsigned long long)ev->flow_id,
		  ev->protocol == IPPROTO_TCP ? "tcp" : "udp",
		  endpoint_format(&ev->remote, remote), text);
}

void event_log_sink_init(struct event_sink *sink)
{
	sink->on_event = log_event;
}
