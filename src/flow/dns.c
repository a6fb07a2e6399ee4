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
 * Names that a proxy resolves are asked of nobody here: flow/dns_remote.c.
 *
 * The child is always answered: SERVFAIL when no server did.
 */
#include "flow/dns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"
#include "flow/stream.h"

struct nameserver {
	struct nameserver_deps deps;
	struct streams streams;
	uint8_t answer[MSG_MAX];
};

struct nameserver_ask {
	struct nameserver *svc;
	struct nameserver_client who;
	struct msg_question q;
	enum route route;
	struct resolver_ask *upstream; /* by ROUTE_DIRECT, else: */
	struct remote_ask *remote;
	nameserver_fn done;
	void *ctx;
};

struct nameserver *nameserver_new(const struct nameserver_deps *deps)
{
	struct nameserver *svc = alloc_but(sizeof(*svc),
					   offsetof(struct nameserver, answer));

	if (!svc)
		return NULL;
	svc->deps = *deps;
	streams_init(&svc->streams, deps, svc);
	return svc;
}

void nameserver_free(struct nameserver *svc)
{
	free(svc);
}

/* --- one question --- */

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

/* --- events --- */

/* What is told of a question; its answer has come when `mode` says how. */
struct told {
	enum event_kind kind;
	bool relayed;
	enum answered_mode mode;
	int ede;
	size_t len; /* of the answer */
};

struct told_addrs {
	struct addr *list;
	size_t count, room;
};

static void collect(void *ctx, const struct answer_found *found)
{
	struct told_addrs *addrs = ctx;

	if (addrs->count < addrs->room)
		addrs->list[addrs->count++] = found->addr;
}

