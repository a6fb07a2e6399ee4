/*
 * A flow's records come in order, but others' stand between: those without an end wait in a
 * hash of TALKS_OPEN_MAX places, by run and flow_id. When it is full, those that have failed
 * are counted at once, for nothing but their end is still to come; if none has, a flow is
 * counted by its end alone.
 *
 * The timeline keeps the TALKS_KEPT_MAX flows that moved most (ties: the earlier ones).
 */
#include "event/talks.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SLOTS (2 * 131072) /* a power of two, more than twice TALKS_OPEN_MAX */

struct talks_open {
	uint64_t id;
	uint32_t run, process, name, target, protocol, error;
	uint32_t names, synthetic;
	enum talks_asked asked;
	bool taken, failed;
	uint64_t start_ms;
};

struct asked_key {
	uint64_t pid;
	uint32_t run, name;
};

struct talks *talks_new(void)
{
	struct talks *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->open = calloc(SLOTS, sizeof(*f->open));
	if (!f->open) {
		free(f);
		return NULL;
	}
	table_init(&f->texts, sizeof(struct row));
	table_init(&f->targets, sizeof(struct row));
	table_init(&f->processes, sizeof(struct talks_process));
	table_init(&f->pids, sizeof(struct row));
	table_init(&f->asked, sizeof(struct row));
	table_init(&f->name_sets, sizeof(struct row));
	table_init(&f->links, sizeof(struct talks_link));
	table_init(&f->reaches, sizeof(struct talks_reach));
	table_init(&f->refusals, sizeof(struct talks_refusal));
	return f;
}

void talks_free(struct talks *f)
{
	if (!f)
		return;
	table_free(&f->texts);
	table_free(&f->targets);
	table_free(&f->processes);
	table_free(&f->pids);
	table_free(&f->asked);
	table_free(&f->name_sets);
	table_free(&f->links);
	table_free(&f->reaches);
	table_free(&f->refusals);
	free(f->open);
	free(f);
}

void talks_left_out(const struct talks *f,
		    void (*fn)(void *ctx, const char *table, uint64_t n), void *ctx)
{
	const struct {
		const char *name;
		const struct table *table;
	} tables[] = {
		{ "texts", &f->texts },
		{ "flow_targets", &f->targets },
		{ "processes", &f->processes },
		{ "pids", &f->pids },
		{ "questions_of_processes", &f->asked },
		{ "names_of_targets", &f->name_sets },
		{ "connections", &f->links },
		{ "ways_to_targets", &f->reaches },
		{ "refusals", &f->refusals },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (tables[i].table->left_out)
			fn(ctx, tables[i].name, tables[i].table->left_out);
	}
}

struct text talks_text(const struct talks *f, uint32_t i)
{
	const struct row *row = table_row(&f->texts, i);

	return i ? (struct text){ row->key, row->len } : (struct text){ "", 0 };
}

struct text talks_process_name(const struct talks *f, uint32_t process)
{
	const struct talks_process *p = table_row(&f->processes, process);
	const char *key = p->row.key, *slash;
	size_t comm_len;

	if (!process)
		return (struct text){ "", 0 };
	comm_len = p->row.len - p->exe_len - 1;
	if (comm_len)
		return (struct text){ key + p->exe_len + 1, comm_len };
	slash = memrchr(key, '/', p->exe_len);
	return slash ? (struct text){ slash + 1, key + p->exe_len - slash - 1 } :
		       (struct text){ key, p->exe_len };
}

static uint32_t intern(struct table *t, struct text text)
{
	return text.s && text.len ? table_add(t, text.s, text.len) : 0;
}

/* --- what a record says --- */

uint32_t talks_intern(struct talks *f, struct text text)
{
	return intern(&f->texts, text);
}

static uint32_t process_of(struct talks *f, const struct entry *rec)
{
	struct text exe = rec->text[TEXT_EXE], comm = rec->text[TEXT_COMM];
	uint64_t pid = MAX(rec->number[NUMBER_PID], 0), pid_key[2];
	char key[4096 + 64];
	size_t exe_len = MIN(exe.s ? exe.len : 0, (size_t)4096);
	size_t comm_len = MIN(comm.s ? comm.len : 0, (size_t)63);
	struct talks_process *p;
	uint32_t i, known;

	if (!exe_len && !comm_len)
		return 0;
	memcpy(key, exe_len ? exe.s : "", exe_len);
	key[exe_len] = '\0';
	memcpy(key + exe_len + 1, comm_len ? comm.s : "", comm_len);
	i = table_add(&f->processes, key, exe_len + 1 + comm_len);
	p = table_row(&f->processes, i);
	if (!i)
		return 0;
	p->exe_len = exe_len;
	pid_key[0] = pid;
	pid_key[1] = i;
	known = table_count(&f->pids);
	if (pid && table_add(&f->pids, pid_key, sizeof(pid_key)) == known) {
		p->pid = p->pid ? p->pid : pid;
		p->processes++;
	}
	return i;
}

