#include "event/render.h"

#include <string.h>

#include "base/utf8.h"
#include "base/util.h"

/* --- what text is made of --- */

static bool turns_direction(const char *c, size_t n)
{
	/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 */
	const unsigned char *u = (const unsigned char *)c;

	if (n != 3 || u[0] != 0xe2)
		return false;
	return (u[1] == 0x80 &&
		(u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xaa && u[2] <= 0xae))) ||
	       (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9);
}

void render_plain(FILE *out, struct text text)
{
	const char *end = text.s + text.len;
	size_t n;

	for (const char *c = text.s; c < end; c += n) {
		unsigned char first = *c;

		n = utf8_length(c, end);
		if (!n || first < 0x20 || first == 0x7f) {
			n = 1;
			fprintf(out, "\\x%02x", first);
		} else if (n == 2 && first == 0xc2 && (unsigned char)c[1] < 0xa0) {
			fprintf(out, "\\x%02x", (unsigned char)c[1]);
		} else if (turns_direction(c, n)) {
			fprintf(out, "\\u%04x",
				(first & 15) << 12 | (c[1] & 63) << 6 | (c[2] & 63));
		} else {
			fwrite(c, 1, n, out);
		}
	}
}

void render_plain_string(FILE *out, const char *text)
{
	render_plain(out, (struct text){ text, strlen(text) });
}

size_t render_events(const struct tally *t,
		     struct render_event out[static RENDER_EVENTS_MAX])
{
	static const enum event_kind first[] = {
		EVENT_DNS_QUERY,       EVENT_DNS_ANSWER,       EVENT_CONNECT_ATTEMPT,
		EVENT_CONNECT_RESULT,  EVENT_POLICY_VIOLATION, EVENT_FLOW_END,
		EVENT_RUNTIME_FAILURE,
	};
	static const enum event_kind later[] = { EVENT_RUN_START, EVENT_FLOW_START,
						 EVENT_RUN_END };
	size_t n = 0;

	static_assert(ARRAY_SIZE(first) + ARRAY_SIZE(later) == EVENT_COUNT, "all kinds");
	out[n++] = (struct render_event){ "total", t->total };
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		out[n++] = (struct render_event){ event_name(first[i]),
						  t->events[first[i]] };
	out[n++] = (struct render_event){ "unknown_event", t->unknown };
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		if (t->events[later[i]])
			out[n++] = (struct render_event){ event_name(later[i]),
							  t->events[later[i]] };
	}
	return n;
}

void render_counts(FILE *out, const struct view_counts *counts, size_t limit)
{
	for (size_t i = 0; i < MIN(counts->count, limit); i++) {
		fputs(i ? ", " : "", out);
		render_plain(out, counts->items[i].key);
		fprintf(out, "=%llu", (unsigned long long)counts->items[i].n);
	}
	if (!counts->count)
		fputs("none", out);
}

void render_list(FILE *out, const struct view_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		fputs(i ? ", " : "", out);
		render_plain(out, texts->items[i]);
	}
	if (!texts->count)
		fputs("none", out);
}

void render_connects(FILE *out, const struct tally_connects *c)
{
	fprintf(out, "attempts=%llu, ok=%llu, error=%llu, flow_end=%llu",
		(unsigned long long)c->attempts, (unsigned long long)c->ok,
		(unsigned long long)c->error, (unsigned long long)c->end);
}

void render_targets(FILE *out, const struct view_name *name, size_t targets, size_t rules)
{
	size_t n = MIN(name->target_count, targets);

	fputs("targets=", out);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", out);
		render_plain(out, name->targets[i].target);
		fputs(" (", out);
		render_connects(out, &name->targets[i].connects);
		fputs(", matched_domains=", out);
		render_counts(out, &name->targets[i].matched, rules);
		fputc(')', out);
	}
	fputs(n ? "" : "none", out);
}

/* --- the report --- */

static void put_none(FILE *out)
{
	fputs("  <none>\n", out);
}

static void put_counts(FILE *out, const char *title, const struct view_counts *counts)
{
	fprintf(out, "%s:\n", title);
	for (size_t i = 0; i < counts->count; i++) {
		fputs("  ", out);
		render_plain(out, counts->items[i].key);
		fprintf(out, ": %llu\n", (unsigned long long)counts->items[i].n);
	}
	if (!counts->count)
		put_none(out);
}

static void put_name(FILE *out, const struct view_name *name)
{
	fputs("  ", out);
	render_plain(out, name->name);
	fprintf(out, ": queries=%llu, answers=%llu, answer_ips=",
		(unsigned long long)name->queries, (unsigned long long)name->answers);
	render_list(out, &name->ips);
}

