#include "event/notice.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "policy/explain.h"

/* FNV-1a: 20 lines don't collide by chance, and whom it serves to make them is told less. */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	return h;
}

static void put_stripped(const struct event *ev, const char *line, char *out, size_t size)
{
	char addr[ADDR_TEXT_MAX];
	int what = strcspn(line, "(");

	if (ev->policy_violation.alias)
		snprintf(out, size, "%s (it is an alias of %.253s)", line,
			 ev->policy_violation.alias);
	else
		snprintf(out, size, "%.*s(%s): its answer %s was kept back", what, line,
			 reason_name(ev->policy_violation.verdict->reason),
			 addr_format(ev->policy_violation.stripped, addr));
}

static bool is_new(struct notice_sink *n, const char *line, const char *more)
{
	uint64_t h = hash(line);

	for (unsigned i = 0; i < n->count; i++)
		if (n->said[i] == h)
			return false;
	if (n->count == NOTICE_LINES_MAX) {
		if (!n->silent)
			log_warn("%s; --summary or --flow-log tells all", more);
		n->silent = true;
		return false;
	}
	n->said[n->count++] = h;
	return true;
}

static void make_plain(char *line)
{
	for (char *c = line; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void on_event(struct event_sink *sink, const struct event *ev)
{
	struct notice_sink *n = container_of(sink, struct notice_sink, sink);
	char line[POLICY_EXPLAIN_MAX], whole[POLICY_EXPLAIN_MAX + 300];

	if (ev->kind != EVENT_POLICY_VIOLATION || n->silent)
		return;
	policy_explain(ev->policy_violation.verdict, ev->policy_violation.target, line);
	if (ev->policy_violation.stripped || ev->policy_violation.alias)
		put_stripped(ev, line, whole, sizeof(whole));
	else
		snprintf(whole, sizeof(whole), "%s", line);
	make_plain(whole);
	if (is_new(n, whole, "more was blocked"))
		log_warn("%s%s", ev->policy_violation.audit ? "audit: would have " : "",
			 whole);
}

void notice_sink_init(struct notice_sink *n)
{
	*n = (struct notice_sink){ .sink.on_event = on_event };
}

static void on_proxy_event(struct event_sink *sink, const struct event *ev)
{
	struct notice_sink *n = container_of(sink, struct notice_sink, sink);
	char line[POLICY_EXPLAIN_MAX];

	if (ev->kind != EVENT_CONNECT_RESULT || !ev->via_proxy ||
	    !ev->connect_result.error || n->silent)
		return;
	snprintf(line, sizeof(line), "%s", ev->connect_result.error);
	make_plain(line);
	if (is_new(n, line, "proxies have failed in more ways"))
		log_warn("%s", line);
}

void notice_sink_init_proxies(struct notice_sink *n)
{
	*n = (struct notice_sink){ .sink.on_event = on_proxy_event };
}
