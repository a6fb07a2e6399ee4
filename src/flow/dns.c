/*
 * Theory of operation
 *
 * Whatever address the child asks on port 53, the engine answers: its resolver is the only
 * one that sends DNS to the world. A message is parsed strictly; what is not one plain
 * question gets an error of ours. The hosts file is looked at first, then the question is
 * encoded anew for an upstream server and the answer encoded anew for the child, so no byte
 * of either side reaches the other unread.
 *
 * A question to one of the gateway's addresses goes to the host's resolvers. One to another
 * address is asked of that address, unless --dns says who is to be asked.
 *
 * A question is egress: its name can carry data. So the rules are asked before anybody else,
 * hosts file included, and a name that may not be asked gets an empty answer at once: the
 * child's programs take that for "no such address" and don't try elsewhere. Answers pass a
 * gate (struct answer_gate), because a name that is allowed may still lead to an address that
 * isn't. Names are learned from what the child was given, and only when a server of ours said
 * so: one that the child has chosen could vouch for any address.
 *
 * Not learned: what the hosts file says.
 *
 * The child is always answered: SERVFAIL when no server did.
 */
#include "flow/dns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "dns/answer.h"

/* Messages of one TCP connection under way at a time; more wait in its window. */
#define STREAM_ASKS_MAX 32
#define STREAM_MAX 256
/* RFC 7766 6.2.3: some seconds; clients of a library keep theirs open while they live. */
#define STREAM_IDLE_MS 30000

struct nameserver {
	struct nameserver_deps deps;
	struct list streams;
	size_t stream_count;
	uint8_t answer[MSG_MAX];
};

struct nameserver_ask {
	struct nameserver *svc;
	struct nameserver_client who;
	struct msg_question q;
	struct resolver_ask *upstream;
	nameserver_fn done;
	void *ctx;
};

struct nameserver *nameserver_new(const struct nameserver_deps *deps)
{
	struct nameserver *svc = calloc(1, sizeof(*svc));

	if (!svc)
		return NULL;
	svc->deps = *deps;
	list_init(&svc->streams);
	return svc;
}

void nameserver_free(struct nameserver *svc)
{
	free(svc);
}

/* --- one question --- */

static void tell(struct nameserver *svc, enum event_kind kind,
		 const struct nameserver_client *who, const struct msg_question *q,
		 int rcode)
{
	char name[NAME_TEXT_MAX];
	struct event ev = {
		.kind = kind,
		.protocol = who->protocol,
		.child = who->child,
		.remote = who->to,
		.dns = { .type = q->type, .rcode = rcode },
	};

	if (!events_wanted(svc->deps.events))
		return;
	ev.dns.name = name_to_text(&q->name, name);
	event_emit(svc->deps.events, &ev);
}

static size_t answer_max(const struct nameserver_client *who,
			 const struct msg_question *q)
{
	return who->protocol == IPPROTO_TCP ? MSG_MAX : msg_udp_limit(q);
}

static bool is_ours(const struct nameserver *svc, const struct addr *to)
{
	return svc->deps.ask_only_ours || addr_eq(to, &svc->deps.own[0]) ||
	       addr_eq(to, &svc->deps.own[1]);
}

/* --- what the rules say --- */

static void refused(const struct nameserver_ask *ask, enum nameserver_refusal why,
		    const struct addr *addr, const char *alias)
{
	const struct nameserver_rules *rules = &ask->svc->deps.rules;

	if (rules->refused)
		rules->refused(rules->ctx,
			       &(struct nameserver_refused){ .why = why,
							     .who = &ask->who,
							     .q = &ask->q,
							     .addr = addr,
							     .alias = alias });
}

static enum nameserver_standing standing(const struct nameserver_rules *rules,
					 const struct name *name)
{
	char text[NAME_TEXT_MAX];
	struct name lower = name_lower(name);

	return rules->standing ? rules->standing(rules->ctx, name_to_text(&lower, text)) :
				 NAMESERVER_UNNAMED;
}

static enum nameserver_class class_of(const struct nameserver_rules *rules,
				      const struct addr *addr)
{
	return rules->classify ? rules->classify(rules->ctx, addr) : NAMESERVER_PUBLIC;
}

