/*
 * Compared is what a reviewer would ask for: where the tree has talked to, what it has asked
 * for, what was refused, who did it. Behind a name there may be another address each time, so a
 * destination with a name is that name and port; only one without is its address.
 *
 * Sizes vary from run to run. Bigger is what has at least doubled, and of bytes by a kilobyte.
 */
#include "cmd/diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "event/reader.h"
#include "event/render.h"
#include "event/talks.h"

#define BYTES_MIN 1000

struct thing {
	struct row row; /* how it is told */
	uint64_t times, up, down;
	bool is_destination;
};

struct side {
	struct tally tally;
	struct table things;
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "compare flow logs");
}

/* --- what there is --- */

static void put_text(FILE *out, struct text text)
{
	fwrite(text.s, 1, text.len, out);
}

static void put_row(FILE *out, const struct table *t, uint32_t i)
{
	const struct row *row = table_row(t, i);

	if (i)
		fwrite(row->key, 1, row->len, out);
}

/* What a thing is called, while it is written. */
struct telling {
	FILE *out;
	char *text;
	size_t len;
};

static FILE *begin_thing(struct telling *t)
{
	t->out = open_memstream(&t->text, &t->len);
	return t->out;
}

/* NULL without memory. */
static struct thing *end_thing(struct side *s, struct telling *t)
{
	struct thing *thing = NULL;

	if (fclose(t->out) == 0)
		thing = table_row(&s->things, table_add(&s->things, t->text, t->len));
	free(t->text);
	return thing;
}

/* ":443", or nothing. */
static struct text port_of(struct text target, struct text protocol)
{
	const char *colon;

	if (protocol.len >= 4 && memcmp(protocol.s, "icmp", 4) == 0)
		return (struct text){ "", 0 };
	colon = memrchr(target.s, ':', target.len);
	if (!colon)
		return (struct text){ "", 0 };
	return (struct text){ colon, target.s + target.len - colon };
}

static bool add_destination(struct side *s, const struct talks_link *link)
{
	const struct talks *talks = s->tally.talks;
	const struct row *row = table_row(&talks->targets, link->target);
	struct text target = { row->key, link->target ? row->len : 0 };
	struct text protocol = talks_text(talks, link->protocol);
	struct text name = talks_text(talks, link->name);
	struct thing *thing;
	struct telling told;
	FILE *out = begin_thing(&told);

	if (!out)
		return false;
	put_text(out, protocol);
	fputc(' ', out);
	put_text(out, name.len ? name : target);
	if (name.len)
		put_text(out, port_of(target, protocol));
	thing = end_thing(s, &told);
	if (!thing)
		return false;
	thing->is_destination = true;
	thing->times += link->flows;
	thing->up += link->up;
	thing->down += link->down;
	return true;
}

static bool add_refusal(struct side *s, const struct talks_refusal *r)
{
	const struct talks *talks = s->tally.talks;
	struct thing *thing;
	struct telling told;
	FILE *out = begin_thing(&told);

	if (!out)
		return false;
	fputs("refused ", out);
	put_text(out, talks_text(talks, r->protocol));
	fputc(' ', out);
	put_row(out, &talks->targets, r->target);
	fputs(" by ", out);
	put_text(out, talks_text(talks, r->control));
	if (r->rule) {
		fputc(' ', out);
		put_text(out, talks_text(talks, r->rule));
	}
	thing = end_thing(s, &told);
	if (thing)
		thing->times += r->n;
	return thing;
}

static bool add_plain(struct side *s, const char *what, struct text name, uint64_t times)
{
	struct thing *thing;
	struct telling told;
	FILE *out = begin_thing(&told);

	if (!out)
		return false;
	fputs(what, out);
	put_text(out, name);
	thing = end_thing(s, &told);
	if (thing)
		thing->times += times;
	return thing;
}

static bool list_things(struct side *s)
{
	const struct talks *talks = s->tally.talks;

	for (uint32_t i = 1; i < table_count(&talks->links); i++) {
		if (!add_destination(s, table_row(&talks->links, i)))
			return false;
	}
	for (uint32_t i = 1; i < table_count(&s->tally.names); i++) {
		const struct tally_name *n = table_row(&s->tally.names, i);

		if (!add_plain(s, "asked ", (struct text){ n->row.key, n->row.len },
			       n->queries))
			return false;
	}
	for (uint32_t i = 1; i < table_count(&talks->refusals); i++) {
		if (!add_refusal(s, table_row(&talks->refusals, i)))
			return false;
	}
	for (uint32_t i = 1; i < table_count(&talks->processes); i++) {
		const struct talks_process *p = table_row(&talks->processes, i);
		struct text exe = { p->row.key, p->exe_len };

		if (!add_plain(s, "process ",
			       exe.len ? exe : talks_process_name(talks, i),
			       p->processes))
			return false;
	}
	return true;
}

/* --- what differs --- */

enum change {
	CHANGE_NEW,
	CHANGE_GONE,
	CHANGE_BIGGER,
};

static const struct thing *same_thing(const struct table *t, const struct thing *thing)
{
	uint32_t i = table_find(t, thing->row.key, thing->row.len);

	return i ? table_row(t, i) : NULL;
}

