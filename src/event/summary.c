#include "event/summary.h"

#include <string.h>

#include "base/util.h"
#include "event/json_parts.h"
#include "event/render.h"

#define RANKED_MAX 3
#define TEXT_ROW_NAMES 2
#define JSON_ROW_NAMES 3
#define ROW_TARGETS 1

/* --- text --- */

static bool is_simple(const char *word)
{
	return *word && !strpbrk(word, " \t\n\v\f\r\"'`\\");
}

/* A word that isn't simple stands in quotes, with what would end them escaped. */
static void put_word(FILE *out, const char *word)
{
	size_t n;

	if (is_simple(word)) {
		render_plain_string(out, word);
		return;
	}
	fputc('"', out);
	for (; *word; word += n) {
		n = strcspn(word, "\"\\\n\t\r");
		render_plain(out, (struct text){ word, n });
		word += n;
		n = *word != '\0';
		if (n)
			fprintf(out, "\\%c",
				*word == '\n' ? 'n' :
				*word == '\t' ? 't' :
				*word == '\r' ? 'r' :
						*word);
	}
	fputc('"', out);
}

static void put_command(FILE *out, const char *const *command)
{
	fputs("command: ", out);
	for (size_t i = 0; command && command[i]; i++) {
		fputs(i ? " " : "", out);
		if (i)
			put_word(out, command[i]);
		else
			render_plain_string(out, command[i]);
	}
	fputc('\n', out);
}

static void put_controls(FILE *out, const char *const *controls)
{
	fputs("sandbox controls: ", out);
	for (size_t i = 0; controls && controls[i]; i++) {
		fputs(i ? ", " : "", out);
		render_plain_string(out, controls[i]);
	}
	fputs(controls && controls[0] ? "\n" : "none\n", out);
}

static void put_capture(FILE *out, const struct summary *s)
{
	if (!s->capture.requested) {
		fputs("capture: disabled\n", out);
		return;
	}
	fprintf(out, "capture: requested=%s, effective=%s, ", s->capture.requested,
		s->capture.effective);
	if (s->capture.output) {
		fputs("output=", out);
		render_plain_string(out, s->capture.output);
	} else {
		fputs("child=", out);
		render_plain_string(out, s->capture.child);
		fputs(", egress=", out);
		render_plain_string(out, s->capture.egress);
	}
	fprintf(out, "\ncapture packets: total=%llu, dropped=%llu\n",
		(unsigned long long)s->capture.packets,
		(unsigned long long)s->capture.dropped);
}

static void put_rules(FILE *out, const struct view_counts *matched)
{
	fputs("matched_domains=", out);
	render_counts(out, matched, RANKED_MAX);
}

static void line_events(FILE *out, const struct view *v)
{
	struct render_event events[RENDER_EVENTS_MAX];
	size_t n = render_events(v->tally, events);

	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%s=%llu", i ? ", " : "", events[i].name,
			(unsigned long long)events[i].n);
}

static void line_names(FILE *out, const struct view *v)
{
	const struct view_name *name = &v->names[0];

	if (!v->name_count) {
		fputs("none", out);
		return;
	}
	render_plain(out, name->name);
	fprintf(out, " (queries=%llu, answers=%llu, answer_ips=",
		(unsigned long long)name->queries, (unsigned long long)name->answers);
	render_list(out, &name->ips);
	fputs(", ", out);
	render_targets(out, name, VIEW_NAME_TARGETS, RANKED_MAX);
	fputc(')', out);
}

static void put_row(FILE *out, const struct view_row *row)
{
	render_plain(out, row->name->name);
	fputs(" -> ", out);
	if (row->target)
		render_plain(out, row->target->target);
	else
		fputs("no-target", out);
	fputs(" (answer_ips=", out);
	render_list(out, &row->name->ips);
	fputs(", ", out);
	put_rules(out, row->matched);
	if (row->target) {
		fputs(", ", out);
		render_connects(out, &row->target->connects);
	}
	fputc(')', out);
}

static void line_rows(FILE *out, const struct view *v)
{
	struct view_row rows[VIEW_NAMES * VIEW_NAME_TARGETS];
	size_t n = view_rows(v, TEXT_ROW_NAMES, ROW_TARGETS, rows);

	for (size_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", out);
		put_row(out, &rows[i]);
	}
	fputs(n ? "" : "none", out);
}

static const struct view_name *first_policy_name(const struct view *v)
{
	for (size_t i = 0; i < v->name_count; i++) {
		if (view_is_policy_name(&v->names[i]))
			return &v->names[i];
	}
	return NULL;
}

