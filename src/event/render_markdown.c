/*
 * All that comes from the log stands in code spans, where Markdown and HTML mean nothing. A
 * span's fence is longer than any run of backticks inside; a pipe in a table is escaped.
 */
#include "event/render.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define OVERVIEW_MAX 5

enum place {
	IN_TEXT,
	IN_TABLE,
};

static size_t longest_run(const char *text, size_t len)
{
	size_t run = 0, longest = 0;

	for (size_t i = 0; i < len; i++) {
		run = text[i] == '`' ? run + 1 : 0;
		longest = MAX(run, longest);
	}
	return longest;
}

static void put_fence(FILE *out, size_t n)
{
	for (; n; n--)
		fputc('`', out);
}

static int put_code(FILE *out, struct text text, enum place place)
{
	cleanup_free char *plain = NULL;
	size_t len, fence;
	FILE *mem = open_memstream(&plain, &len);
	bool pad;

	if (!mem)
		return -1;
	render_plain(mem, text);
	if (fclose(mem) == EOF)
		return -1;
	if (!len) {
		fputs("_empty_", out);
		return 0;
	}
	fence = longest_run(plain, len) + 1;
	/* A renderer takes one space off at both ends, if there is one at both. */
	pad = plain[0] == '`' || plain[len - 1] == '`' ||
	      (plain[0] == ' ' && plain[len - 1] == ' ' && strspn(plain, " ") < len);
	put_fence(out, fence);
	fputs(pad ? " " : "", out);
	for (size_t i = 0; i < len; i++) {
		if (plain[i] == '|' && place == IN_TABLE)
			fputc('\\', out);
		fputc(plain[i], out);
	}
	fputs(pad ? " " : "", out);
	put_fence(out, fence);
	return 0;
}

static int put_codes(FILE *out, const struct view_texts *texts, enum place place)
{
	for (size_t i = 0; i < texts->count; i++) {
		fputs(i ? ", " : "", out);
		if (put_code(out, texts->items[i], place))
			return -1;
	}
	fputs(texts->count ? "" : "none", out);
	return 0;
}

/* "`key` (2), `other` (1)" */
static int put_counted(FILE *out, const struct view_counts *counts, size_t limit,
		       enum place place)
{
	for (size_t i = 0; i < MIN(counts->count, limit); i++) {
		fputs(i ? ", " : "", out);
		if (put_code(out, counts->items[i].key, place))
			return -1;
		fprintf(out, " (%llu)", (unsigned long long)counts->items[i].n);
	}
	fputs(counts->count && limit ? "" : "none", out);
	return 0;
}

static int put_bullet(FILE *out, const char *what, const struct view_counts *counts,
		      size_t limit)
{
	int ret;

	fprintf(out, "- %s: ", what);
	ret = put_counted(out, counts, limit, IN_TEXT);
	fputc('\n', out);
	return ret;
}

/* --- sections --- */

static int put_first_name(FILE *out, const char *what, const struct view *v, bool targets,
			  bool policy)
{
	const struct view_name *name = NULL;
	int ret = 0;

	for (size_t i = 0; i < v->name_count && !name; i++) {
		const struct view_name *n = &v->names[i];

		if ((!targets || n->target_count) && (!policy || view_is_policy_name(n)))
			name = n;
	}
	fprintf(out, "- %s: ", what);
	if (name) {
		ret = put_code(out, name->name, IN_TEXT);
		if (ret == 0 && name->target_count && (targets || policy)) {
			fputs(" -> ", out);
			ret = put_code(out, name->targets[0].target, IN_TEXT);
		}
		fprintf(out, " (%llu)", (unsigned long long)name->queries);
	}
	fputs(name ? "\n" : "none\n", out);
	return ret;
}

static int put_highlights(FILE *out, const struct view *v)
{
	static const struct {
		const char *what;
		enum tally_counts table;
	} most[] = {
		{ "most common policy violation", COUNT_VIOLATIONS },
		{ "most common policy control", COUNT_CONTROLS },
		{ "most common matched domain", COUNT_DOMAINS },
		{ "most common connect error", COUNT_CONNECT_ERRORS },
		{ "most common runtime failure", COUNT_FAILURES },
		{ "most common runtime failure phase", COUNT_PHASES },
	};
	int ret = 0;

	fprintf(out, "\n## Highlights\n\n- proxy usage: proxied %llu, direct %llu\n",
		(unsigned long long)v->tally->proxied,
		(unsigned long long)v->tally->direct);
	fputs("- top connection target: ", out);
	if (v->target_count) {
		ret = put_code(out, v->targets[0].target, IN_TEXT);
		fprintf(out, " (%llu)\n",
			(unsigned long long)v->targets[0].connects.attempts);
	} else {
		fputs("none\n", out);
	}
	ret |= put_first_name(out, "top DNS name", v, false, false);
	ret |= put_first_name(out, "top DNS target correlation", v, true, false);
	ret |= put_first_name(out, "top DNS policy correlation", v, false, true);
	for (size_t i = 0; i < ARRAY_SIZE(most); i++)
		ret |= put_bullet(out, most[i].what, &v->counts[most[i].table], 1);
	return ret;
}

