/*
 * Theory of operation
 *
 * A session stands for one port of the child. It has one host socket, so that all its
 * datagrams leave from one source port, and a flow per peer it has written to: the verdict
 * is the flow's and holds as long as it does, and answers are taken from those peers only. The
 * socket is made when the first datagram is allowed and goes with the last flow.
 *
 * Errors of the network come back through the socket's error queue (IP_RECVERR) with the
 * destination and the beginning of the datagram, and reach the child as ICMP. The child's
 * don't-fragment bit decides the socket's path-MTU mode, so a datagram too big for the path
 * is told of and not silently fragmented (the child's kernel then does what it was asked).
 *
 * Datagrams that follow each other to one peer leave by one call (UDP_SEGMENT), and those of
 * one peer that are read together go to the child as one super-segment; the kernel may have
 * put some together already (UDP_GRO).
 *
 * Flows end after some idle time: 30 s while it may be one question and its answer, 180 s
 * once the child has written again after an answer (RFC 4787 REQ-5 asks for two minutes).
 * Both kinds hang on a list in order of their last datagram, so expiry looks only at the
 * heads. When the table is full the flow that was idle longest goes.
 */
#include "flow/udp_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FLOW_MAX 16384
#define IDLE_SHORT_MS 30000
#define IDLE_LONG_MS 180000
#define EXPIRE_EVERY_MS 5000
#define PROXIED_MTU 65000 /* what is still larger is too large behind a proxy's head */

/* --- flows --- */

static struct udp_flow **slot(struct sessions *t, const struct session *s,
			      const struct endpoint *peer)
{
	return &t->bucket[(addr_hash(&peer->addr, (uintptr_t)s ^ peer->port) >> 40) %
			  BUCKETS];
}

struct udp_flow *udpflow_find(struct session *s, const struct endpoint *peer)
{
	struct udp_flow *f = *slot(s->table, s, peer);

	while (f && !(f->session == s && endpoint_eq(&f->peer, peer)))
		f = f->hash_next;
	return f;
}

void udpflow_emit(const struct udp_flow *f, struct event ev)
{
	ev.flow_id = f->id;
	ev.protocol = IPPROTO_UDP;
	ev.child = f->session->port->child;
	ev.remote = f->peer;
	ev.via_proxy = f->route != ROUTE_DIRECT;
	ev.process = who_process(&f->who);
	guard_emit(f->session->table->deps.guard, &ev);
}

static void tell_start(const struct udp_flow *f)
{
	struct event ev = { .kind = EVENT_FLOW_START };

	if (!f->session->table->deps.guard->events->wants_local)
		;
	else if (f->route != ROUTE_DIRECT)
		udprelay_endpoints(f, &ev.flow_start.local, &ev.flow_start.peer);
	else if (udpsocket_endpoints(f->session, &ev.flow_start.local))
		ev.flow_start.peer = f->peer;
	udpflow_emit(f, ev);
}

static void end_wait(struct udp_flow *f)
{
	if (!f->waits)
		return;
	f->waits = false;
	tell_start(f);
	hold_end(&f->session->hold);
}

static void on_known(struct who_ask *who)
{
	end_wait(container_of(who, struct udp_flow, who));
}

static void drop(struct udp_flow *f)
{
	struct sessions *t = f->session->table;
	struct udp_flow **p = slot(t, f->session, &f->peer);

	while (*p != f)
		p = &(*p)->hash_next;
	*p = f->hash_next;
	list_del(&f->of_session);
	list_del(&f->by_age);
	guard_release(t->deps.guard, f->hold);
	guard_release_name(t->deps.guard, f->name_hold);
	who_forget(&f->who);
	t->flow_count--;
	free(f);
}

void udpflow_end(struct udp_flow *f, enum close_reason reason)
{
	end_wait(f);
	udpflow_emit(
		f, (struct event){ .kind = EVENT_FLOW_END,
				   .flow_end = { .bytes_up = f->bytes_up,
						 .bytes_down = f->bytes_down,
						 .packets_up = f->packets_up,
						 .packets_down = f->packets_down,
						 .duration_ms = f->last_ms - f->start_ms,
						 .reason = reason } });
	drop(f);
}