static void line_correlation(FILE *out, const struct view *v)
{
	const struct view_name *name = first_policy_name(v);

	if (!name) {
		fputs("none", out);
		return;
	}
	render_plain(out, name->name);
	fputs(" (answer_ips=", out);
	render_list(out, &name->ips);
	fputs(", ", out);
	put_rules(out, &name->matched);
	fputs(", ", out);
	render_targets(out, name, 1, RANKED_MAX);
	fputc(')', out);
}

static void line_target(FILE *out, const struct view *v)
{
	const struct view_target *to = &v->targets[0];

	if (!v->target_count) {
		fputs("none", out);
		return;
	}
	render_plain(out, to->target);
	fputs(" (", out);
	render_connects(out, &to->connects);
	fputs(", dns_names=", out);
	render_list(out, &to->names);
	fputs(", ", out);
	put_rules(out, &to->matched);
	fputc(')', out);
}

/* The lines about the log; those without a function are counts. */
static const struct {
	const char *label;
	void (*put)(FILE *out, const struct view *v);
	enum tally_counts counts;
} lines[] = {
	{ "events", line_events, 0 },
	{ "dns names", line_names, 0 },
	{ "dns policy rows", line_rows, 0 },
	{ "top dns policy correlation", line_correlation, 0 },
	{ "top target", line_target, 0 },
	{ "policy violations", NULL, COUNT_VIOLATIONS },
	{ "policy controls", NULL, COUNT_CONTROLS },
	{ "policy matched domains", NULL, COUNT_DOMAINS },
	{ "connect errors", NULL, COUNT_CONNECT_ERRORS },
	{ "runtime failures", NULL, COUNT_FAILURES },
	{ "runtime failure phases", NULL, COUNT_PHASES },
};

static void put_left_out(void *ctx, const char *table, uint64_t n)
{
	fprintf(ctx, "flow-log left out: %s=%llu\n", table, (unsigned long long)n);
}

int summary_text(const struct summary *s, FILE *out)
{
	fprintf(out, "childflow summary\nbackend: %s\n", s->backend);
	put_command(out, s->command);
	put_controls(out, s->controls);
	put_capture(out, s);
	fputs("flow-log: ", out);
	render_plain_string(out, s->flow_log ? s->flow_log : "disabled");
	fputc('\n', out);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		fprintf(out, "flow-log %s: ", lines[i].label);
		if (!s->flow_log)
			fputs("disabled", out);
		else if (!s->view)
			fputs("unavailable", out);
		else if (lines[i].put)
			lines[i].put(out, s->view);
		else
			render_counts(out, &s->view->counts[lines[i].counts], RANKED_MAX);
		fputc('\n', out);
	}
	if (s->view)
		tally_left_out(s->view->tally, put_left_out, out);
	fprintf(out, "exit: %d\n", s->exit_code);
	return 0;
}

/* --- JSON --- */

static void put_string(struct json *j, const char *key, const char *text)
{
	if (text)
		json_bytes(j, key, text, strlen(text));
	else
		json_null(j, key);
}

static void put_text(struct json *j, const char *key, struct text text)
{
	json_string_n(j, key, text.s, text.len);
}

static void json_connects(struct json *j, const struct tally_connects *c)
{
	json_uint(j, "connect_attempts", c->attempts);
	json_uint(j, "connect_ok", c->ok);
	json_uint(j, "connect_error", c->error);
	json_uint(j, "flow_end", c->end);
}

static void json_targets(struct json *j, const struct view_name *name)
{
	json_array(j, "targets");
	for (size_t i = 0; i < name->target_count; i++) {
		json_object(j, NULL);
		put_text(j, "target", name->targets[i].target);
		json_connects(j, &name->targets[i].connects);
		json_counts(j, "matched_domains", &name->targets[i].matched, RANKED_MAX);
		json_end(j);
	}
	json_end(j);
}

static void json_name(struct json *j, const struct view_name *name)
{
	put_text(j, "qname", name->name);
	json_uint(j, "queries", name->queries);
	json_uint(j, "answers", name->answers);
	json_texts(j, "answer_ips", &name->ips);
}

static void json_rows(struct json *j, const struct view *v)
{
	static const struct tally_connects none;
	struct view_row rows[VIEW_NAMES * VIEW_NAME_TARGETS];
	size_t n = view_rows(v, JSON_ROW_NAMES, ROW_TARGETS, rows);

	json_array(j, "dns_policy_rows");
	for (size_t i = 0; i < n; i++) {
		const struct view_target *to = rows[i].target;

		json_object(j, NULL);
		json_name(j, rows[i].name);
		if (to) {
			put_text(j, "target", to->target);
			put_text(j, "target_ip", to->ip);
		} else {
			json_null(j, "target");
			json_null(j, "target_ip");
		}
		json_connects(j, to ? &to->connects : &none);
		json_counts(j, "matched_domains", rows[i].matched, RANKED_MAX);
		json_end(j);
	}
	json_end(j);
}

