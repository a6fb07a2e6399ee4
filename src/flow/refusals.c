#include "flow/refusals.h"

#define WAITING_MAX 256

void refusals_init(struct refusals *t, const struct guard *guard, struct who *who)
{
	*t = (struct refusals){ .guard = guard, .who = who };
	list_init(&t->list);
}

/* Judged anew: the names it was judged by may be gone. A name that has come meanwhile, and
 * would allow it, comes too late for this one. */
static void tell(struct refusal *r)
{
	struct refusals *t = r->of;
	struct inquiry q = { .target = r->target,
			     .of_server = r->of_server,
			     .process = who_process(&r->who) };

	guard_judge(t->guard, &q);
	if (!guard_objects(&q)) {
		q.verdict = r->verdict;
		q.passes = r->passes;
	}
	guard_tell(t->guard, &r->child, 0, &q);
	who_forget(&r->who);
	list_del(&r->node);
	t->count--;
	r->on_told(r);
}

static void on_known(struct who_ask *who)
{
	tell(container_of(who, struct refusal, who));
}

bool refusals_add(struct refusals *t, struct refusal *r, const struct endpoint *child,
		  const struct inquiry *q, void (*on_told)(struct refusal *r))
{
	struct who_key key = { q->target.protocol, *child, q->target.to };

	if (t->count >= WAITING_MAX)
		return false;
	*r = (struct refusal){ .of = t,
			       .child = *child,
			       .target = { .protocol = q->target.protocol,
					   .to = q->target.to },
			       .of_server = q->of_server,
			       .verdict = q->verdict,
			       .passes = q->passes,
			       .on_told = on_told };
	r->verdict.name = NULL;
	if (!who_ask(t->who, &r->who, &key, on_known)) {
		who_forget(&r->who);
		return false;
	}
	list_add_tail(&t->list, &r->node);
	t->count++;
	return true;
}

void refusals_end(struct refusals *t)
{
	while (!list_empty(&t->list))
		tell(list_entry(t->list.next, struct refusal, node));
}
