#include "flow/questions.h"

#include <stdlib.h>
#include <string.h>

#define ASKS_MAX 256 /* of one port; a stub resolver has two */

struct question {
	struct list node;
	struct questions *of;
	struct endpoint to;
	struct nameserver_ask *ask; /* NULL while it waits for who asks */
	struct who_ask who;
	size_t len; /* of the message, while it waits */
	uint8_t message[];
};

static void question_free(struct question *q)
{
	list_del(&q->node);
	who_forget(&q->who);
	q->of->count--;
	free(q);
}

static void on_answer(void *ctx, const uint8_t *answer, size_t len)
{
	struct question *q = ctx;
	struct questions *of = q->of;

	if (len)
		of->port->ops->send(of->port, &q->to,
				    &(struct iovec){ (void *)answer, len }, 1);
	question_free(q);
	of->on_answered(of);
}

static void ask(struct question *q, const void *message, size_t len)
{
	struct nameserver_client who = { IPPROTO_UDP, q->of->port->child, q->to,
					 &q->who };
	struct nameserver_ask *a = nameserver_ask(q->of->dns, &who, message, len,
						  on_answer, q);

	if (a)
		q->ask = a;
}

static void on_known(struct who_ask *who)
{
	struct question *q = container_of(who, struct question, who);

	ask(q, q->message, q->len);
}

void questions_init(struct questions *q)
{
	list_init(&q->list);
	q->count = 0;
}

void questions_ask(struct questions *of, const struct dgram *d)
{
	struct who_key key = { IPPROTO_UDP, of->port->child, d->to };
	/* To wait for who asks, the message must be kept. */
	size_t len = of->who ? d->len : 0;
	struct question *q = of->count < ASKS_MAX ? calloc(1, sizeof(*q) + len) : NULL;

	if (!q)
		return; /* lost, as in any full queue; the child asks again */
	q->of = of;
	q->to = d->to;
	list_add_tail(&of->list, &q->node);
	of->count++;
	if (who_ask(of->who, &q->who, &key, on_known)) {
		q->len = len;
		memcpy(q->message, d->data, len);
		return;
	}
	ask(q, d->data, d->len);
}

void questions_cancel(struct questions *of)
{
	while (of->count) {
		struct question *q = list_entry(of->list.next, struct question, node);

		if (q->ask)
			nameserver_cancel(q->ask);
		question_free(q);
	}
}