static void tell(struct nameserver *svc, const struct nameserver_client *who,
		 const struct msg_question *q, const struct told *told)
{
	struct addr list[MSG_MAX / 16];
	struct told_addrs addrs = { list, 0, ARRAY_SIZE(list) };
	char name[NAME_TEXT_MAX];
	struct event ev = {
		.kind = told->kind,
		.protocol = who->protocol,
		.child = who->child,
		.remote = who->to,
		.process = who->who ? who_process(who->who) : NULL,
		.dns = { .type = q->type, .server = who->to, .ede = MSG_NO_EDE },
	};

	if (!events_wanted(svc->deps.events))
		return;
	ev.dns.name = name_to_text(&q->name, name);
	/* Through a proxy it is the server of --dns, too. */
	if (told->relayed && is_ours(svc, &who->to.addr))
		resolver_first_server(svc->deps.resolver, &ev.dns.server);
	if (told->kind == EVENT_DNS_ANSWER) {
		ev.dns.mode = told->mode;
		ev.dns.ede = told->ede;
		ev.dns.rcode = msg_header_rcode(svc->answer);
		ev.dns.bytes = told->len;
		answer_each_address(q, svc->answer, told->len, collect, &addrs);
		ev.dns.addrs = list;
		ev.dns.addr_count = addrs.count;
	}
	event_emit(svc->deps.events, &ev);
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

/* Why a question may not be asked. */
struct judgement {
	int ede; /* MSG_NO_EDE: it may */
	enum nameserver_refusal why;
};

static struct judgement judge(const struct nameserver_ask *ask)
{
	const struct nameserver_rules *rules = &ask->svc->deps.rules;
	enum nameserver_standing s;

	if (rules->offline)
		return (struct judgement){ MSG_EDE_PROHIBITED,
					   NAMESERVER_REFUSED_OFFLINE };
	s = standing(rules, &ask->q.name);
	if (s == NAMESERVER_DENIED)
		return (struct judgement){ MSG_EDE_BLOCKED, NAMESERVER_REFUSED_DENIED };
	if (s == NAMESERVER_UNNAMED && rules->only_allowed_asked)
		return (struct judgement){ MSG_EDE_PROHIBITED,
					   NAMESERVER_REFUSED_UNNAMED };
	return (struct judgement){ .ede = MSG_NO_EDE };
}

static bool gate_admits(void *ctx, const struct addr *addr)
{
	const struct nameserver_ask *ask = ctx;
	const struct nameserver_rules *rules = &ask->svc->deps.rules;
	enum nameserver_class class = class_of(rules, addr);

	return class == NAMESERVER_PUBLIC ||
	       (class == NAMESERVER_PRIVATE && !rules->strips_private);
}

/* Under audit, but for what leads nowhere. */
static bool gate_admits_more(void *ctx, const struct addr *addr)
{
	const struct nameserver_ask *ask = ctx;

	return class_of(&ask->svc->deps.rules, addr) != NAMESERVER_NEVER;
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
	ssize_t n = answer_reencode(&ask->q, msg, len, &gate, out, max);

	/* All has been told now. */
	if (n < 0 || !rules->audit)
		return n;
	gate.admits = gate_admits_more;
	gate.follows = NULL;
	gate.stripped = NULL;
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
	struct told told = { .kind = EVENT_DNS_ANSWER,
			     .relayed = true,
			     .mode = ANSWERED_RELAYED,
			     .ede = MSG_NO_EDE };
	nameserver_fn done = ask->done;
	void *done_ctx = ask->ctx;

	if (n < 0) {
		told.ede = msg ? MSG_EDE_NETWORK_ERROR : MSG_EDE_NO_REACHABLE_AUTHORITY;
		n = msg_reply(&ask->q, MSG_SERVFAIL, told.ede, svc->answer, max);
		told.mode = ANSWERED_EMPTY;
	} else {
		learn(ask, svc->answer, n);
	}
	told.len = n;
	tell(svc, &ask->who, &ask->q, &told);
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
	if (ask->route == ROUTE_DIRECT)
		ask->upstream = resolver_ask(
			svc->deps.resolver, &ask->q,
			is_ours(svc, &ask->who.to.addr) ? NULL : &ask->who.to,
			on_upstream, ask);
	else
		ask->remote = remote_ask(svc->deps.remote, &ask->q, ask->route,
					 on_upstream, ask);
	if (!ask->upstream && !ask->remote) {
		free(ask);
		return NULL;
	}
	return ask;
}

static enum route route_of(const struct nameserver_ask *ask)
{
	const struct nameserver_rules *rules = &ask->svc->deps.rules;
	char text[NAME_TEXT_MAX];

	return rules->route ? rules->route(rules->ctx, name_to_text(&ask->q.name, text)) :
			      ROUTE_DIRECT;
}

/* Answers about names that are resolved elsewhere, and addresses that stand for them, as far
 * as that goes without asking. Returns the length or 0. */
static size_t answer_remote(const struct nameserver_ask *ask, size_t max,
			    struct told *told)
{
	struct nameserver *svc = ask->svc;
	struct remote_told how = { .ede = MSG_NO_EDE };
	size_t n = 0;

	if (svc->deps.pool)
		n = remote_answer_ptr(svc->deps.pool, &ask->q, svc->answer, max, &how);
	if (!n && ask->route == ROUTE_BLOCK) {
		how.ede = MSG_EDE_PROHIBITED;
		n = msg_reply(&ask->q, MSG_NOERROR, how.ede, svc->answer, max);
	} else if (!n && ask->route != ROUTE_DIRECT) {
		n = remote_answer(svc->deps.remote, &ask->q, svc->answer, max, &how);
	}
	told->mode = how.synthetic ? ANSWERED_SYNTHETIC : ANSWERED_EMPTY;
	told->ede = how.ede;
	return n;
}

/* Answers without anybody's help. Returns the length, or 0 when upstream has to be asked. */
static size_t answer_at_once(const struct nameserver_ask *ask, enum msg_verdict v,
			     const struct judgement *j, struct told *told)
{
	struct nameserver *svc = ask->svc;
	size_t max = answer_max(&ask->who, &ask->q);
	bool refuses = j->ede != MSG_NO_EDE && !svc->deps.rules.audit;
	size_t n;

	told->mode = ANSWERED_EMPTY;
	told->ede = refuses ? j->ede : MSG_NO_EDE;
	if (v != MSG_PLAIN)
		return msg_reply(&ask->q, msg_verdict_rcode(v), MSG_NO_EDE, svc->answer,
				 max);
	if (refuses)
		return msg_reply(&ask->q, MSG_NOERROR, j->ede, svc->answer, max);
	told->mode = ANSWERED_BY_HOSTS;
	n = svc->deps.hosts ? hosts_answer(svc->deps.hosts, &ask->q, svc->answer, max) :
			      0;
	return n ? n : answer_remote(ask, max, told);
}

struct nameserver_ask *nameserver_ask(struct nameserver *svc,
				      const struct nameserver_client *who,
				      const uint8_t *query, size_t len,
				      nameserver_fn done, void *ctx)
{
	struct nameserver_ask want = { .svc = svc, .who = *who, .done = done, .ctx = ctx };
	enum msg_verdict v = msg_parse_query(query, len, &want.q);
	struct judgement j = { .ede = MSG_NO_EDE };
	struct told told = { .kind = EVENT_DNS_QUERY };
	struct nameserver_ask *ask;

	if (v == MSG_DROP) {
		done(ctx, NULL, 0);
		return NULL;
	}
	if (v == MSG_PLAIN) {
		j = judge(&want);
		want.route = route_of(&want);
	}
	told.len = answer_at_once(&want, v, &j, &told);
	told.relayed = !told.len;
	tell(svc, who, &want.q, &told);
	if (j.ede != MSG_NO_EDE)
		refused(&want, j.why, NULL, NULL);
	told.kind = EVENT_DNS_ANSWER;
	if (!told.len) {
		ask = ask_upstream(&want);
		if (ask)
			return ask;
		told.mode = ANSWERED_EMPTY;
		told.ede = MSG_EDE_NETWORK_ERROR;
		told.len = msg_reply(&want.q, MSG_SERVFAIL, told.ede, svc->answer,
				     answer_max(who, &want.q));
	}
	tell(svc, who, &want.q, &told);
	done(ctx, svc->answer, told.len);
	return NULL;
}

void nameserver_cancel(struct nameserver_ask *ask)
{
	if (ask->upstream)
		resolver_cancel(ask->upstream);
	if (ask->remote)
		remote_cancel(ask->remote);
	free(ask);
}

/* --- over TCP --- */

void nameserver_accept(struct nameserver *svc, struct channel *near,
		       const struct endpoint *child, const struct endpoint *to)
{
	streams_accept(&svc->streams, near, child, to);
}

void nameserver_close(struct nameserver *svc)
{
	streams_close(&svc->streams);
}