/* Why q may not be asked, as an Extended DNS Error; MSG_NO_EDE if it may. */
static int judge_question(const struct nameserver_ask *ask)
{
	const struct nameserver_rules *rules = &ask->svc->deps.rules;
	enum nameserver_standing s;

	if (rules->offline) {
		refused(ask, NAMESERVER_REFUSED_OFFLINE, NULL, NULL);
		return MSG_EDE_PROHIBITED;
	}
	s = standing(rules, &ask->q.name);
	if (s == NAMESERVER_DENIED) {
		refused(ask, NAMESERVER_REFUSED_DENIED, NULL, NULL);
		return MSG_EDE_BLOCKED;
	}
	if (s == NAMESERVER_UNNAMED && rules->only_allowed_asked) {
		refused(ask, NAMESERVER_REFUSED_UNNAMED, NULL, NULL);
		return MSG_EDE_PROHIBITED;
	}
	return MSG_NO_EDE;
}

static bool gate_admits(void *ctx, const struct addr *addr)
{
	const struct nameserver_ask *ask = ctx;
	const struct nameserver_rules *rules = &ask->svc->deps.rules;
	enum nameserver_class class = class_of(rules, addr);

	return class == NAMESERVER_PUBLIC ||
	       (class == NAMESERVER_PRIVATE && !rules->strips_private);
}

static bool gate_follows(void *ctx, const struct name *alias)
{
	const struct nameserver_ask *ask = ctx;

	return standing(&ask->svc->deps.rules, alias) != NAMESERVER_DENIED;
}

static void gate_stripped(void *ctx, const struct addr *addr, const struct name *alias)
{
	char text[NAME_TEXT_MAX];

	if (addr)
		refused(ctx, NAMESERVER_STRIPPED_ADDRESS, addr, NULL);
	else
		refused(ctx, NAMESERVER_STRIPPED_ALIAS, NULL, name_to_text(alias, text));
}

static ssize_t pass_gate(struct nameserver_ask *ask, const uint8_t *msg, size_t len,
			 uint8_t *out, size_t max)
{
	const struct nameserver_rules *rules = &ask->svc->deps.rules;
	struct answer_gate gate = {
		.ctx = ask,
		.admits = gate_admits,
		.follows = gate_follows,
		.stripped = gate_stripped,
		.hides_ech = rules->names_rule,
		.answers_only = rules->names_rule,
	};

	return answer_reencode(&ask->q, msg, len, &gate, out, max);
}

static void learn_one(void *ctx, const struct answer_found *found)
{
	const struct nameserver_ask *ask = ctx;
	const struct nameserver_deps *deps = &ask->svc->deps;
	char text[NAME_TEXT_MAX];

	/* Whoever runs a name that an allowed one is an alias of must not open our network. */
	if (deps->rules.only_allowed_private &&
	    class_of(&deps->rules, &found->addr) == NAMESERVER_PRIVATE &&
	    standing(&deps->rules, found->owner) != NAMESERVER_ALLOWED)
		return;
	names_learn(deps->names, &found->addr, name_to_text(&ask->q.name, text),
		    found->ttl_s, uv_now(deps->loop));
}

static void learn(struct nameserver_ask *ask, const uint8_t *answer, size_t len)
{
	if (ask->svc->deps.names && is_ours(ask->svc, &ask->who.to.addr))
		answer_each_address(&ask->q, answer, len, learn_one, ask);
}

/* --- asking --- */

static void on_upstream(void *ctx, const uint8_t *msg, size_t len)
{
	struct nameserver_ask *ask = ctx;
	struct nameserver *svc = ask->svc;
	size_t max = answer_max(&ask->who, &ask->q);
	ssize_t n = msg ? pass_gate(ask, msg, len, svc->answer, max) : -ETIMEDOUT;
	nameserver_fn done = ask->done;
	void *done_ctx = ask->ctx;

	if (n < 0)
		n = msg_reply(&ask->q, MSG_SERVFAIL,
			      msg ? MSG_EDE_NETWORK_ERROR :
				    MSG_EDE_NO_REACHABLE_AUTHORITY,
			      svc->answer, max);
	else
		learn(ask, svc->answer, n);
	tell(svc, EVENT_DNS_ANSWER, &ask->who, &ask->q, msg_header_rcode(svc->answer));
	free(ask);
	done(done_ctx, svc->answer, n);
}