static int put_overviews(FILE *out, const struct view *v)
{
	int ret = 0;

	fputs("\n## DNS overview\n\n", out);
	for (size_t i = 0; i < MIN(v->name_count, (size_t)OVERVIEW_MAX); i++) {
		fputs("- ", out);
		ret |= put_code(out, v->names[i].name, IN_TEXT);
		fprintf(out, ": queries %llu, answers %llu, addresses ",
			(unsigned long long)v->names[i].queries,
			(unsigned long long)v->names[i].answers);
		ret |= put_codes(out, &v->names[i].ips, IN_TEXT);
		fputc('\n', out);
	}
	fputs(v->name_count ? "" : "_none_\n", out);
	fputs("\n## Policy overview\n\n", out);
	ret |= put_bullet(out, "violations", &v->counts[COUNT_VIOLATIONS], OVERVIEW_MAX);
	ret |= put_bullet(out, "controls", &v->counts[COUNT_CONTROLS], OVERVIEW_MAX);
	ret |= put_bullet(out, "matched domains", &v->counts[COUNT_DOMAINS],
			  OVERVIEW_MAX);
	fputs("\n## Runtime overview\n\n", out);
	ret |= put_bullet(out, "connect errors", &v->counts[COUNT_CONNECT_ERRORS],
			  OVERVIEW_MAX);
	ret |= put_bullet(out, "failures", &v->counts[COUNT_FAILURES], OVERVIEW_MAX);
	ret |= put_bullet(out, "failure phases", &v->counts[COUNT_PHASES], OVERVIEW_MAX);
	return ret;
}

/* --- tables --- */

static int put_count_table(FILE *out, const char *title, const char *column,
			   const struct view_counts *counts)
{
	fprintf(out, "\n## %s\n\n", title);
	if (!counts->count) {
		fputs("_none_\n", out);
		return 0;
	}
	fprintf(out, "| %s | Count |\n| --- | ---: |\n", column);
	for (size_t i = 0; i < counts->count; i++) {
		fputs("| ", out);
		if (put_code(out, counts->items[i].key, IN_TABLE))
			return -1;
		fprintf(out, " | %llu |\n", (unsigned long long)counts->items[i].n);
	}
	return 0;
}

static int put_name_cells(FILE *out, const struct view_name *name)
{
	fputs("| ", out);
	if (put_code(out, name->name, IN_TABLE))
		return -1;
	fprintf(out, " | %llu | %llu | ", (unsigned long long)name->queries,
		(unsigned long long)name->answers);
	return put_codes(out, &name->ips, IN_TABLE);
}

static int put_target_cell(FILE *out, const struct view_target *to)
{
	if (put_code(out, to->target, IN_TABLE))
		return -1;
	fprintf(out, " | %llu | %llu | %llu | %llu",
		(unsigned long long)to->connects.attempts,
		(unsigned long long)to->connects.ok,
		(unsigned long long)to->connects.error,
		(unsigned long long)to->connects.end);
	return 0;
}

static int put_name_table(FILE *out, const struct view *v)
{
	fputs("\n## Top DNS names\n\n", out);
	if (!v->name_count) {
		fputs("_none_\n", out);
		return 0;
	}
	fputs("| Name | Queries | Answers | Addresses |\n| --- | ---: | ---: | --- |\n",
	      out);
	for (size_t i = 0; i < v->name_count; i++) {
		if (put_name_cells(out, &v->names[i]))
			return -1;
		fputs(" |\n", out);
	}
	return 0;
}

#define TARGET_COLUMNS "Target | Attempts | Ok | Errors | Ends"
#define TARGET_RULES "--- | ---: | ---: | ---: | ---:"

static int put_correlation_table(FILE *out, const struct view *v)
{
	size_t rows = 0;

	fputs("\n## DNS target correlations\n\n", out);
	for (size_t i = 0; i < v->name_count; i++) {
		const struct view_name *name = &v->names[i];

		for (size_t k = 0; k < MAX(name->target_count, (size_t)1); k++) {
			if (!rows++)
				fputs("| Name | Queries | Answers | Addresses "
				      "| " TARGET_COLUMNS " |\n"
				      "| --- | ---: | ---: | --- | " TARGET_RULES " |\n",
				      out);
			if (put_name_cells(out, name))
				return -1;
			fputs(" | ", out);
			if (!name->target_count)
				fputs("none | 0 | 0 | 0 | 0", out);
			else if (put_target_cell(out, &name->targets[k]))
				return -1;
			fputs(" |\n", out);
		}
	}
	fputs(rows ? "" : "_none_\n", out);
	return 0;
}

