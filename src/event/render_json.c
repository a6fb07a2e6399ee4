/* Keys stand in alphabetical order at every level, and no line end is last. */
#include "event/render.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"
#include "event/json_parts.h"

static void put_text(struct json *j, const char *key, struct text text)
{
	json_string_n(j, key, text.s, text.len);
}

void json_texts(struct json *j, const char *key, const struct view_texts *texts)
{
	json_array(j, key);
	for (size_t i = 0; i < texts->count; i++)
		put_text(j, NULL, texts->items[i]);
	json_end(j);
}

void json_counts(struct json *j, const char *key, const struct view_counts *counts,
		 size_t limit)
{
	json_array(j, key);
	for (size_t i = 0; i < MIN(counts->count, limit); i++) {
		json_object(j, NULL);
		json_uint(j, "count", counts->items[i].n);
		put_text(j, "key", counts->items[i].key);
		json_end(j);
	}
	json_end(j);
}

static int by_key(const void *a, const void *b)
{
	return text_compare(((const struct view_count *)a)->key,
			    ((const struct view_count *)b)->key);
}

/* Two keys that differ behind a NUL only are one member twice: no reader minds. */
static int put_map(struct json *j, const char *key, const struct view_counts *counts)
{
	cleanup_free struct view_count *sorted = calloc(counts->count + 1,
							sizeof(*sorted));

	if (!sorted)
		return -1;
	if (counts->count)
		memcpy(sorted, counts->items, counts->count * sizeof(*sorted));
	qsort(sorted, counts->count, sizeof(*sorted), by_key);
	json_object(j, key);
	for (size_t i = 0; i < counts->count; i++)
		json_uint(j, sorted[i].key.s, sorted[i].n);
	json_end(j);
	return 0;
}

static void put_target(struct json *j, const struct view_target *to, bool names)
{
	json_object(j, NULL);
	json_uint(j, "connect_attempts", to->connects.attempts);
	json_uint(j, "connect_error", to->connects.error);
	json_uint(j, "connect_ok", to->connects.ok);
	if (names)
		json_texts(j, "dns_names", &to->names);
	json_uint(j, "flow_end", to->connects.end);
	json_counts(j, "matched_domains", &to->matched, SIZE_MAX);
	put_text(j, "target", to->target);
	json_end(j);
}

enum name_part {
	NAME_ALONE,
	NAME_TARGETS,
	NAME_POLICY,
};

static void put_name(struct json *j, const struct view_name *name, enum name_part part)
{
	json_object(j, NULL);
	json_texts(j, "answer_ips", &name->ips);
	json_uint(j, "answers", name->answers);
	if (part == NAME_POLICY)
		json_counts(j, "matched_domains", &name->matched, SIZE_MAX);
	put_text(j, "qname", name->name);
	json_uint(j, "queries", name->queries);
	if (part != NAME_ALONE) {
		json_array(j, "targets");
		for (size_t i = 0; i < name->target_count; i++)
			put_target(j, &name->targets[i], false);
		json_end(j);
	}
	json_end(j);
}

static void put_names(struct json *j, const char *key, const struct view *v,
		      enum name_part part)
{
	json_array(j, key);
	for (size_t i = 0; i < v->name_count; i++) {
		if (part != NAME_POLICY || view_is_policy_name(&v->names[i]))
			put_name(j, &v->names[i], part);
	}
	json_end(j);
}

static void put_row(struct json *j, const struct view_row *row)
{
	static const struct view_target none;
	const struct view_target *to = row->target ? row->target : &none;

	json_object(j, NULL);
	json_texts(j, "answer_ips", &row->name->ips);
	json_uint(j, "answers", row->name->answers);
	json_uint(j, "connect_attempts", to->connects.attempts);
	json_uint(j, "connect_error", to->connects.error);
	json_uint(j, "connect_ok", to->connects.ok);
	json_uint(j, "flow_end", to->connects.end);
	json_counts(j, "matched_domains", row->matched, SIZE_MAX);
	put_text(j, "qname", row->name->name);
	json_uint(j, "queries", row->name->queries);
	if (row->target) {
		put_text(j, "target", to->target);
		put_text(j, "target_ip", to->ip);
	} else {
		json_null(j, "target");
		json_null(j, "target_ip");
	}
	json_end(j);
}

static void put_rows(struct json *j, const struct view *v)
{
	struct view_row rows[VIEW_NAMES * VIEW_NAME_TARGETS];
	size_t n = view_rows(v, VIEW_NAMES, VIEW_NAME_TARGETS, rows);

	json_array(j, "dns_policy_rows");
	for (size_t i = 0; i < n; i++)
		put_row(j, &rows[i]);
	json_end(j);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct render_event *)a)->name,
		      ((const struct render_event *)b)->name);
}

