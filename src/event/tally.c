#include "event/tally.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "event/talks.h"

#define COMMAND_MAX 512
#define RCODE_SERVFAIL 2 /* nobody has answered */

static const char *const count_names[] = {
	[COUNT_PROTOCOLS] = "protocols",
	[COUNT_VIOLATIONS] = "policy_violations",
	[COUNT_CONTROLS] = "policy_controls",
	[COUNT_DOMAINS] = "policy_matched_domains",
	[COUNT_CONNECT_ERRORS] = "connect_errors",
	[COUNT_FAILURES] = "runtime_failures",
	[COUNT_PHASES] = "runtime_failure_phases",
	[COUNT_SCHEMAS] = "schema_versions",
};
static_assert(ARRAY_SIZE(count_names) == COUNT_TABLES, "one name per table");

#define OFFSET(field) offsetof(struct tally, field)

static const struct {
	const char *name;
	size_t offset, row_size;
} tables[] = {
	{ "dns_names", OFFSET(names), sizeof(struct tally_name) },
	{ "addresses", OFFSET(ips), sizeof(struct tally_count) },
	{ "connection_targets", OFFSET(targets), sizeof(struct tally_target) },
	{ "runs", OFFSET(runs), sizeof(struct tally_run) },
	{ "dns_answers", OFFSET(answers), sizeof(struct tally_answer) },
	{ "targets_by_run", OFFSET(run_targets), sizeof(struct tally_run_target) },
	{ "matched_domains_by_address", OFFSET(matches), sizeof(struct tally_match) },
};

static struct table *table_at(struct tally *t, size_t i)
{
	return (struct table *)((char *)t + tables[i].offset);
}

void tally_init(struct tally *t)
{
	*t = (struct tally){ .logs = 0 };
	for (size_t i = 0; i < COUNT_TABLES; i++)
		table_init(&t->counts[i], sizeof(struct tally_count));
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		table_init(table_at(t, i), tables[i].row_size);
	tally_next_log(t);
}

int tally_init_with_talks(struct tally *t)
{
	tally_init(t);
	t->talks = talks_new();
	return t->talks ? 0 : -1;
}

void tally_free(struct tally *t)
{
	for (size_t i = 0; i < COUNT_TABLES; i++)
		table_free(&t->counts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		table_free(table_at(t, i));
	talks_free(t->talks);
	t->talks = NULL;
}

void tally_next_log(struct tally *t)
{
	/* No run_id begins like this. */
	snprintf(t->log_id, sizeof(t->log_id), "\nlog %u", ++t->logs);
}

void tally_left_out(const struct tally *t,
		    void (*fn)(void *ctx, const char *table, uint64_t n), void *ctx)
{
	for (size_t i = 0; i < COUNT_TABLES; i++) {
		if (t->counts[i].left_out)
			fn(ctx, count_names[i], t->counts[i].left_out);
	}
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		const struct table *table = table_at((struct tally *)t, i);

		if (table->left_out)
			fn(ctx, tables[i].name, table->left_out);
	}
	if (t->talks)
		talks_left_out(t->talks, fn, ctx);
}

enum event_kind tally_kind(struct text name)
{
	for (int k = 0; k < EVENT_COUNT; k++) {
		const char *known = event_name(k);

		if (strlen(known) == name.len && memcmp(known, name.s, name.len) == 0)
			return k;
	}
	return EVENT_COUNT;
}

static void count(struct table *t, struct text key)
{
	struct tally_count *row;
	uint32_t i;

	if (!key.s)
		return;
	i = table_add(t, key.s, key.len);
	row = table_row(t, i);
	row->n++;
}

/* The address in "1.2.3.4:5" or "[::1]:5". */
static struct text address_of(struct text endpoint)
{
	size_t len = endpoint.len;

	while (len && endpoint.s[len - 1] != ':')
		len--;
	if (!len)
		return endpoint;
	len--;
	if (len >= 2 && endpoint.s[0] == '[' && endpoint.s[len - 1] == ']')
		return (struct text){ endpoint.s + 1, len - 2 };
	return (struct text){ endpoint.s, len };
}

static uint32_t address(struct tally *t, const struct entry *rec, struct text endpoint)
{
	struct text ip = rec->text[TEXT_REMOTE_IP];

	if (!ip.s)
		ip = address_of(endpoint);
	return table_add(&t->ips, ip.s, ip.len);
}