static struct nameserver_ask *ask_upstream(const struct nameserver_ask *want)
{
	struct nameserver *svc = want->svc;
	struct nameserver_ask *ask = malloc(sizeof(*ask));

	if (!ask)
		return NULL;
	*ask = *want;
	ask->upstream = resolver_ask(
		svc->deps.resolver, &ask->q,
		is_ours(svc, &ask->who.to.addr) ? NULL : &ask->who.to, on_upstream, ask);
	if (!ask->upstream) {
		free(ask);
		return NULL;
	}
	return ask;
}

/* Answers without anybody's help. Returns the length, or 0 when upstream has to be asked. */
static size_t answer_at_once(const struct nameserver_ask *ask, enum msg_verdict v,
			     size_t max)
{
	struct nameserver *svc = ask->svc;
	int ede;

	if (v != MSG_PLAIN)
		return msg_reply(&ask->q, msg_verdict_rcode(v), MSG_NO_EDE, svc->answer,
				 max);
	ede = judge_question(ask);
	if (ede != MSG_NO_EDE)
		return msg_reply(&ask->q, MSG_NOERROR, ede, svc->answer, max);
	return svc->deps.hosts ?
		       hosts_answer(svc->deps.hosts, &ask->q, svc->answer, max) :
		       0;
}

struct nameserver_ask *nameserver_ask(struct nameserver *svc,
				      const struct nameserver_client *who,
				      const uint8_t *query, size_t len,
				      nameserver_fn done, void *ctx)
{
	struct nameserver_ask want = { .svc = svc, .who = *who, .done = done, .ctx = ctx };
	enum msg_verdict v = msg_parse_query(query, len, &want.q);
	struct nameserver_ask *ask;
	size_t max, n;

	if (v == MSG_DROP) {
		done(ctx, NULL, 0);
		return NULL;
	}
	tell(svc, EVENT_DNS_QUERY, who, &want.q, 0);
	max = answer_max(who, &want.q);
	n = answer_at_once(&want, v, max);
	if (!n) {
		ask = ask_upstream(&want);
		if (ask)
			return ask;
		n = msg_reply(&want.q, MSG_SERVFAIL, MSG_EDE_NETWORK_ERROR, svc->answer,
			      max);
	}
	tell(svc, EVENT_DNS_ANSWER, who, &want.q, msg_header_rcode(svc->answer));
	done(ctx, svc->answer, n);
	return NULL;
}

void nameserver_cancel(struct nameserver_ask *ask)
{
	resolver_cancel(ask->upstream);
	free(ask);
}

/* --- DNS over TCP --- */

struct stream {
	struct list node; /* on nameserver.streams */
	struct nameserver *svc;
	struct channel *ch;
	struct nameserver_client who;
	uv_timer_t idle;
	struct list asks;
	size_t ask_count, got;
	bool eof, closed, blocked;
	uint8_t in[2 + MSG_MAX]; /* the message being read, with its length in front */
};

struct stream_ask {
	struct list node;
	struct stream *stream;
	struct nameserver_ask *ask;
};

static void on_idle_closed(uv_handle_t *h)
{
	free(container_of((uv_timer_t *)h, struct stream, idle));
}

static void stream_close(struct stream *s, int err)
{
	if (s->closed)
		return;
	s->closed = true;
	while (!list_empty(&s->asks)) {
		struct stream_ask *a = list_entry(s->asks.next, struct stream_ask, node);

		list_del(&a->node);
		nameserver_cancel(a->ask);
		free(a);
	}
	list_del(&s->node);
	s->svc->stream_count--;
	s->ch->ops->close(s->ch, err);
	uv_close((uv_handle_t *)&s->idle, on_idle_closed);
}

static void on_idle(uv_timer_t *timer)
{
	stream_close(container_of(timer, struct stream, idle), 0);
}

static void touch(struct stream *s)
{
	uv_timer_start(&s->idle, on_idle, STREAM_IDLE_MS, 0);
}