void udpflow_touch(struct udp_flow *f)
{
	struct sessions *t = f->session->table;

	f->last_ms = uv_now(t->deps.loop);
	list_del(&f->by_age);
	list_add_tail(f->conversation ? &t->talking : &t->asking, &f->by_age);
}

static void end_oldest(struct sessions *t, struct session *but)
{
	struct list *head = list_empty(&t->asking) ? &t->talking : &t->asking;
	struct udp_flow *f = list_entry(head->next, struct udp_flow, by_age);
	struct session *s = f->session;

	udpflow_end(f, CLOSE_EVICTED);
	if (s != but)
		udpsession_settle(s);
}

static struct udp_flow *flow_new(struct session *s, const struct endpoint *peer,
				 enum route route)
{
	struct sessions *t = s->table;
	struct udp_flow *f = calloc(1, sizeof(*f)), **p;

	if (!f)
		return NULL;
	if (t->flow_count >= FLOW_MAX)
		end_oldest(t, s);
	f->session = s;
	f->peer = *peer;
	f->id = event_flow_id(t->deps.guard->events);
	f->start_ms = uv_now(t->deps.loop);
	f->route = route;
	f->hold = guard_hold(t->deps.guard, &peer->addr);
	f->name_hold = guard_hold_name(t->deps.guard, &peer->addr);
	p = slot(t, s, peer);
	f->hash_next = *p;
	*p = f;
	list_add_tail(&s->flows, &f->of_session);
	list_init(&f->by_age);
	t->flow_count++;
	return f;
}

static void expire(struct sessions *t, struct list *head, unsigned idle_ms)
{
	while (!list_empty(head)) {
		struct udp_flow *f = list_entry(head->next, struct udp_flow, by_age);
		struct session *s = f->session;

		if (uv_now(t->deps.loop) - f->last_ms < idle_ms)
			return;
		udpflow_end(f, CLOSE_IDLE);
		udpsession_settle(s);
	}
}

static void on_expire(uv_timer_t *timer)
{
	struct sessions *t = container_of(timer, struct sessions, expire);

	expire(t, &t->asking, IDLE_SHORT_MS);
	expire(t, &t->talking, IDLE_LONG_MS);
	if (!t->flow_count)
		uv_timer_stop(timer);
}

/* --- sessions --- */

static void on_answered(struct questions *q)
{
	udpsession_settle(container_of(q, struct session, questions));
}

struct session *udpsession_new(struct sessions *t, struct dgram_port *port)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->table = t;
	s->port = port;
	s->sock =
		(struct outbox_socket){ .fd = -1, .marks = MARKS_UNKNOWN, .port = port };
	s->questions = (struct questions){ .dns = t->deps.dns,
					   .who = t->deps.who,
					   .port = port,
					   .on_answered = on_answered };
	questions_init(&s->questions);
	s->hold = (struct hold){ t->deps.poller, &s->source };
	list_init(&s->flows);
	list_init(&s->relays);
	list_add_tail(&t->sessions, &s->node);
	port->owner = s;
	return s;
}

static void session_close(struct session *s)
{
	outbox_forget(&s->table->out, &s->sock);
	udprelay_close_all(s);
	list_del(&s->node);
	s->port->ops->close(s->port);
	s->port = NULL;
	if (s->sock.fd >= 0)
		udpsocket_close(s);
	else
		free(s);
}

void udpsession_settle(struct session *s)
{
	if (list_empty(&s->flows) && !s->questions.count && !s->refused)
		session_close(s);
}

/* --- child to peer --- */

void sessions_flush(struct sessions *t)
{
	outbox_flush(&t->out);
}