/* What a synthetic address stands for, or the newest name that is known. */
static uint32_t name_of(struct talks *f, const struct entry *rec)
{
	size_t n = rec->list[LIST_NAMES].count;

	if (rec->text[TEXT_NAME].s)
		return intern(&f->texts, rec->text[TEXT_NAME]);
	return n ? intern(&f->texts, rec->list[LIST_NAMES].items[n - 1]) : 0;
}

static uint32_t target_of(struct talks *f, const struct entry *rec)
{
	struct text to = rec->text[TEXT_REMOTE_ADDR];

	return intern(&f->targets, to.s ? to : rec->text[TEXT_REMOTE]);
}

static uint64_t time_of(const struct entry *rec)
{
	return MAX(rec->number[NUMBER_TS_MS], 0);
}

/* --- flows kept for the timeline --- */

static bool is_less(const struct talks_kept *a, const struct talks_kept *b)
{
	uint64_t moved_a = a->up + a->down, moved_b = b->up + b->down;

	return moved_a != moved_b ? moved_a < moved_b : a->seq > b->seq;
}

static void swap(struct talks_kept *a, struct talks_kept *b)
{
	struct talks_kept tmp = *a;

	*a = *b;
	*b = tmp;
}

static void sink(struct talks *f, size_t i)
{
	for (;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < f->kept_count; k++) {
			if (is_less(&f->kept[k], &f->kept[least]))
				least = k;
		}
		if (least == i)
			return;
		swap(&f->kept[i], &f->kept[least]);
		i = least;
	}
}