static void put_names(FILE *out, const struct view *v)
{
	size_t policy_names = 0;

	fputs("top-dns-names:\n", out);
	for (size_t i = 0; i < v->name_count; i++) {
		put_name(out, &v->names[i]);
		fputc('\n', out);
	}
	if (!v->name_count)
		put_none(out);
	fputs("dns-target-correlations:\n", out);
	for (size_t i = 0; i < v->name_count; i++) {
		put_name(out, &v->names[i]);
		fputs(", ", out);
		render_targets(out, &v->names[i], SIZE_MAX, SIZE_MAX);
		fputc('\n', out);
	}
	if (!v->name_count)
		put_none(out);
	fputs("dns-policy-correlations:\n", out);
	for (size_t i = 0; i < v->name_count; i++) {
		if (!view_is_policy_name(&v->names[i]))
			continue;
		policy_names++;
		put_name(out, &v->names[i]);
		fputs(", matched_domains=", out);
		render_counts(out, &v->names[i].matched, SIZE_MAX);
		fputs(", ", out);
		render_targets(out, &v->names[i], SIZE_MAX, SIZE_MAX);
		fputc('\n', out);
	}
	if (!policy_names)
		put_none(out);
}

static void put_top_targets(FILE *out, const struct view *v)
{
	fputs("top-connection-targets:\n", out);
	for (size_t i = 0; i < v->target_count; i++) {
		fputs("  ", out);
		render_plain(out, v->targets[i].target);
		fputs(": ", out);
		render_connects(out, &v->targets[i].connects);
		fputs(", dns_names=", out);
		render_list(out, &v->targets[i].names);
		fputs(", matched_domains=", out);
		render_counts(out, &v->targets[i].matched, SIZE_MAX);
		fputc('\n', out);
	}
	if (!v->target_count)
		put_none(out);
}

static void put_left_out(void *ctx, const char *table, uint64_t n)
{
	fprintf(ctx, "  %s: %llu\n", table, (unsigned long long)n);
}

static void put_head(const struct report *r, FILE *out)
{
	const struct tally *t = r->view->tally;
	const struct view_counts *schemas = &r->view->counts[COUNT_SCHEMAS];
	struct render_event events[RENDER_EVENTS_MAX];
	size_t n = render_events(t, events);

	fputs("childflow report\nflow-log: ", out);
	for (size_t i = 0; i < r->file_count; i++) {
		fputs(i ? ", " : "", out);
		render_plain_string(out, r->files[i]);
	}
	fputs("\nschema-version: ", out);
	for (size_t i = 0; i < schemas->count; i++) {
		fputs(i ? ", " : "", out);
		render_plain(out, schemas->items[i].key);
	}
	fprintf(out, "%s\nevents:\n", schemas->count ? "" : "unknown");
	for (size_t i = 0; i < n; i++)
		fprintf(out, "  %s: %llu\n", events[i].name,
			(unsigned long long)events[i].n);
}

static void count_left_out(void *ctx, const char *table, uint64_t n)
{
	(void)table;
	*(uint64_t *)ctx += n;
}

int render_text(const struct report *r, FILE *out)
{
	const struct view *v = r->view;
	uint64_t left_out = 0;

	put_head(r, out);
	tally_left_out(v->tally, count_left_out, &left_out);
	if (left_out) {
		fprintf(out, "left-out: (a table was full; these count as \"other\")\n");
		tally_left_out(v->tally, put_left_out, out);
	}
	put_counts(out, "protocols", &v->counts[COUNT_PROTOCOLS]);
	put_names(out, v);
	fprintf(out,
		"proxy-usage:\n  proxied_connect_attempts: %llu\n"
		"  direct_connect_attempts: %llu\n",
		(unsigned long long)v->tally->proxied,
		(unsigned long long)v->tally->direct);
	put_counts(out, "policy-violations", &v->counts[COUNT_VIOLATIONS]);
	put_counts(out, "policy-controls", &v->counts[COUNT_CONTROLS]);
	put_counts(out, "policy-matched-domains", &v->counts[COUNT_DOMAINS]);
	put_counts(out, "connect-errors", &v->counts[COUNT_CONNECT_ERRORS]);
	put_counts(out, "runtime-failures", &v->counts[COUNT_FAILURES]);
	put_counts(out, "runtime-failure-phases", &v->counts[COUNT_PHASES]);
	put_top_targets(out, v);
	return 0;
}