static bool has_grown(const struct thing *old, const struct thing *new)
{
	return new->times >= 2 * MAX(old->times, UINT64_C(1)) ||
	       (new->up >= 2 * old->up &&new->up - old->up >= BYTES_MIN) ||
	       (new->down >= 2 * old->down &&new->down - old->down >= BYTES_MIN);
}

static int by_key(const void *a, const void *b)
{
	const struct thing *x = *(void *const *)a, *y = *(void *const *)b;

	return text_compare((struct text){ x->row.key, x->row.len },
			    (struct text){ y->row.key, y->row.len });
}

static void put_number(const char *what, const struct thing *old, uint64_t before,
		       uint64_t now, const char *before_it)
{
	printf("%s%s=", before_it, what);
	if (old && before != now)
		printf("%llu->", (unsigned long long)before);
	printf("%llu", (unsigned long long)now);
}

static void put_thing(const struct thing *thing, const struct thing *old)
{
	static const struct thing none;
	const struct thing *before = old ? old : &none;

	fputs("  ", stdout);
	render_plain(stdout, (struct text){ thing->row.key, thing->row.len });
	if (thing->is_destination) {
		put_number("flows", old, before->times, thing->times, ": ");
		put_number("received", old, before->down, thing->down, ", ");
		put_number("sent", old, before->up, thing->up, ", ");
	} else if (thing->times || before->times) {
		put_number("times", old, before->times, thing->times, ": ");
	}
	putchar('\n');
}

static bool is_change(enum change change, const struct thing *thing,
		      const struct table *others)
{
	const struct thing *other = same_thing(others, thing);

	return change == CHANGE_BIGGER ? other && has_grown(other, thing) : !other;
}

/* How many there are; -1 without memory. */
static ssize_t put_changes(const char *title, enum change change, const struct table *of,
			   const struct table *others)
{
	size_t n = 0, count = table_count(of);
	cleanup_free const struct thing **some = calloc(count + 1, sizeof(*some));

	if (!some)
		return -1;
	for (uint32_t i = 1; i < count; i++) {
		const struct thing *thing = table_row(of, i);

		if (is_change(change, thing, others))
			some[n++] = thing;
	}
	qsort(some, n, sizeof(*some), by_key);
	printf("%s:\n", title);
	for (size_t i = 0; i < n; i++)
		put_thing(some[i],
			  change == CHANGE_BIGGER ? same_thing(others, some[i]) : NULL);
	if (!n)
		puts("  <none>");
	return n;
}

static void put_left_out(void *ctx, const char *table, uint64_t n)
{
	printf("left out of %s, in which a table was full: %s: %llu\n", (const char *)ctx,
	       table, (unsigned long long)n);
}

static int print(struct side sides[2], const struct config *cfg, int *exit_code,
		 struct error *err)
{
	static const char *const labels[2] = { "old", "new" };
	const struct table *old = &sides[0].things, *new = &sides[1].things;
	ssize_t found;

	puts("childflow diff");
	for (size_t i = 0; i < 2; i++) {
		printf("%s: ", labels[i]);
		render_plain_string(stdout, cfg->diff.list[i]);
		putchar('\n');
	}
	for (size_t i = 0; i < 2; i++) {
		tally_left_out(&sides[i].tally, put_left_out, (void *)labels[i]);
		if (sides[i].things.left_out)
			put_left_out((void *)labels[i], "differences",
				     sides[i].things.left_out);
	}
	found = put_changes("new", CHANGE_NEW, new, old);
	if (found < 0 || put_changes("gone", CHANGE_GONE, old, new) < 0 ||
	    put_changes("bigger", CHANGE_BIGGER, new, old) < 0)
		return no_memory(err);
	if (fflush(stdout) == EOF || ferror(stdout))
		return error_set(err, errno, "write to stdout");
	*exit_code = cfg->fail_on_new && found ? 1 : 0;
	return 0;
}

static int read_side(struct side *s, const char *path, struct error *err)
{
	struct reader *r;
	int ret;

	table_init(&s->things, sizeof(struct thing));
	if (tally_init_with_talks(&s->tally))
		return no_memory(err);
	r = reader_new(&s->tally, isatty(STDERR_FILENO));
	if (!r)
		return no_memory(err);
	ret = reader_file(r, path, err);
	reader_free(r);
	tally_finish(&s->tally);
	if (ret == 0 && !list_things(s))
		ret = no_memory(err);
	return ret;
}

int diff_print(const struct config *cfg, int *exit_code, struct error *err)
{
	struct side sides[2];
	int ret = 0;

	memset(sides, 0, sizeof(sides));
	for (size_t i = 0; i < 2 && ret == 0; i++)
		ret = read_side(&sides[i], cfg->diff.list[i], err);
	if (ret == 0)
		ret = print(sides, cfg, exit_code, err);
	for (size_t i = 0; i < 2; i++) {
		if (sides[i].tally.logs)
			tally_free(&sides[i].tally);
		if (sides[i].things.rows)
			table_free(&sides[i].things);
	}
	return ret;
}