/* 0 or -errno. */
static int let_out(struct udp_flow *f, const struct dgram *d)
{
	struct session *s = f->session;
	int err;

	if (f->route != ROUTE_DIRECT)
		return udprelay_send(f, d);
	err = s->sock.fd < 0 ? udpsocket_open(s) : 0;
	if (err == 0)
		outbox_put(&s->table->out, &s->sock, d);
	return err;
}

static void refuse(struct session *s, int err)
{
	static const struct {
		int err, told;
	} known[] = {
		{ EAFNOSUPPORT, ENETUNREACH },
		{ EHOSTUNREACH, EHOSTUNREACH },
		{ EMSGSIZE, EMSGSIZE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (err == known[i].err)
			return s->port->ops->refuse(s->port, known[i].told, PROXIED_MTU);
	if (err == EMFILE || err == ENFILE || err == ENOMEM)
		event_refused_full(s->table->deps.guard->events);
	s->port->ops->refuse(s->port, EACCES, 0);
}

/* f is NULL when the datagram is its flow's first. */
static void relay(struct session *s, struct udp_flow *f, const struct dgram *d,
		  enum route route)
{
	struct sessions *t = s->table;
	struct who_key key = { IPPROTO_UDP, s->port->child, d->to };
	bool begins = !f;
	int err;

	if (begins)
		f = flow_new(s, &d->to, route);
	if (!f)
		return refuse(s, ENOMEM);
	err = -let_out(f, d);
	if (err)
		refuse(s, err);
	if (err && begins)
		return drop(f);
	if (err)
		return;
	/* The datagram is out meanwhile. */
	if (begins && who_ask(t->deps.who, &f->who, &key, on_known)) {
		f->waits = true;
		hold_begin(&s->hold);
	} else if (begins) {
		tell_start(f);
	}
	f->last = *d;
	f->last.data = NULL;
	f->bytes_up += d->len;
	f->packets_up++;
	f->conversation |= f->answered;
	udpflow_touch(f);
	if (!uv_is_active((uv_handle_t *)&t->expire))
		uv_timer_start(&t->expire, on_expire, EXPIRE_EVERY_MS, EXPIRE_EVERY_MS);
}

void sessions_dgram(void *table, struct dgram_port *port, const struct dgram *d)
{
	struct sessions *t = table;
	struct session *s = port->owner;
	struct udp_flow *f = s ? udpflow_find(s, &d->to) : NULL;
	enum route route = ROUTE_DIRECT;

	if (!f && !udpsession_admit(t, port, d, &route))
		return;
	if (!s)
		s = udpsession_new(t, port);
	if (!s)
		return;
	if (d->to.port == DNS_PORT) {
		/* An answer at once has settled the session already. */
		questions_ask(&s->questions, d);
	} else {
		relay(s, f, d, route);
		udpsession_settle(s);
	}
}

/* --- life --- */

struct sessions *sessions_new(const struct sessions_deps *deps)
{
	struct sessions *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->deps = *deps;
	refusals_init(&t->refusals, deps->guard, deps->who);
	list_init(&t->sessions);
	list_init(&t->asking);
	list_init(&t->talking);
	for (int i = 0; i < BATCH; i++) {
		t->iov[i] = (struct iovec){ t->data[i], sizeof(t->data[i]) };
		t->msg[i].msg_hdr = (struct msghdr){ .msg_name = &t->from[i],
						     .msg_iov = &t->iov[i],
						     .msg_iovlen = 1,
						     .msg_control = t->control[i] };
	}
	uv_timer_init(deps->loop, &t->expire);
	return t;
}

static void session_end(struct session *s)
{
	questions_cancel(&s->questions);
	while (!list_empty(&s->flows))
		udpflow_end(list_entry(s->flows.next, struct udp_flow, of_session),
			    CLOSE_RUN_END);
	session_close(s);
}

void sessions_close(struct sessions *t)
{
	refusals_end(&t->refusals);
	while (!list_empty(&t->sessions))
		session_end(list_entry(t->sessions.next, struct session, node));
	uv_close((uv_handle_t *)&t->expire, NULL);
}

void sessions_free(struct sessions *t)
{
	free(t);
}
