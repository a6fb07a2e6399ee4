#include "flow/udp.h"

#include <errno.h>
#include <stdlib.h>

/* Questions of one child port under way; a stub resolver has one or two. */
#define ASKS_MAX 256

struct session {
	struct list node;
	struct udp_sessions *table;
	struct dgram_port *port;
	struct list asks;
	size_t ask_count;
};

struct question {
	struct list node;
	struct session *session;
	struct endpoint to;
	struct dns_ask *ask;
};

struct udp_sessions {
	struct udp_deps deps;
	struct list sessions;
};

struct udp_sessions *udp_sessions_new(const struct udp_deps *deps)
{
	struct udp_sessions *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->deps = *deps;
	list_init(&t->sessions);
	return t;
}

void udp_sessions_free(struct udp_sessions *t)
{
	free(t);
}

static struct session *session_new(struct udp_sessions *t, struct dgram_port *port)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->table = t;
	s->port = port;
	list_init(&s->asks);
	list_add_tail(&t->sessions, &s->node);
	port->owner = s;
	return s;
}

static void session_close(struct session *s)
{
	while (!list_empty(&s->asks)) {
		struct question *q = list_entry(s->asks.next, struct question, node);

		list_del(&q->node);
		dns_service_cancel(q->ask);
		free(q);
	}
	list_del(&s->node);
	s->port->ops->close(s->port);
	free(s);
}

static void on_answer(void *ctx, const uint8_t *answer, size_t len)
{
	struct question *q = ctx;
	struct session *s = q->session;

	if (len)
		s->port->ops->send(s->port, &q->to, answer, len);
	list_del(&q->node);
	free(q);
	if (!--s->ask_count)
		session_close(s);
}

static void ask(struct session *s, const struct endpoint *to, const void *data, size_t len)
{
	struct dns_client who = { IPPROTO_UDP, s->port->child, *to };
	struct question *q = s->ask_count < ASKS_MAX ? calloc(1, sizeof(*q)) : NULL;
	struct dns_ask *a;

	if (!q)
		return; /* lost, as in any full queue; the child asks again */
	q->session = s;
	q->to = *to;
	list_add_tail(&s->asks, &q->node);
	s->ask_count++;
	a = dns_service_ask(s->table->deps.dns, &who, data, len, on_answer, q);
	if (a)
		q->ask = a;
}

void udp_sessions_dgram(void *table, struct dgram_port *port, const struct endpoint *to,
			const void *data, size_t len)
{
	struct udp_sessions *t = table;
	struct target target = { .protocol = IPPROTO_UDP, .to = *to };
	struct verdict v = policy_decide(t->deps.policy, &target);
	struct session *s;

	if (to->port == DNS_PORT && (v.allow || v.reason == REASON_GATEWAY)) {
		s = port->owner ? port->owner : session_new(t, port);
		if (s)
			ask(s, to, data, len);
		return;
	}
	if (v.reason == REASON_GATEWAY)
		return port->ops->refuse(port, ECONNREFUSED);
	if (!v.allow)
		event_emit(t->deps.events,
			   &(struct event){ .kind = EVENT_POLICY_VIOLATION,
					    .protocol = IPPROTO_UDP,
					    .child = port->child,
					    .remote = *to,
					    .policy_violation = { .reason = v.reason } });
	port->ops->refuse(port, EACCES);
}

void udp_sessions_close(struct udp_sessions *t)
{
	while (!list_empty(&t->sessions))
		session_close(list_entry(t->sessions.next, struct session, node));
}