static void stream_answer(struct stream *s, const uint8_t *answer, size_t len)
{
	uint8_t prefix[2] = { len >> 8, len & 255 };
	struct iovec iov[2] = { { prefix, 2 }, { (void *)answer, len } };

	/* A client that asks without reading has no claim on our memory. */
	if (s->ch->ops->send(s->ch, iov, 2, NULL) != (ssize_t)len + 2)
		stream_close(s, ECONNABORTED);
}

static void on_answer(void *ctx, const uint8_t *answer, size_t len)
{
	struct stream_ask *a = ctx;
	struct stream *s = a->stream;

	list_del(&a->node);
	free(a);
	s->ask_count--;
	touch(s);
	if (len)
		stream_answer(s, answer, len);
	else
		stream_close(s, ECONNABORTED);
	if (s->closed)
		return;
	if (s->eof && !s->ask_count) {
		stream_close(s, 0);
	} else if (s->blocked) {
		s->blocked = false;
		s->ch->ops->recv(s->ch);
	}
}

static void ask_one(struct stream *s, const uint8_t *query, size_t len)
{
	struct stream_ask *a = calloc(1, sizeof(*a));
	struct nameserver_ask *ask;

	if (!a)
		return stream_close(s, ENOMEM);
	a->stream = s;
	list_add_tail(&s->asks, &a->node);
	s->ask_count++;
	ask = nameserver_ask(s->svc, &s->who, query, len, on_answer, a);
	if (ask)
		a->ask = ask;
}

/* Copies from the channel until a message is whole; returns the bytes taken. */
static size_t take(struct stream *s, const uint8_t *data, size_t len)
{
	size_t want = s->got < 2 ? 2 : 2 + (size_t)(s->in[0] << 8 | s->in[1]);
	size_t n = MIN(len, want - s->got);

	memcpy(s->in + s->got, data, n);
	s->got += n;
	return n;
}

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct stream *s = ctx;
	size_t taken = 0;

	(void)owner;
	touch(s);
	for (int i = 0; i < n; i++) {
		const uint8_t *data = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left && !s->closed && s->ask_count < STREAM_ASKS_MAX) {
			size_t k = take(s, data, left);

			data += k;
			left -= k;
			taken += k;
			if (s->got > 2 &&
			    s->got == 2 + (size_t)(s->in[0] << 8 | s->in[1])) {
				s->got = 0;
				ask_one(s, s->in + 2, s->in[0] << 8 | s->in[1]);
			} else if (s->got == 2 && !(s->in[0] | s->in[1])) {
				stream_close(s,
					     ECONNABORTED); /* an empty message is none */
			}
		}
		s->blocked = left > 0;
	}
	return taken;
}

static void on_eof(void *ctx)
{
	struct stream *s = ctx;

	s->eof = true;
	if (!s->ask_count)
		stream_close(s, 0);
}

static void on_closed(void *ctx, int err)
{
	stream_close(ctx, err);
}

static void on_drain(void *ctx)
{
	(void)ctx; /* an answer that does not fit closes the stream */
}

static const struct channel_up stream_up = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_eof = on_eof,
	.on_closed = on_closed,
};

void nameserver_accept(struct nameserver *svc, struct channel *near,
		       const struct endpoint *child, const struct endpoint *to)
{
	struct stream *s = svc->stream_count < STREAM_MAX ? malloc(sizeof(*s)) : NULL;

	if (!s)
		return near->ops->close(near, ECONNABORTED);
	s->svc = svc;
	s->ch = near;
	s->who = (struct nameserver_client){ .protocol = IPPROTO_TCP,
					     .child = *child,
					     .to = *to };
	list_init(&s->asks);
	s->ask_count = s->got = 0;
	s->eof = s->closed = s->blocked = false;
	uv_timer_init(svc->deps.loop, &s->idle);
	list_add_tail(&svc->streams, &s->node);
	svc->stream_count++;
	near->up = &stream_up;
	near->ctx = s;
	touch(s);
}

void nameserver_close(struct nameserver *svc)
{
	while (!list_empty(&svc->streams))
		stream_close(list_entry(svc->streams.next, struct stream, node),
			     ECONNABORTED);
}
