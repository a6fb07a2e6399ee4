/*
 * What is against the rules is told with the process that wanted it. While that is found out
 * (who.h) the child waits for the refusal, and so its process is there to be found.
 *
 * Of datagrams and echoes; a connection's attempt waits by itself (flow.c).
 */
#ifndef FLOW_REFUSALS_H
#define FLOW_REFUSALS_H

#include "flow/guard.h"
#include "flow/who.h"

/* Of what is refused later so much is kept, to be quoted (RFC 4443 2.4 c). */
#define REFUSAL_QUOTE_MAX 1232

struct refusals {
	const struct guard *guard;
	struct who *who; /* or NULL: nobody wants to know */
	struct list list;
	size_t count;
};

/* One; what the caller keeps beside it is what the child is to be told about. */
struct refusal {
	struct list node;
	struct refusals *of;
	struct who_ask who;
	struct endpoint child;
	struct target target;
	bool of_server;
	struct verdict verdict; /* without its name */
	bool passes;
	/* It has been told: refuses, and frees it. */
	void (*on_told)(struct refusal *r);
};

void refusals_init(struct refusals *t, const struct guard *guard, struct who *who);

/* Whether it waits, as what guard_judge() has objected to in `q`. If not, nothing has been
 * told, and r stays the caller's. */
bool refusals_add(struct refusals *t, struct refusal *r, const struct endpoint *child,
		  const struct inquiry *q, void (*on_told)(struct refusal *r));

/* Tells all that wait. */
void refusals_end(struct refusals *t);

#endif