static void put_events(struct json *j, const struct tally *t)
{
	struct render_event events[RENDER_EVENTS_MAX];
	size_t n = render_events(t, events);

	qsort(events, n, sizeof(*events), by_name);
	json_object(j, "event_counts");
	for (size_t i = 0; i < n; i++)
		json_uint(j, events[i].name, events[i].n);
	json_end(j);
}

static void put_schemas(struct json *j, const struct view *v)
{
	const struct view_counts *schemas = &v->counts[COUNT_SCHEMAS];

	json_array(j, "schema_versions");
	for (size_t i = 0; i < schemas->count; i++)
		json_int(j, NULL, strtoll(schemas->items[i].key.s, NULL, 10));
	json_end(j);
}

/* One string, as the first version of it had; several are told apart beside it. */
static int put_files(struct json *j, const struct report *r)
{
	cleanup_free char *all = NULL;
	size_t len;
	FILE *out = open_memstream(&all, &len);

	if (!out)
		return -1;
	for (size_t i = 0; i < r->file_count; i++)
		fprintf(out, "%s%s", i ? ", " : "", r->files[i]);
	if (fclose(out) == EOF)
		return -1;
	json_bytes(j, "flow_log", all, len);
	if (r->file_count < 2)
		return 0;
	json_array(j, "flow_logs");
	for (size_t i = 0; i < r->file_count; i++)
		json_string(j, NULL, r->files[i]);
	json_end(j);
	return 0;
}

static void put_left_out(void *ctx, const char *table, uint64_t n)
{
	json_uint(ctx, table, n);
}

static void count_left_out(void *ctx, const char *table, uint64_t n)
{
	(void)table;
	*(uint64_t *)ctx += n;
}

void json_left_out(struct json *j, const struct tally *t)
{
	uint64_t left_out = 0;

	tally_left_out(t, count_left_out, &left_out);
	if (!left_out)
		return;
	json_object(j, "left_out");
	tally_left_out(t, put_left_out, j);
	json_end(j);
}

static const struct {
	enum tally_counts table;
	const char *key, *sorted_key;
} maps[] = {
	{ COUNT_CONTROLS, "policy_controls", "sorted_policy_controls" },
	{ COUNT_DOMAINS, "policy_matched_domains", "sorted_policy_matched_domains" },
	{ COUNT_VIOLATIONS, "policy_violations", "sorted_policy_violations" },
	{ COUNT_PROTOCOLS, "protocols", "sorted_protocols" },
	{ COUNT_PHASES, "runtime_failure_phases", "sorted_runtime_failure_phases" },
	{ COUNT_FAILURES, "runtime_failures", "sorted_runtime_failures" },
};

static int put_maps(struct json *j, const struct view *v, size_t first, size_t last)
{
	for (size_t i = first; i <= last; i++) {
		if (put_map(j, maps[i].key, &v->counts[maps[i].table]))
			return -1;
	}
	return 0;
}

static int put_report(struct json *j, const struct report *r)
{
	const struct view *v = r->view;

	json_object(j, NULL);
	if (put_map(j, "connect_errors", &v->counts[COUNT_CONNECT_ERRORS]))
		return -1;
	put_names(j, "dns_policy_correlations", v, NAME_POLICY);
	put_rows(j, v);
	put_names(j, "dns_target_correlations", v, NAME_TARGETS);
	put_events(j, v->tally);
	if (put_files(j, r))
		return -1;
	json_left_out(j, v->tally);
	if (put_maps(j, v, 0, 3))
		return -1;
	json_object(j, "proxy_usage");
	json_uint(j, "direct_connect_attempts", v->tally->direct);
	json_uint(j, "proxied_connect_attempts", v->tally->proxied);
	json_end(j);
	if (put_maps(j, v, 4, 5))
		return -1;
	put_schemas(j, v);
	json_counts(j, "sorted_connect_errors", &v->counts[COUNT_CONNECT_ERRORS],
		    SIZE_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		json_counts(j, maps[i].sorted_key, &v->counts[maps[i].table], SIZE_MAX);
	json_array(j, "top_connection_targets");
	for (size_t i = 0; i < v->target_count; i++)
		put_target(j, &v->targets[i], true);
	json_end(j);
	put_names(j, "top_dns_names", v, NAME_ALONE);
	json_end(j);
	return 0;
}

int render_json(const struct report *r, FILE *out)
{
	struct json *j = json_new(JSON_PRETTY);
	const char *text = NULL;
	size_t len;

	if (j && put_report(j, r) == 0)
		text = json_text(j, &len);
	if (text)
		fwrite(text, 1, len, out);
	json_free(j);
	return text ? 0 : -1;
}