static struct text endpoint_of(const struct entry *rec)
{
	struct text to = rec->text[TEXT_REMOTE_ADDR];

	return to.s ? to : rec->text[TEXT_REMOTE];
}

/* The rows in which a record of a flow counts; without a target, NULL. */
struct connect_rows {
	struct tally_connects *all, *in_run;
};

static struct connect_rows connects(struct tally *t, const struct entry *rec)
{
	struct text to = endpoint_of(rec);
	struct tally_run_target *in_run;
	struct tally_target *target;
	uint32_t i, key[2];

	if (!to.s)
		return (struct connect_rows){ NULL, NULL };
	i = table_add(&t->targets, to.s, to.len);
	target = table_row(&t->targets, i);
	if (i && !target->ip)
		target->ip = address(t, rec, to);
	key[0] = t->run;
	key[1] = i;
	in_run = table_row(&t->run_targets,
			   i ? table_add(&t->run_targets, key, sizeof(key)) : 0);
	in_run->run = t->run;
	in_run->target = i;
	return (struct connect_rows){ &target->connects, &in_run->connects };
}

static void add_attempt(struct tally *t, const struct entry *rec)
{
	struct connect_rows rows = connects(t, rec);

	if (rec->flag[FLAG_VIA_PROXY])
		t->proxied++;
	else
		t->direct++;
	if (!rows.all)
		return;
	rows.all->attempts++;
	rows.in_run->attempts++;
}

static bool text_is(struct text text, const char *what)
{
	return text.s && text.len == strlen(what) && memcmp(text.s, what, text.len) == 0;
}

static void add_result(struct tally *t, const struct entry *rec)
{
	struct connect_rows rows = connects(t, rec);
	bool ok = text_is(rec->text[TEXT_STATUS], "ok");
	struct text why = rec->text[TEXT_ERROR];

	if (!ok)
		count(&t->counts[COUNT_CONNECT_ERRORS],
		      why.s ? why : (struct text){ "unknown", 7 });
	if (!rows.all)
		return;
	rows.all->ok += ok;
	rows.in_run->ok += ok;
	rows.all->error += !ok;
	rows.in_run->error += !ok;
}

static void add_end(struct tally *t, const struct entry *rec)
{
	struct connect_rows rows = connects(t, rec);

	if (!rows.all)
		return;
	rows.all->end++;
	rows.in_run->end++;
}

static void add_query(struct tally *t, const struct entry *rec)
{
	struct text qname = rec->text[TEXT_QNAME];
	struct tally_name *name;

	if (!qname.s)
		return;
	name = table_row(&t->names, table_add(&t->names, qname.s, qname.len));
	name->queries++;
}

static void add_answer(struct tally *t, const struct entry *rec)
{
	struct text qname = rec->text[TEXT_QNAME];
	struct tally_answer *answer;
	struct tally_name *name;
	uint32_t key[3] = { t->run };
	bool empty = text_is(rec->text[TEXT_MODE], "synthetic_empty");

	if (!qname.s)
		return;
	key[1] = table_add(&t->names, qname.s, qname.len);
	name = table_row(&t->names, key[1]);
	name->answers++;
	name->found += !empty && !rec->number[NUMBER_RCODE];
	name->passed += !empty || rec->number[NUMBER_RCODE] == RCODE_SERVFAIL;
	for (size_t i = 0; i < rec->list[LIST_ANSWER_IPS].count; i++) {
		struct text ip = rec->list[LIST_ANSWER_IPS].items[i];

		key[2] = table_add(&t->ips, ip.s, ip.len);
		if (!key[1] || !key[2])
			continue;
		answer = table_row(&t->answers, table_add(&t->answers, key, sizeof(key)));
		answer->run = key[0];
		answer->name = key[1];
		answer->ip = key[2];
	}
}