static void keep(struct talks *f, const struct talks_kept *flow)
{
	size_t i = f->kept_count;

	if (i == TALKS_KEPT_MAX) {
		if (!is_less(&f->kept[0], flow))
			return;
		f->kept[0] = *flow;
		sink(f, 0);
		return;
	}
	f->kept_count++;
	f->kept[i] = *flow;
	for (; i && is_less(&f->kept[i], &f->kept[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&f->kept[i], &f->kept[(i - 1) / 2]);
}

static void count_talk(struct talks *f, const struct talks_kept *flow)
{
	uint32_t key[4] = { flow->process, flow->name, flow->target, flow->protocol };
	uint64_t end_ms = flow->start_ms + flow->duration_ms;
	struct talks_link *talk = table_row(&f->links,
					    table_add(&f->links, key, sizeof(key)));

	talk->process = flow->process;
	talk->name = flow->name;
	talk->target = flow->target;
	talk->protocol = flow->protocol;
	if (!talk->flows || flow->start_ms < talk->first_ms)
		talk->first_ms = flow->start_ms;
	talk->last_ms = MAX(talk->last_ms, end_ms);
	talk->flows++;
	talk->errors += flow->state == FLOW_HAS_FAILED;
	talk->up += flow->up;
	talk->down += flow->down;
	talk->duration_ms += flow->duration_ms;
}

static void end_flow(struct talks *f, struct talks_kept *flow)
{
	flow->seq = f->ended++;
	f->up += flow->up;
	f->down += flow->down;
	count_talk(f, flow);
	keep(f, flow);
}

/* --- flows without an end --- */

static uint32_t home(uint32_t run, uint64_t id)
{
	return ((id + run * 0x9e3779b9u) * 0x9e3779b97f4a7c15) >> 46 & (SLOTS - 1);
}

static struct talks_open *find_open(const struct talks *f, uint32_t run, uint64_t id)
{
	uint32_t i = home(run, id);

	while (f->open[i].taken && (f->open[i].id != id || f->open[i].run != run))
		i = (i + 1) & (SLOTS - 1);
	return &f->open[i];
}

/* Moves back what the gap would hide. */
static void remove_open(struct talks *f, struct talks_open *o)
{
	uint32_t gap = o - f->open, i = gap;

	f->open_count--;
	for (;;) {
		uint32_t at;

		f->open[gap].taken = false;
		do {
			i = (i + 1) & (SLOTS - 1);
			if (!f->open[i].taken)
				return;
			at = home(f->open[i].run, f->open[i].id);
		} while (((i - at) & (SLOTS - 1)) < ((i - gap) & (SLOTS - 1)));
		f->open[gap] = f->open[i];
		gap = i;
	}
}

static struct talks_kept from_open(const struct talks_open *o)
{
	return (struct talks_kept){
		.run = o->run,
		.process = o->process,
		.name = o->name,
		.target = o->target,
		.protocol = o->protocol,
		.error = o->error,
		.state = o->failed ? FLOW_HAS_FAILED : FLOW_IS_OPEN,
		.id = o->id,
		.start_ms = o->start_ms,
	};
}

static void reach(struct talks *f, const struct talks_open *o,
		  const struct talks_kept *flow, bool sniffed, uint32_t seen)
{
	uint32_t key[8] = { o->names,	 o->synthetic, flow->process, flow->target,
			    o->protocol, o->asked,     sniffed,	      seen };
	struct talks_reach *r = table_row(&f->reaches,
					  table_add(&f->reaches, key, sizeof(key)));

	r->names = o->names;
	r->synthetic = o->synthetic;
	r->process = flow->process;
	r->target = flow->target;
	r->protocol = flow->protocol;
	r->asked = o->asked;
	r->sniffed = sniffed;
	r->seen = seen;
	r->flows++;
	r->up += flow->up;
	r->down += flow->down;
}

/* Counts those that have failed, or all. */
static void sweep(struct talks *f, bool all)
{
	for (size_t i = 0; i < SLOTS && f->open_count; i++) {
		/* Another may have moved here. */
		while (f->open[i].taken && (all || f->open[i].failed)) {
			struct talks_kept flow = from_open(&f->open[i]);

			reach(f, &f->open[i], &flow, false, 0);
			end_flow(f, &flow);
			remove_open(f, &f->open[i]);
		}
	}
}

static struct talks_open *open_flow(struct talks *f, uint32_t run,
				    const struct entry *rec)
{
	uint64_t id = rec->number[NUMBER_FLOW_ID];
	struct talks_open *o = find_open(f, run, id);

	if (!o->taken) {
		if (f->open_count == TALKS_OPEN_MAX) {
			sweep(f, false);
			if (f->open_count == TALKS_OPEN_MAX)
				return NULL;
			o = find_open(f, run, id);
		}
		f->open_count++;
		*o = (struct talks_open){
			.id = id,
			.run = run,
			.taken = true,
			.start_ms = time_of(rec),
		};
	}
	return o;
}

/* All of its names: which one was meant the record can't say. */
static uint32_t names_of(struct talks *f, const struct entry *rec)
{
	uint32_t set[TALKS_NAMES_MAX];
	size_t count = 0, n = rec->list[LIST_NAMES].count;

	for (size_t i = n - MIN(n, ARRAY_SIZE(set)); i < n; i++) {
		set[count] = intern(&f->texts, rec->list[LIST_NAMES].items[i]);
		count += set[count] != 0;
	}
	return count ? table_add(&f->name_sets, set, count * sizeof(*set)) : 0;
}

size_t talks_names(const struct talks *f, uint32_t set,
		   struct text out[static TALKS_NAMES_MAX])
{
	const struct row *row = table_row(&f->name_sets, set);
	const uint32_t *names = (const void *)row->key;
	size_t n = set ? row->len / sizeof(*names) : 0;

	for (size_t i = 0; i < n; i++)
		out[i] = talks_text(f, names[i]);
	return n;
}

static enum talks_asked has_asked(const struct talks *f, const struct talks_open *o,
				  int64_t pid)
{
	struct text names[TALKS_NAMES_MAX];
	size_t n = talks_names(f, o->names, names);

	if (pid <= 0)
		return ASKED_UNKNOWN;
	for (size_t i = 0; i < n; i++) {
		struct asked_key key = {
			pid, o->run, table_find(&f->texts, names[i].s, names[i].len)
		};

		if (table_find(&f->asked, &key, sizeof(key)))
			return ASKED_ONE;
	}
	return ASKED_NONE;
}

static void learn_open(struct talks *f, struct talks_open *o, const struct entry *rec)
{
	uint32_t process = process_of(f, rec), name = name_of(f, rec);

	o->process = process ? process : o->process;
	o->name = name ? name : o->name;
	if (!o->target) { /* the first record of it */
		o->target = target_of(f, rec);
		o->names = names_of(f, rec);
		o->synthetic = intern(&f->texts, rec->text[TEXT_NAME]);
	}
	if (o->asked == ASKED_UNKNOWN)
		o->asked = has_asked(f, o, rec->number[NUMBER_PID]);
	if (!o->protocol)
		o->protocol = intern(&f->texts, rec->text[TEXT_PROTOCOL]);
}

/* --- records --- */

static void add_query(struct talks *f, uint32_t run, const struct entry *rec)
{
	struct asked_key key = { rec->number[NUMBER_PID], run, 0 };

	activity_at(&f->activity, time_of(rec))->queries++;
	if (rec->number[NUMBER_PID] <= 0)
		return;
	key.name = intern(&f->texts, rec->text[TEXT_QNAME]);
	if (key.name)
		table_add(&f->asked, &key, sizeof(key));
}

static void add_begin(struct talks *f, uint32_t run, const struct entry *rec)
{
	struct talks_open alone = { .run = run, .start_ms = time_of(rec) }, *o;
	struct talks_kept flow;

	activity_at(&f->activity, time_of(rec))->flows++;
	if (entry_has(rec, NUMBER_FLOW_ID)) {
		o = open_flow(f, run, rec);
		if (o)
			learn_open(f, o, rec);
		return;
	}
	learn_open(f, &alone, rec);
	flow = from_open(&alone);
	reach(f, &alone, &flow, false, 0);
	end_flow(f, &flow);
}

static void add_result(struct talks *f, uint32_t run, const struct entry *rec)
{
	struct text status = rec->text[TEXT_STATUS];
	bool ok = status.s && status.len == 2 && memcmp(status.s, "ok", 2) == 0;
	struct talks_open *o;

	if (!entry_has(rec, NUMBER_FLOW_ID))
		return;
	o = find_open(f, run, rec->number[NUMBER_FLOW_ID]);
	if (!o->taken)
		return;
	learn_open(f, o, rec);
	o->failed = !ok;
	o->error = intern(&f->texts, rec->text[TEXT_ERROR]);
}

/* One that is empty is one, too. */
static uint32_t seen_name(struct talks *f, const struct entry *rec)
{
	struct text seen = rec->text[TEXT_SEEN_NAME];

	return seen.s ? table_add(&f->texts, seen.s, seen.len) : 0;
}

static void add_end(struct talks *f, uint32_t run, const struct entry *rec)
{
	struct talks_open open = { .run = run, .id = rec->number[NUMBER_FLOW_ID] }, *o;
	struct talks_kept flow;

	if (!entry_has(rec, NUMBER_FLOW_ID))
		return;
	o = find_open(f, run, open.id);
	open.start_ms = time_of(rec) - MIN(MAX(rec->number[NUMBER_DURATION_MS], 0),
					   (int64_t)time_of(rec));
	if (o->taken) {
		open = *o;
		remove_open(f, o);
	}
	learn_open(f, &open, rec);
	flow = from_open(&open);
	if (flow.state == FLOW_IS_OPEN)
		flow.state = FLOW_IS_OK;
	flow.duration_ms = MAX(rec->number[NUMBER_DURATION_MS], 0);
	flow.up = MAX(rec->number[NUMBER_BYTES_UP], 0);
	flow.down = MAX(rec->number[NUMBER_BYTES_DOWN], 0);
	flow.reason = intern(&f->texts, rec->text[TEXT_CLOSE_REASON]);
	reach(f, &open, &flow, rec->flag[FLAG_SNIFFED], seen_name(f, rec));
	end_flow(f, &flow);
	activity_at(&f->activity, time_of(rec))->up += flow.up;
	activity_at(&f->activity, time_of(rec))->down += flow.down;
}

static struct text rule_of(const struct entry *rec)
{
	return rec->text[TEXT_MATCHED_CIDR].s ? rec->text[TEXT_MATCHED_CIDR] :
						rec->text[TEXT_MATCHED_DOMAIN];
}

static bool is_audit(const struct entry *rec)
{
	struct text action = rec->text[TEXT_ACTION];

	return action.s && action.len == 5 && memcmp(action.s, "audit", 5) == 0;
}

static void add_refusal(struct talks *f, const struct entry *rec)
{
	uint32_t key[7] = {
		process_of(f, rec),
		target_of(f, rec),
		intern(&f->texts, rec->text[TEXT_PROTOCOL]),
		intern(&f->texts, rec->text[TEXT_REASON_CODE]),
		intern(&f->texts, rec->text[TEXT_CONTROL]),
		intern(&f->texts, rule_of(rec)),
		is_audit(rec),
	};
	struct talks_refusal *r = table_row(&f->refusals,
					    table_add(&f->refusals, key, sizeof(key)));
	uint64_t now = time_of(rec);

	r->process = key[0];
	r->target = key[1];
	r->protocol = key[2];
	r->reason = key[3];
	r->control = key[4];
	r->rule = key[5];
	r->audit = key[6];
	r->first_ms = r->n ? MIN(r->first_ms, now) : now;
	r->last_ms = MAX(r->last_ms, now);
	r->n++;
	activity_at(&f->activity, now)->refusals++;
}

void talks_add(struct talks *f, enum event_kind kind, uint32_t run,
	       const struct entry *rec)
{
	switch (kind) {
	case EVENT_CONNECT_ATTEMPT:
	case EVENT_FLOW_START:
		add_begin(f, run, rec);
		break;
	case EVENT_CONNECT_RESULT:
		add_result(f, run, rec);
		break;
	case EVENT_FLOW_END:
		add_end(f, run, rec);
		break;
	case EVENT_POLICY_VIOLATION:
		add_refusal(f, rec);
		break;
	case EVENT_DNS_QUERY:
		add_query(f, run, rec);
		break;
	default:
		break;
	}
}

void talks_finish(struct talks *f)
{
	sweep(f, true);
}
