#include "event/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* --- memory: freed all at once --- */

struct block {
	struct block *next;
	_Alignas(16) char bytes[];
};

static void *take(struct view *v, size_t count, size_t size)
{
	struct block *b = calloc(1, sizeof(*b) + count * size + 1);

	if (!b)
		return NULL;
	b->next = v->blocks;
	v->blocks = b;
	return b->bytes;
}

void view_free(struct view *v)
{
	struct block *next;

	if (!v)
		return;
	for (; v->blocks; v->blocks = next) {
		next = v->blocks->next;
		free(v->blocks);
	}
	free(v);
}

/* --- order --- */

int text_compare(struct text a, struct text b)
{
	int c = memcmp(a.s, b.s, MIN(a.len, b.len));

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int more(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int by_count(const void *a, const void *b)
{
	const struct view_count *x = a, *y = b;
	int c = more(x->n, y->n);

	return c ? c : text_compare(x->key, y->key);
}

static int by_text(const void *a, const void *b)
{
	return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static int by_connects(const struct tally_connects *a, const struct tally_connects *b)
{
	int c = more(a->attempts, b->attempts);

	c = c ? c : more(a->error, b->error);
	return c ? c : more(a->ok, b->ok);
}

static int by_rank_of_target(const void *a, const void *b)
{
	const struct view_target *x = a, *y = b;
	int c = by_connects(&x->connects, &y->connects);

	return c ? c : text_compare(x->target, y->target);
}

static int by_rank_of_name(const void *a, const void *b)
{
	const struct view_name *x = a, *y = b;
	int c = more(x->queries, y->queries);

	c = c ? c : more(x->answers, y->answers);
	return c ? c : text_compare(x->name, y->name);
}

static int by_rank_of_row(const void *a, const void *b)
{
	static const struct tally_connects none;
	const struct view_row *x = a, *y = b;
	int c = by_connects(x->target ? &x->target->connects : &none,
			    y->target ? &y->target->connects : &none);

	c = c ? c : text_compare(x->name->name, y->name->name);
	if (c || !x->target || !y->target)
		return c;
	return text_compare(x->target->target, y->target->target);
}

static struct text key_of(const struct table *t, uint32_t i)
{
	const struct row *row = table_row(t, i);

	return (struct text){ row->key, row->len };
}

/* --- counts --- */

static bool rank_counts(struct view *v, const struct table *t, struct view_counts *out)
{
	const struct tally_count *other = table_row(t, 0);
	uint32_t known = table_find(t, "other", 5);
	size_t n = 0;

	out->items = take(v, table_count(t) + 1, sizeof(*out->items));
	if (!out->items)
		return false;
	for (uint32_t i = 1; i < table_count(t); i++) {
		const struct tally_count *row = table_row(t, i);

		out->items[n++] = (struct view_count){
			{ row->row.key, row->row.len },
			row->n + (i == known ? other->n : 0),
		};
	}
	qsort(out->items, n, sizeof(*out->items), by_count);
	if (other->n && !known)
		out->items[n++] = (struct view_count){ { "other", 5 }, other->n };
	out->count = n;
	return true;
}

static int by_number(const void *a, const void *b)
{
	long long x = strtoll(((const struct view_count *)a)->key.s, NULL, 10);
	long long y = strtoll(((const struct view_count *)b)->key.s, NULL, 10);

	return (x > y) - (x < y);
}

/* Of which addresses, in which runs, the rules are wanted. */
struct wanted {
	const struct tally *t;
	uint32_t name;	     /* its answers, or 0 */
	uint32_t target, ip; /* a target's, or 0 */
};

static bool is_wanted(const struct wanted *w, const struct tally_match *m)
{
	uint32_t answer[3] = { m->run, w->name, m->ip };
	uint32_t in_run[2] = { m->run, w->target };

	if (w->name && !table_find(&w->t->answers, answer, sizeof(answer)))
		return false;
	return !w->target ||
	       (m->ip == w->ip && table_find(&w->t->run_targets, in_run, sizeof(in_run)));
}

static bool match_rules(struct view *v, struct wanted w, struct view_counts *out)
{
	const struct table *domains = &w.t->counts[COUNT_DOMAINS];
	cleanup_free uint64_t *sums = NULL;
	size_t n = 0;

	*out = (struct view_counts){ 0 };
	if (table_count(&w.t->matches) < 2)
		return true;
	sums = calloc(table_count(domains), sizeof(*sums));
	if (!sums)
		return false;
	for (uint32_t i = 1; i < table_count(&w.t->matches); i++) {
		const struct tally_match *m = table_row(&w.t->matches, i);

		if (!is_wanted(&w, m))
			continue;
		n += !sums[m->domain];
		sums[m->domain] += m->n;
	}
	out->items = take(v, n, sizeof(*out->items));
	if (!out->items)
		return false;
	for (uint32_t i = 1; i < table_count(domains); i++) {
		if (sums[i])
			out->items[out->count++] =
				(struct view_count){ key_of(domains, i), sums[i] };
	}
	qsort(out->items, n, sizeof(*out->items), by_count);
	return true;
}

/* --- names --- */

static bool list_ips(struct view *v, uint32_t name, struct view_texts *out)
{
	const struct tally *t = v->tally;
	size_t n = 0, kept = 0;

	for (uint32_t i = 1; i < table_count(&t->answers); i++)
		n += ((struct tally_answer *)table_row(&t->answers, i))->name == name;
	out->items = take(v, n, sizeof(*out->items));
	if (!out->items)
		return false;
	n = 0;
	for (uint32_t i = 1; i < table_count(&t->answers); i++) {
		const struct tally_answer *a = table_row(&t->answers, i);

		if (a->name == name)
			out->items[n++] = key_of(&t->ips, a->ip);
	}
	qsort(out->items, n, sizeof(*out->items), by_text);
	/* Runs may have got the same. */
	for (size_t i = 0; i < n; i++) {
		if (!kept || text_compare(out->items[kept - 1], out->items[i]) != 0)
			out->items[kept++] = out->items[i];
	}
	out->count = kept;
	return true;
}

static void add_connects(struct tally_connects *sum, const struct tally_connects *c)
{
	sum->attempts += c->attempts;
	sum->ok += c->ok;
	sum->error += c->error;
	sum->end += c->end;
}

/* The targets a name owns, each with what was counted in the runs that it owns it in. */
static bool list_targets(struct view *v, uint32_t name, struct view_name *out)
{
	const struct tally *t = v->tally;
	cleanup_free struct view_target *all = NULL;
	cleanup_free uint32_t *place = NULL; /* in all, from 1, by target */
	size_t n = 0;

	all = calloc(table_count(&t->targets), sizeof(*all));
	place = calloc(table_count(&t->targets), sizeof(*place));
	if (!all || !place)
		return false;
	for (uint32_t i = 1; i < table_count(&t->run_targets); i++) {
		const struct tally_run_target *r = table_row(&t->run_targets, i);
		const struct tally_target *target = table_row(&t->targets, r->target);
		uint32_t key[3] = { r->run, name, target->ip };

		if (!table_find(&t->answers, key, sizeof(key)))
			continue;
		if (!place[r->target]) {
			place[r->target] = ++n;
			all[n - 1].target = key_of(&t->targets, r->target);
			all[n - 1].ip = key_of(&t->ips, target->ip);
		}
		add_connects(&all[place[r->target] - 1].connects, &r->connects);
	}
	qsort(all, n, sizeof(*all), by_rank_of_target);
	out->target_count = MIN(n, (size_t)VIEW_NAME_TARGETS);
	out->targets = take(v, out->target_count, sizeof(*out->targets));
	if (!out->targets)
		return false;
	memcpy(out->targets, all, out->target_count * sizeof(*all));
	for (size_t i = 0; i < out->target_count; i++) {
		struct view_target *to = &out->targets[i];
		uint32_t id = table_find(&t->targets, to->target.s, to->target.len);
		const struct tally_target *target = table_row(&t->targets, id);

		if (!match_rules(v, (struct wanted){ t, name, id, target->ip },
				 &to->matched))
			return false;
	}
	return true;
}

static bool rank_names(struct view *v)
{
	const struct tally *t = v->tally;
	size_t n = table_count(&t->names), kept = 0;
	cleanup_free struct view_name *all = calloc(n + 1, sizeof(*all));

	if (!all)
		return false;
	for (uint32_t i = 1; i < n; i++) {
		const struct tally_name *name = table_row(&t->names, i);

		all[kept++] = (struct view_name){ .name = key_of(&t->names, i),
						  .queries = name->queries,
						  .answers = name->answers };
	}
	qsort(all, kept, sizeof(*all), by_rank_of_name);
	v->name_count = MIN(kept, (size_t)VIEW_NAMES);
	for (size_t i = 0; i < v->name_count; i++) {
		struct view_name *name = &v->names[i];
		uint32_t id;

		*name = all[i];
		id = table_find(&t->names, name->name.s, name->name.len);
		if (!list_ips(v, id, &name->ips) || !list_targets(v, id, name) ||
		    !match_rules(v, (struct wanted){ .t = t, .name = id },
				 &name->matched))
			return false;
	}
	return true;
}

/* --- targets --- */

static bool list_names(struct view *v, uint32_t id, const struct tally_target *target,
		       struct view_texts *out)
{
	const struct tally *t = v->tally;
	cleanup_free bool *seen = calloc(table_count(&t->names) + 1, sizeof(*seen));
	size_t n = 0;

	if (!seen)
		return false;
	for (uint32_t i = 1; i < table_count(&t->answers); i++) {
		const struct tally_answer *a = table_row(&t->answers, i);
		uint32_t key[2] = { a->run, id };

		if (a->ip != target->ip || seen[a->name] ||
		    !table_find(&t->run_targets, key, sizeof(key)))
			continue;
		seen[a->name] = true;
		n++;
	}
	out->items = take(v, n, sizeof(*out->items));
	if (!out->items)
		return false;
	for (uint32_t i = 1; i < table_count(&t->names); i++) {
		if (seen[i])
			out->items[out->count++] = key_of(&t->names, i);
	}
	qsort(out->items, n, sizeof(*out->items), by_text);
	return true;
}

static bool rank_targets(struct view *v)
{
	const struct tally *t = v->tally;
	size_t n = table_count(&t->targets), kept = 0;
	cleanup_free struct view_target *all = calloc(n + 1, sizeof(*all));

	if (!all)
		return false;
	for (uint32_t i = 1; i < n; i++) {
		const struct tally_target *target = table_row(&t->targets, i);

		all[kept++] = (struct view_target){
			.target = key_of(&t->targets, i),
			.ip = key_of(&t->ips, target->ip),
			.connects = target->connects,
		};
	}
	qsort(all, kept, sizeof(*all), by_rank_of_target);
	v->target_count = MIN(kept, (size_t)VIEW_TARGETS);
	for (size_t i = 0; i < v->target_count; i++) {
		struct view_target *to = &v->targets[i];
		const struct tally_target *target;
		uint32_t id;

		*to = all[i];
		id = table_find(&t->targets, to->target.s, to->target.len);
		target = table_row(&t->targets, id);
		if (!list_names(v, id, target, &to->names) ||
		    !match_rules(v, (struct wanted){ t, 0, id, target->ip },
				 &to->matched))
			return false;
	}
	return true;
}

struct view *view_new(const struct tally *t)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->tally = t;
	for (size_t i = 0; i < COUNT_TABLES; i++) {
		if (!rank_counts(v, &t->counts[i], &v->counts[i]))
			goto fail;
	}
	qsort(v->counts[COUNT_SCHEMAS].items, v->counts[COUNT_SCHEMAS].count,
	      sizeof(struct view_count), by_number);
	if (rank_names(v) && rank_targets(v))
		return v;
fail:
	view_free(v);
	return NULL;
}

size_t view_rows(const struct view *v, size_t names, size_t targets,
		 struct view_row out[static VIEW_NAMES * VIEW_NAME_TARGETS])
{
	size_t n = 0;

	for (size_t i = 0; i < v->name_count && names; i++) {
		const struct view_name *name = &v->names[i];

		if (!view_is_policy_name(name))
			continue;
		names--;
		for (size_t k = 0; k < MIN(name->target_count, targets); k++)
			out[n++] = (struct view_row){ name, &name->targets[k],
						      &name->targets[k].matched };
		if (!name->target_count)
			out[n++] = (struct view_row){ name, NULL, &name->matched };
	}
	qsort(out, n, sizeof(*out), by_rank_of_row);
	return n;
}