static void add_violation(struct tally *t, const struct entry *rec)
{
	struct text domain = rec->text[TEXT_MATCHED_DOMAIN];
	struct text ip = rec->text[TEXT_REMOTE_IP];
	struct table *domains = &t->counts[COUNT_DOMAINS];
	uint32_t key[3] = { t->run };
	struct tally_match *match;

	count(&t->counts[COUNT_VIOLATIONS], rec->text[TEXT_REASON_CODE]);
	count(&t->counts[COUNT_CONTROLS], rec->text[TEXT_CONTROL]);
	count(domains, domain);
	if (!domain.s || !ip.s)
		return;
	key[1] = table_add(&t->ips, ip.s, ip.len);
	key[2] = table_find(domains, domain.s, domain.len);
	if (!key[1] || !key[2])
		return;
	match = table_row(&t->matches, table_add(&t->matches, key, sizeof(key)));
	match->run = key[0];
	match->ip = key[1];
	match->domain = key[2];
	match->n++;
}

static void add_failure(struct tally *t, const struct entry *rec)
{
	count(&t->counts[COUNT_FAILURES], rec->text[TEXT_REASON_CODE]);
	count(&t->counts[COUNT_PHASES], rec->text[TEXT_PHASE]);
}

static void add_run_end(struct tally *t, const struct entry *rec)
{
	struct tally_run *run = table_row(&t->runs, t->run);

	run->has_exit = entry_has(rec, NUMBER_EXIT_CODE);
	run->exit_code = rec->number[NUMBER_EXIT_CODE];
	run->lost_records = MAX(rec->number[NUMBER_LOST_RECORDS], 0);
}

/* Its words, as many as fit. Only a page asks for them. */
static void add_run_start(struct tally *t, const struct entry *rec)
{
	const struct text *words = rec->list[LIST_COMMAND].items;
	struct tally_run *run = table_row(&t->runs, t->run);
	char text[COMMAND_MAX];
	size_t len = 0;

	if (!t->talks)
		return;
	for (size_t i = 0; i < rec->list[LIST_COMMAND].count; i++) {
		if (words[i].len + 1 > sizeof(text) - len)
			break;
		if (len)
			text[len++] = ' ';
		memcpy(text + len, words[i].s, words[i].len);
		len += words[i].len;
	}
	run->command = talks_intern(t->talks, (struct text){ text, len });
}

static void find_run(struct tally *t, const struct entry *rec)
{
	struct text id = rec->text[TEXT_RUN_ID];
	struct tally_run *run;
	uint64_t now = MAX(rec->number[NUMBER_TS_MS], 0);

	if (id.s)
		t->run = table_add(&t->runs, id.s, id.len);
	else
		t->run = table_add(&t->runs, t->log_id, strlen(t->log_id));
	if (!entry_has(rec, NUMBER_TS_MS))
		return;
	run = table_row(&t->runs, t->run);
	run->first_ms = run->has_time ? MIN(run->first_ms, now) : now;
	run->last_ms = run->has_time ? MAX(run->last_ms, now) : now;
	run->has_time = true;
}

void tally_add(struct tally *t, const struct entry *rec)
{
	static void (*const adds[])(struct tally * t, const struct entry *rec) = {
		[EVENT_RUN_START] = add_run_start,
		[EVENT_DNS_QUERY] = add_query,
		[EVENT_DNS_ANSWER] = add_answer,
		[EVENT_CONNECT_ATTEMPT] = add_attempt,
		[EVENT_CONNECT_RESULT] = add_result,
		[EVENT_FLOW_END] = add_end,
		[EVENT_POLICY_VIOLATION] = add_violation,
		[EVENT_RUNTIME_FAILURE] = add_failure,
		[EVENT_RUN_END] = add_run_end,
		[EVENT_COUNT] = NULL,
	};
	enum event_kind kind = tally_kind(rec->text[TEXT_EVENT]);
	char digits[24];
	int n;

	t->total++;
	if (kind == EVENT_COUNT)
		t->unknown++;
	else
		t->events[kind]++;
	if (entry_has(rec, NUMBER_SCHEMA_VERSION)) {
		n = snprintf(digits, sizeof(digits), "%lld",
			     (long long)rec->number[NUMBER_SCHEMA_VERSION]);
		count(&t->counts[COUNT_SCHEMAS], (struct text){ digits, n });
	}
	count(&t->counts[COUNT_PROTOCOLS], rec->text[TEXT_PROTOCOL]);
	find_run(t, rec);
	if (adds[kind])
		adds[kind](t, rec);
	if (t->talks)
		talks_add(t->talks, kind, t->run, rec);
}

void tally_finish(struct tally *t)
{
	if (t->talks)
		talks_finish(t->talks);
}
