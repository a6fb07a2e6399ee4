/* Which datagrams begin a flow, and what the child hears of those that may not. */
#include "flow/udp_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A datagram that waits until its refusal has been told. */
struct refused {
	struct refusal refusal;
	struct session *session; /* NULL: the child hears nothing */
	int err;
	size_t known; /* of its data */
	struct dgram d;
	uint8_t data[];
};

static void on_told(struct refusal *refusal)
{
	struct refused *r = container_of(refusal, struct refused, refusal);
	struct session *s = r->session;

	if (s) {
		s->port->ops->error(s->port, &r->d, r->data, r->known,
				    &(struct neterror){ .err = r->err });
		s->refused--;
		udpsession_settle(s);
	}
	free(r);
}

/* A port is there as long as it has a session. */
static void keep_port(struct refused *r, struct sessions *t, struct dgram_port *port)
{
	r->session = port->owner ? port->owner : udpsession_new(t, port);
	if (r->session)
		r->session->refused++;
}

/* err: what the child hears then; 0: nothing. */
static bool later(struct sessions *t, struct dgram_port *port, const struct dgram *d,
		  const struct inquiry *q, int err)
{
	size_t known = MIN(d->len, (size_t)REFUSAL_QUOTE_MAX);
	struct refused *r = t->deps.who ? malloc(sizeof(*r) + known) : NULL;

	if (!r)
		return false;
	if (!refusals_add(&t->refusals, &r->refusal, &port->child, q, on_told)) {
		free(r);
		return false;
	}
	r->session = NULL;
	r->err = err;
	r->known = known;
	r->d = *d;
	r->d.data = NULL;
	memcpy(r->data, d->data, known);
	if (err)
		keep_port(r, t, port);
	return true;
}

/* 0: nothing is told. */
static int told_err(const struct inquiry *q)
{
	if (!guard_answers(q))
		return 0;
	return q->verdict.reason == REASON_GATEWAY ? ECONNREFUSED : EACCES;
}

bool udpsession_admit(struct sessions *t, struct dgram_port *port, const struct dgram *d,
		      enum route *route)
{
	struct inquiry q = { .target = { .protocol = IPPROTO_UDP, .to = d->to },
			     .of_server = d->to.port == DNS_PORT };
	int err;

	guard_judge(t->deps.guard, &q);
	*route = q.verdict.route;
	err = told_err(&q);
	if (guard_objects(&q) && later(t, port, d, &q, err))
		return q.passes;
	guard_tell(t->deps.guard, &port->child, 0, &q);
	if (err)
		port->ops->refuse(port, err, 0);
	return q.passes;
}
