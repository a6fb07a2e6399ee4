#include "flow/icmp_admit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "flow/marks.h"

/* A query that waits until its refusal has been told. */
struct refused {
	struct refusal refusal;
	struct echo_near *near;
	bool refuse;
	size_t known; /* of its data */
	struct echo query;
	uint8_t data[];
};

uint8_t echo_protocol(const struct addr *peer)
{
	return addr_is_v4(peer) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

void echo_refuse(struct echo_near *near, const struct echo *query, int err)
{
	struct neterror e = { .err = err };

	if (err == EMSGSIZE)
		e.info = marks_path_mtu(&(struct endpoint){ .addr = query->peer });
	near->ops->error(near, query, query->len, &e);
}

static void on_told(struct refusal *refusal)
{
	struct refused *r = container_of(refusal, struct refused, refusal);

	if (r->refuse)
		r->near->ops->error(r->near, &r->query, r->known,
				    &(struct neterror){ .err = EACCES });
	free(r);
}

static bool later(struct refusals *t, struct echo_near *near, const struct echo *query,
		  const struct endpoint *child, const struct inquiry *q, bool refuse)
{
	size_t known = MIN(query->len, (size_t)REFUSAL_QUOTE_MAX);
	struct refused *r = t->who ? malloc(sizeof(*r) + known) : NULL;

	if (!r)
		return false;
	if (!refusals_add(t, &r->refusal, child, q, on_told)) {
		free(r);
		return false;
	}
	r->near = near;
	r->refuse = refuse;
	r->known = known;
	r->query = *query;
	r->query.data = memcpy(r->data, query->data, known);
	return true;
}

bool echo_admit(struct refusals *t, struct echo_near *near, const struct echo *query)
{
	struct endpoint child = { query->child, query->id };
	struct inquiry q = { .target = { .protocol = echo_protocol(&query->peer),
					 .to = { .addr = query->peer } } };
	bool refuse;

	guard_judge(t->guard, &q);
	refuse = guard_answers(&q);
	if (guard_objects(&q) && later(t, near, query, &child, &q, refuse))
		return q.passes;
	guard_tell(t->guard, &child, 0, &q);
	if (refuse)
		echo_refuse(near, query, EACCES);
	return q.passes;
}