static void json_tops(struct json *j, const struct view *v)
{
	const struct view_name *policy = first_policy_name(v);

	if (v->name_count) {
		json_object(j, "top_dns_name");
		json_name(j, &v->names[0]);
		json_targets(j, &v->names[0]);
		json_end(j);
	} else {
		json_null(j, "top_dns_name");
	}
	json_rows(j, v);
	if (policy) {
		json_object(j, "top_dns_policy_correlation");
		json_name(j, policy);
		json_counts(j, "matched_domains", &policy->matched, RANKED_MAX);
		json_targets(j, policy);
		json_end(j);
	} else {
		json_null(j, "top_dns_policy_correlation");
	}
	if (v->target_count) {
		json_object(j, "top_target");
		put_text(j, "target", v->targets[0].target);
		json_connects(j, &v->targets[0].connects);
		json_texts(j, "dns_names", &v->targets[0].names);
		json_counts(j, "matched_domains", &v->targets[0].matched, RANKED_MAX);
		json_end(j);
	} else {
		json_null(j, "top_target");
	}
}

static void json_event_counts(struct json *j, const struct tally *t)
{
	struct render_event events[RENDER_EVENTS_MAX];
	size_t n = render_events(t, events);

	json_object(j, "event_counts");
	for (size_t i = 0; i < n; i++)
		json_uint(j, events[i].name, events[i].n);
	json_end(j);
}

static const struct {
	const char *key;
	enum tally_counts counts;
} ranked[] = {
	{ "policy_violations", COUNT_VIOLATIONS },
	{ "policy_controls", COUNT_CONTROLS },
	{ "policy_matched_domains", COUNT_DOMAINS },
	{ "connect_errors", COUNT_CONNECT_ERRORS },
	{ "runtime_failures", COUNT_FAILURES },
	{ "runtime_failure_phases", COUNT_PHASES },
};

static void json_flow_log(struct json *j, const struct summary *s)
{
	static const struct view_counts none;
	const struct view *v = s->view;

	json_object(j, "flow_log");
	json_string(j, "status",
		    !s->flow_log ? "disabled" :
		    v		 ? "available" :
				   "unavailable");
	put_string(j, "path", s->flow_log);
	if (v) {
		json_event_counts(j, v->tally);
		json_tops(j, v);
	} else {
		json_null(j, "event_counts");
		json_null(j, "top_dns_name");
		json_array(j, "dns_policy_rows");
		json_end(j);
		json_null(j, "top_dns_policy_correlation");
		json_null(j, "top_target");
	}
	for (size_t i = 0; i < ARRAY_SIZE(ranked); i++)
		json_counts(j, ranked[i].key, v ? &v->counts[ranked[i].counts] : &none,
			    RANKED_MAX);
	if (v)
		json_left_out(j, v->tally);
	json_end(j);
}

static void json_capture(struct json *j, const struct summary *s)
{
	json_object(j, "capture");
	json_string(j, "status", s->capture.requested ? "enabled" : "disabled");
	put_string(j, "requested", s->capture.requested);
	put_string(j, "effective", s->capture.effective);
	put_string(j, "output", s->capture.output);
	put_string(j, "child_output", s->capture.child);
	put_string(j, "egress_output", s->capture.egress);
	if (s->capture.requested) {
		json_uint(j, "packets", s->capture.packets);
		json_uint(j, "dropped_packets", s->capture.dropped);
	}
	json_end(j);
}

/* The command as the text has it: one string. */
static int json_command(struct json *j, const struct summary *s)
{
	cleanup_free char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -1;
	for (size_t i = 0; s->command && s->command[i]; i++) {
		fputs(i ? " " : "", out);
		if (i)
			put_word(out, s->command[i]);
		else
			fputs(s->command[i], out);
	}
	if (fclose(out) == EOF)
		return -1;
	json_bytes(j, "command", text, len);
	return 0;
}

int summary_json(const struct summary *s, FILE *out)
{
	struct json *j = json_new(JSON_PRETTY);
	const char *text = NULL;
	size_t len;

	if (!j)
		return -1;
	json_object(j, NULL);
	json_string(j, "backend", s->backend);
	if (json_command(j, s) == 0) {
		json_int(j, "exit_code", s->exit_code);
		json_array(j, "sandbox_controls");
		for (size_t i = 0; s->controls && s->controls[i]; i++)
			json_string(j, NULL, s->controls[i]);
		json_end(j);
		json_capture(j, s);
		json_flow_log(j, s);
		json_end(j);
		text = json_text(j, &len);
	}
	if (text) {
		fwrite(text, 1, len, out);
		fputc('\n', out);
	}
	json_free(j);
	return text ? 0 : -1;
}
