/*
 * One page: page.html with style, script and data put in where it has comments for them. What
 * comes from the log stands in the data alone, JSON without any character of markup, which the
 * script makes text of and never markup. Should all that fail, the page's own policy lets
 * only what bears the nonce run, and nothing be fetched.
 *
 * The page is bounded: of each table the first rows are in it, and how many are not.
 */
#include "event/render.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/util.h"
#include "event/json_parts.h"
#include "event/talks.h"

#define TALKS_MAX 2000
#define REFUSALS_MAX 1000
#define NAMES_MAX 1000
#define PROCESSES_MAX 500
#define RUNS_MAX 100
#define COUNTS_MAX 200
#define NAME_IPS_MAX 8

static const char page[] =
#include "event/page_html.inc"
	;
static const char style[] =
#include "event/page_css.inc"
	;
static const char script[] =
#include "event/page_js.inc"
	;

/* --- rows in their order --- */

static int more(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int by_moved(const void *a, const void *b)
{
	const struct talks_link *x = *(void *const *)a, *y = *(void *const *)b;
	int c = more(x->up + x->down, y->up + y->down);

	return c ? c : more(x->flows, y->flows);
}

static int by_times(const void *a, const void *b)
{
	const struct talks_refusal *x = *(void *const *)a, *y = *(void *const *)b;

	return more(x->n, y->n);
}

static int by_queries(const void *a, const void *b)
{
	const struct tally_name *x = *(void *const *)a, *y = *(void *const *)b;
	int c = more(x->queries, y->queries);

	return c ? c : strcmp(x->row.key, y->row.key);
}

static int by_start(const void *a, const void *b)
{
	const struct talks_kept *x = *(void *const *)a, *y = *(void *const *)b;

	return (x->start_ms > y->start_ms) - (x->start_ms < y->start_ms);
}

/* All rows but "other", ranked; NULL without memory. */
static void **ranked(const struct table *t, int (*order)(const void *, const void *),
		     size_t *n)
{
	size_t count = table_count(t);
	void **rows = calloc(count + 1, sizeof(*rows));

	*n = 0;
	if (!rows)
		return NULL;
	for (uint32_t i = 1; i < count; i++)
		rows[(*n)++] = table_row(t, i);
	if (*n && order)
		qsort(rows, *n, sizeof(*rows), order);
	return rows;
}

/* --- members --- */

static void put(struct json *j, const char *key, struct text text)
{
	if (text.len)
		json_string_n(j, key, text.s, text.len);
}

static void put_row_key(struct json *j, const char *key, const struct table *t,
			uint32_t i)
{
	const struct row *row = table_row(t, i);

	if (i)
		json_string_n(j, key, row->key, row->len);
}

static void put_number(struct json *j, const char *key, uint64_t n)
{
	if (n)
		json_uint(j, key, n);
}

static void put_process(struct json *j, const char *key, const struct talks *f,
			uint32_t i)
{
	put(j, key, talks_process_name(f, i));
}

static void put_talk(struct json *j, const struct talks *f, const struct talks_link *t)
{
	json_object(j, NULL);
	put_process(j, "process", f, t->process);
	put(j, "name", talks_text(f, t->name));
	put_row_key(j, "target", &f->targets, t->target);
	put(j, "protocol", talks_text(f, t->protocol));
	json_uint(j, "flows", t->flows);
	put_number(j, "errors", t->errors);
	put_number(j, "up", t->up);
	put_number(j, "down", t->down);
	put_number(j, "ms", t->duration_ms);
	put_number(j, "first", t->first_ms);
	put_number(j, "last", t->last_ms);
	json_end(j);
}

static int put_talks(struct json *j, const struct talks *f)
{
	cleanup_free void **rows = NULL;
	size_t n;

	rows = ranked(&f->links, by_moved, &n);
	if (!rows)
		return -1;
	json_uint(j, "talks_total", n);
	json_array(j, "talks");
	for (size_t i = 0; i < MIN(n, (size_t)TALKS_MAX); i++)
		put_talk(j, f, rows[i]);
	json_end(j);
	return 0;
}

static int put_refusals(struct json *j, const struct talks *f)
{
	cleanup_free void **rows = NULL;
	size_t n;

	rows = ranked(&f->refusals, by_times, &n);
	if (!rows)
		return -1;
	json_uint(j, "refusals_total", n);
	json_array(j, "refusals");
	for (size_t i = 0; i < MIN(n, (size_t)REFUSALS_MAX); i++) {
		const struct talks_refusal *r = rows[i];

		json_object(j, NULL);
		put_process(j, "process", f, r->process);
		put_row_key(j, "target", &f->targets, r->target);
		put(j, "protocol", talks_text(f, r->protocol));
		put(j, "reason", talks_text(f, r->reason));
		put(j, "control", talks_text(f, r->control));
		put(j, "rule", talks_text(f, r->rule));
		if (r->audit)
			json_bool(j, "audit", true);
		json_uint(j, "count", r->n);
		put_number(j, "first", r->first_ms);
		put_number(j, "last", r->last_ms);
		json_end(j);
	}
	json_end(j);
	return 0;
}

static void put_flow(struct json *j, const struct tally *t, const struct talks_kept *k)
{
	static const char *const states[] = {
		[FLOW_IS_OPEN] = "open",
		[FLOW_IS_OK] = "ok",
		[FLOW_HAS_FAILED] = "failed",
	};
	const struct talks *f = t->talks;

	json_object(j, NULL);
	put_process(j, "process", f, k->process);
	put(j, "name", talks_text(f, k->name));
	put_row_key(j, "target", &f->targets, k->target);
	put(j, "protocol", talks_text(f, k->protocol));
	put(j, "error", talks_text(f, k->error));
	put(j, "reason", talks_text(f, k->reason));
	json_string(j, "state", states[k->state]);
	put_number(j, "start", k->start_ms);
	put_number(j, "ms", k->duration_ms);
	put_number(j, "up", k->up);
	put_number(j, "down", k->down);
	json_end(j);
}

static int put_flows(struct json *j, const struct tally *t)
{
	const struct talks *f = t->talks;
	cleanup_free const void **rows = calloc(f->kept_count + 1, sizeof(*rows));

	if (!rows)
		return -1;
	for (size_t i = 0; i < f->kept_count; i++)
		rows[i] = &f->kept[i];
	qsort(rows, f->kept_count, sizeof(*rows), by_start);
	json_array(j, "flows");
	for (size_t i = 0; i < f->kept_count; i++)
		put_flow(j, t, rows[i]);
	json_end(j);
	return 0;
}

/* Of each name the first addresses; `place` says which name is which of the page. */
struct name_ips {
	uint32_t ips[NAME_IPS_MAX], count, others;
};

static void add_ip(struct name_ips *of, uint32_t ip)
{
	for (uint32_t i = 0; i < of->count; i++) {
		if (of->ips[i] == ip)
			return;
	}
	if (of->count < NAME_IPS_MAX)
		of->ips[of->count++] = ip;
	else
		of->others++;
}

static int put_names(struct json *j, const struct tally *t)
{
	cleanup_free struct name_ips *ips = calloc(table_count(&t->names) + 1,
						   sizeof(*ips));
	cleanup_free void **rows = NULL;
	size_t n;

	rows = ranked(&t->names, by_queries, &n);
	if (!rows || !ips)
		return -1;
	for (uint32_t i = 1; i < table_count(&t->answers); i++) {
		const struct tally_answer *a = table_row(&t->answers, i);

		add_ip(&ips[a->name], a->ip);
	}
	json_uint(j, "names_total", n);
	json_array(j, "names");
	for (size_t i = 0; i < MIN(n, (size_t)NAMES_MAX); i++) {
		const struct tally_name *name = rows[i];
		const struct name_ips *of =
			&ips[((char *)rows[i] - t->names.rows) / t->names.row_size];

		json_object(j, NULL);
		json_string_n(j, "name", name->row.key, name->row.len);
		json_uint(j, "queries", name->queries);
		json_uint(j, "answers", name->answers);
		json_array(j, "ips");
		for (uint32_t k = 0; k < of->count; k++)
			put_row_key(j, NULL, &t->ips, of->ips[k]);
		json_end(j);
		put_number(j, "more_ips", of->others);
		json_end(j);
	}
	json_end(j);
	return 0;
}

struct process_sum {
	uint64_t flows, up, down;
};

static int put_processes(struct json *j, const struct talks *f)
{
	size_t n = table_count(&f->processes);
	cleanup_free struct process_sum *sums = calloc(n + 1, sizeof(*sums));

	if (!sums)
		return -1;
	for (uint32_t i = 1; i < table_count(&f->links); i++) {
		const struct talks_link *t = table_row(&f->links, i);

		sums[t->process].flows += t->flows;
		sums[t->process].up += t->up;
		sums[t->process].down += t->down;
	}
	json_uint(j, "processes_total", n ? n - 1 : 0);
	json_array(j, "processes");
	for (uint32_t i = 1; i < MIN(n, (size_t)PROCESSES_MAX); i++) {
		const struct talks_process *p = table_row(&f->processes, i);

		json_object(j, NULL);
		put_process(j, "process", f, i);
		put(j, "exe", (struct text){ p->row.key, p->exe_len });
		put_number(j, "pid", p->pid);
		put_number(j, "pids", p->processes);
		json_uint(j, "flows", sums[i].flows);
		put_number(j, "up", sums[i].up);
		put_number(j, "down", sums[i].down);
		json_end(j);
	}
	json_end(j);
	return 0;
}

static void put_runs(struct json *j, const struct tally *t)
{
	size_t n = table_count(&t->runs);

	json_uint(j, "runs_total", n ? n - 1 : 0);
	json_array(j, "runs");
	for (uint32_t i = 1; i < MIN(n, (size_t)RUNS_MAX); i++) {
		const struct tally_run *run = table_row(&t->runs, i);

		json_object(j, NULL);
		if (run->row.key[0] != '\n')
			json_string_n(j, "id", run->row.key, run->row.len);
		put(j, "command", talks_text(t->talks, run->command));
		put_number(j, "first", run->first_ms);
		put_number(j, "last", run->last_ms);
		if (run->has_exit)
			json_int(j, "exit", run->exit_code);
		put_number(j, "lost", run->lost_records);
		json_end(j);
	}
	json_end(j);
}

static void put_activity(struct json *j, const struct activity *a)
{
	size_t used = 0;

	if (!a->any)
		return;
	used = (a->last_ms - a->start_ms) / a->bin_ms + 1;
	json_object(j, "activity");
	json_uint(j, "start", a->start_ms);
	json_uint(j, "width", a->bin_ms);
	json_array(j, "bins");
	for (size_t i = 0; i < MIN(used, (size_t)ACTIVITY_BINS); i++) {
		const struct activity_bin *b = &a->bins[i];

		json_array(j, NULL);
		json_uint(j, NULL, b->flows);
		json_uint(j, NULL, b->refusals);
		json_uint(j, NULL, b->queries);
		json_uint(j, NULL, b->up);
		json_uint(j, NULL, b->down);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}

static void put_left_out(void *ctx, const char *table, uint64_t n)
{
	json_uint(ctx, table, n);
}

static void put_totals(struct json *j, const struct report *r)
{
	const struct view *v = r->view;
	const struct tally *t = v->tally;
	struct render_event events[RENDER_EVENTS_MAX];
	size_t n = render_events(t, events);

	json_array(j, "files");
	for (size_t i = 0; i < r->file_count; i++)
		json_string(j, NULL, r->files[i]);
	json_end(j);
	json_object(j, "events");
	for (size_t i = 0; i < n; i++)
		json_uint(j, events[i].name, events[i].n);
	json_end(j);
	json_object(j, "left_out");
	tally_left_out(t, put_left_out, j);
	json_end(j);
	json_uint(j, "flows_total", t->talks->ended);
	json_uint(j, "up", t->talks->up);
	json_uint(j, "down", t->talks->down);
	json_uint(j, "proxied", t->proxied);
	put_number(j, "first", t->talks->activity.first_ms);
	put_number(j, "last", t->talks->activity.last_ms);
	json_counts(j, "schemas", &v->counts[COUNT_SCHEMAS], COUNTS_MAX);
	json_counts(j, "protocols", &v->counts[COUNT_PROTOCOLS], COUNTS_MAX);
	json_counts(j, "reasons", &v->counts[COUNT_VIOLATIONS], COUNTS_MAX);
	json_counts(j, "errors", &v->counts[COUNT_CONNECT_ERRORS], COUNTS_MAX);
	json_counts(j, "failures", &v->counts[COUNT_FAILURES], COUNTS_MAX);
}

static int put_data(struct json *j, const struct report *r)
{
	const struct tally *t = r->view->tally;
	int ret;

	json_object(j, NULL);
	put_totals(j, r);
	put_runs(j, t);
	put_activity(j, &t->talks->activity);
	ret = put_flows(j, t) || put_talks(j, t->talks) || put_refusals(j, t->talks) ||
	      put_names(j, t) || put_processes(j, t->talks);
	json_end(j);
	return ret ? -1 : 0;
}

/* --- the page --- */

/* Bears the same nonce wherever the page has one. */
static void put_with_nonce(FILE *out, const char *text, size_t len, const char *nonce)
{
	const char *end = text + len, *mark;

	while ((mark = memmem(text, end - text, "NONCE", 5))) {
		fwrite(text, 1, mark - text, out);
		fputs(nonce, out);
		text = mark + 5;
	}
	fwrite(text, 1, end - text, out);
}

static int make_nonce(char out[static 33])
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -1;
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
	return 0;
}

static void put_page(FILE *out, const char *data, const char *nonce)
{
	const struct {
		const char *mark, *text;
	} parts[] = { { "/*STYLE*/", style },
		      { "/*DATA*/", data },
		      { "/*SCRIPT*/", script } };
	const char *at = page, *mark;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		mark = strstr(at, parts[i].mark);
		assert(mark);
		put_with_nonce(out, at, mark - at, nonce);
		fputs(parts[i].text, out);
		at = mark + strlen(parts[i].mark);
	}
	put_with_nonce(out, at, strlen(at), nonce);
}

int render_html(const struct report *r, FILE *out)
{
	struct json *j = json_new(JSON_IN_HTML);
	const char *data = NULL;
	char nonce[33];
	size_t len;

	assert(r->view->tally->talks);
	if (j && make_nonce(nonce) == 0 && put_data(j, r) == 0)
		data = json_text(j, &len);
	if (data)
		put_page(out, data, nonce);
	json_free(j);
	return data ? 0 : -1;
}
