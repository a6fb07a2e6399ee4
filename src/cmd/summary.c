#include "cmd/summary.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "capture/files.h"
#include "cmd/readback.h"
#include "config/options.h"
#include "event/summary.h"

/* --- controls --- */

struct controls {
	char **list;
	size_t count, room;
	bool failed;
};

static void add_control(struct controls *c, const char *name, const char *value)
{
	char **more, *text;

	if (c->count + 1 >= c->room) {
		more = realloc(c->list, (2 * c->room + 16) * sizeof(*more));
		if (!more) {
			c->failed = true;
			return;
		}
		c->list = more;
		c->room = 2 * c->room + 16;
	}
	if (asprintf(&text, "%s%s%s", name, value ? "=" : "", value ? value : "") < 0) {
		c->failed = true;
		return;
	}
	c->list[c->count++] = text;
	c->list[c->count] = NULL;
}

static void add_rules(struct controls *c, enum option_id id, const struct config *cfg)
{
	const struct option *o = option_get(id);
	const struct rule_list *list = option_value(o, cfg);

	for (size_t i = 0; i < list->count; i++)
		add_control(c, o->name, list->rules[i].text);
}

static void add_flag(struct controls *c, enum option_id id, const struct config *cfg)
{
	const struct option *o = option_get(id);

	if (*(const bool *)option_value(o, cfg))
		add_control(c, o->name, NULL);
}

/* In the order that summaries have always had; what came later stands last. */
static void list_controls(struct controls *c, const struct config *cfg)
{
	static const enum option_id first[] = { OPTION_OFFLINE, OPTION_BLOCK_PRIVATE,
						OPTION_BLOCK_METADATA };
	static const enum option_id rules[] = {
		OPTION_ALLOW_CIDR,   OPTION_DENY_CIDR,	       OPTION_ALLOW_DOMAIN_EXACT,
		OPTION_ALLOW_DOMAIN, OPTION_DENY_DOMAIN_EXACT, OPTION_DENY_DOMAIN,
	};
	static const enum option_id last[] = { OPTION_PROXY_ONLY, OPTION_FAIL_ON_LEAK,
					       OPTION_ALLOW_DNS, OPTION_ALLOW_QUIC,
					       OPTION_AUDIT };

	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		add_flag(c, first[i], cfg);
	if (cfg->default_policy == POLICY_DENY)
		add_control(c, "default-policy", "deny");
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		add_rules(c, rules[i], cfg);
	for (size_t i = 0; i < ARRAY_SIZE(last); i++)
		add_flag(c, last[i], cfg);
}

static void free_controls(struct controls *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->list[i]);
	free(c->list);
}

/* --- capture --- */

static const char *capture_point(const struct config *cfg)
{
	return option_get(OPTION_CAPTURE_POINT)->choices[cfg->capture_point];
}

void summary_print(const struct config *cfg, const struct record *record,
		   const struct counters *counters, int exit_code)
{
	struct controls controls = { .list = NULL };
	cleanup_free char *child = NULL, *egress = NULL;
	struct tally tally;
	struct view *view = NULL;
	struct error unavailable;
	struct summary s = {
		.backend = option_get(OPTION_BACKEND)->choices[cfg->backend],
		.command = (const char *const *)cfg->command.list,
		.exit_code = exit_code,
		.flow_log = cfg->flow_log,
	};

	list_controls(&controls, cfg);
	s.controls = (const char *const *)controls.list;
	tally_init(&tally);
	if (cfg->flow_log && readback(record, &tally, &unavailable) == 0)
		view = view_new(&tally);
	s.view = view;
	if (cfg->capture) {
		s.capture.requested = s.capture.effective = capture_point(cfg);
		s.capture.output = cfg->capture;
		s.capture.packets = counters->packets;
		s.capture.dropped = counters->packets_dropped;
		if (cfg->capture_point == CAPTURE_BOTH) {
			child = files_name(cfg->capture, "child", 0);
			egress = files_name(cfg->capture, "egress", 0);
			s.capture.effective = "child+egress";
			s.capture.output = NULL;
			s.capture.child = child;
			s.capture.egress = egress;
		}
	}
	if (controls.failed ||
	    (s.capture.requested && !s.capture.output && !(child && egress)) ||
	    (cfg->summary_format == FORMAT_JSON ? summary_json : summary_text)(&s,
									       stderr))
		log_error("the summary: no memory for it");
	fflush(stderr);
	view_free(view);
	tally_free(&tally);
	free_controls(&controls);
}