static int put_policy_table(FILE *out, const struct view *v)
{
	struct view_row rows[VIEW_NAMES * VIEW_NAME_TARGETS];
	size_t n = view_rows(v, VIEW_NAMES, VIEW_NAME_TARGETS, rows);

	fputs("\n## DNS policy correlations\n\n", out);
	if (n)
		fputs("| Name | Queries | Answers | Addresses | " TARGET_COLUMNS
		      " | Matched domains |\n"
		      "| --- | ---: | ---: | --- | " TARGET_RULES " | --- |\n",
		      out);
	for (size_t i = 0; i < n; i++) {
		if (put_name_cells(out, rows[i].name))
			return -1;
		fputs(" | ", out);
		if (!rows[i].target)
			fputs("none | 0 | 0 | 0 | 0", out);
		else if (put_target_cell(out, rows[i].target))
			return -1;
		fputs(" | ", out);
		if (put_counted(out, rows[i].matched, SIZE_MAX, IN_TABLE))
			return -1;
		fputs(" |\n", out);
	}
	fputs(n ? "" : "_none_\n", out);
	return 0;
}

static int put_target_table(FILE *out, const struct view *v)
{
	fputs("\n## Top connection targets\n\n", out);
	if (v->target_count)
		fputs("| " TARGET_COLUMNS " | DNS names | Matched domains |\n"
		      "| " TARGET_RULES " | --- | --- |\n",
		      out);
	for (size_t i = 0; i < v->target_count; i++) {
		fputs("| ", out);
		if (put_target_cell(out, &v->targets[i]))
			return -1;
		fputs(" | ", out);
		if (put_codes(out, &v->targets[i].names, IN_TABLE))
			return -1;
		fputs(" | ", out);
		if (put_counted(out, &v->targets[i].matched, SIZE_MAX, IN_TABLE))
			return -1;
		fputs(" |\n", out);
	}
	fputs(v->target_count ? "" : "_none_\n", out);
	return 0;
}

static void put_left_out(void *ctx, const char *table, uint64_t n)
{
	fprintf(ctx, "- left out of the full table `%s`, and counted as `other`: %llu\n",
		table, (unsigned long long)n);
}

static int put_head(FILE *out, const struct report *r)
{
	const struct tally *t = r->view->tally;
	const struct view_counts *schemas = &r->view->counts[COUNT_SCHEMAS];

	fputs("# childflow report\n\n- flow-log: ", out);
	for (size_t i = 0; i < r->file_count; i++) {
		fputs(i ? ", " : "", out);
		if (put_code(out, (struct text){ r->files[i], strlen(r->files[i]) },
			     IN_TEXT))
			return -1;
	}
	fputs("\n- schema-version: ", out);
	for (size_t i = 0; i < schemas->count; i++) {
		fputs(i ? ", " : "", out);
		if (put_code(out, schemas->items[i].key, IN_TEXT))
			return -1;
	}
	fputs(schemas->count ? "\n" : "`unknown`\n", out);
	tally_left_out(t, put_left_out, out);
	return 0;
}

static void put_events(FILE *out, const struct tally *t)
{
	struct render_event events[RENDER_EVENTS_MAX];
	size_t n = render_events(t, events);

	fputs("\n## Event counts\n\n| Event | Count |\n| --- | ---: |\n", out);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "| `%s` | %llu |\n", events[i].name,
			(unsigned long long)events[i].n);
}

int render_markdown(const struct report *r, FILE *out)
{
	static const struct {
		const char *title, *column;
		enum tally_counts table;
	} tables[] = {
		{ "Policy violations", "Reason", COUNT_VIOLATIONS },
		{ "Policy controls", "Control", COUNT_CONTROLS },
		{ "Policy matched domains", "Domain", COUNT_DOMAINS },
		{ "Connect errors", "Error", COUNT_CONNECT_ERRORS },
		{ "Runtime failures", "Failure", COUNT_FAILURES },
		{ "Runtime failure phases", "Phase", COUNT_PHASES },
	};
	const struct view *v = r->view;

	if (put_head(out, r) || put_highlights(out, v))
		return -1;
	put_events(out, v->tally);
	if (put_overviews(out, v) ||
	    put_count_table(out, "Protocols", "Protocol", &v->counts[COUNT_PROTOCOLS]) ||
	    put_name_table(out, v) || put_correlation_table(out, v) ||
	    put_policy_table(out, v))
		return -1;
	fprintf(out,
		"\n## Proxy usage\n\n| Usage | Count |\n| --- | ---: |\n"
		"| `proxied_connect_attempts` | %llu |\n"
		"| `direct_connect_attempts` | %llu |\n",
		(unsigned long long)v->tally->proxied,
		(unsigned long long)v->tally->direct);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (put_count_table(out, tables[i].title, tables[i].column,
				    &v->counts[tables[i].table]))
			return -1;
	}
	return put_target_table(out, v);
}
