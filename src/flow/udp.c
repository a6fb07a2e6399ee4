/*
 * Theory of operation
 *
 * A session stands for one port of the child. It has one host socket, so that all its
 * datagrams leave from one source port, and a flow per peer it has written to: the verdict
 * is the flow's and holds as long as it does, and answers are taken from those peers only. The socket is made when the
 * first datagram is allowed and goes with the last flow.
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
#include "flow/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/errqueue.h"
#include "flow/hold.h"
#include "flow/outbox.h"
#include "flow/questions.h"

#define FLOW_MAX 16384
#define BUCKETS 4096
#define BATCH 32      /* datagrams per recvmmsg */
#define BATCHES_MAX 4 /* per wake-up */
#define DGRAM_MAX 65536
#define IDLE_SHORT_MS 30000
#define IDLE_LONG_MS 180000
#define EXPIRE_EVERY_MS 5000

struct session {
	struct list node;
	struct sessions *table;
	struct dgram_port *port; /* NULL once closed */
	struct questions questions;
	struct list flows;
	struct outbox_socket sock; /* none until a datagram is allowed out */
	struct poll_source source;
	struct hold hold;
};

struct udp_flow {
	struct list of_session, by_age;
	struct udp_flow *hash_next;
	struct session *session;
	struct endpoint peer;
	struct dgram last; /* of the child; its data is gone */
	struct names_hold *hold;
	struct who_ask who;
	uint64_t id, start_ms, last_ms;
	uint64_t bytes_up, bytes_down, packets_up, packets_down;
	bool answered, conversation, waits;
};

struct sessions {
	struct sessions_deps deps;
	struct outbox out;
	struct list sessions;
	size_t socket_count;
	struct list asking, talking; /* flows, oldest first */
	size_t flow_count;
	struct udp_flow *bucket[BUCKETS];
	uv_timer_t expire;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
	_Alignas(struct cmsghdr) uint8_t control[BATCH][2 * CMSG_SPACE(sizeof(int))];
	uint8_t data[BATCH][DGRAM_MAX];
};

static void on_socket(struct poll_source *source, uint32_t events);
static void session_settle(struct session *s);

/* --- flows --- */

static struct udp_flow **slot(struct sessions *t, const struct session *s,
			      const struct endpoint *peer)
{
	return &t->bucket[(addr_hash(&peer->addr, (uintptr_t)s ^ peer->port) >> 40) %
			  BUCKETS];
}

static struct udp_flow *flow_find(struct session *s, const struct endpoint *peer)
{
	struct udp_flow *f = *slot(s->table, s, peer);

	while (f && !(f->session == s && endpoint_eq(&f->peer, peer)))
		f = f->hash_next;
	return f;
}

static void emit(const struct udp_flow *f, struct event ev)
{
	const struct guard *guard = f->session->table->deps.guard;
	const char *names[NAMES_PER_ADDRESS];

	if (!events_wanted(guard->events))
		return;
	ev.flow_id = f->id;
	ev.protocol = IPPROTO_UDP;
	ev.child = f->session->port->child;
	ev.remote = f->peer;
	ev.process = who_process(&f->who);
	guard_name_event(guard, &ev, names);
	event_emit(guard->events, &ev);
}

/* It would get its port with the first datagram; a second bind() is none. */
static void take_port(int fd, bool v4)
{
	struct sockaddr_storage any = { .ss_family = v4 ? AF_INET : AF_INET6 };

	bind(fd, (struct sockaddr *)&any, sizeof(any));
}

/* The host's socket; whom it reaches is the flow's peer. */
static void tell_start(const struct udp_flow *f)
{
	struct event ev = { .kind = EVENT_FLOW_START };
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	int fd = f->session->sock.fd;

	if (f->session->table->deps.guard->events->wants_local) {
		take_port(fd, addr_is_v4(&f->peer.addr));
		if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
			sa.ss_family = AF_UNSPEC;
		endpoint_from_sockaddr((struct sockaddr *)&sa, &ev.flow_start.local);
		ev.flow_start.peer = f->peer;
	}
	emit(f, ev);
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

/* The caller settles the session afterwards. */
static void flow_end(struct udp_flow *f, enum close_reason reason)
{
	struct session *s = f->session;
	struct sessions *t = s->table;
	struct udp_flow **p = slot(t, s, &f->peer);

	end_wait(f);
	emit(f, (struct event){ .kind = EVENT_FLOW_END,
				.flow_end = { .bytes_up = f->bytes_up,
					      .bytes_down = f->bytes_down,
					      .packets_up = f->packets_up,
					      .packets_down = f->packets_down,
					      .duration_ms = f->last_ms - f->start_ms,
					      .reason = reason } });
	while (*p != f)
		p = &(*p)->hash_next;
	*p = f->hash_next;
	list_del(&f->of_session);
	list_del(&f->by_age);
	guard_release(t->deps.guard, f->hold);
	who_forget(&f->who);
	t->flow_count--;
	free(f);
}

static void flow_touch(struct udp_flow *f)
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

	flow_end(f, CLOSE_EVICTED);
	if (s != but)
		session_settle(s);
}

static struct udp_flow *flow_new(struct session *s, const struct endpoint *peer)
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
	f->hold = guard_hold(t->deps.guard, &peer->addr);
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
		flow_end(f, CLOSE_IDLE);
		session_settle(s);
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
	session_settle(container_of(q, struct session, questions));
}

static struct session *session_new(struct sessions *t, struct dgram_port *port)
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
	list_add_tail(&t->sessions, &s->node);
	port->owner = s;
	return s;
}

static void session_close(struct session *s)
{
	outbox_forget(&s->table->out, &s->sock);
	list_del(&s->node);
	s->port->ops->close(s->port);
	s->port = NULL;
	if (s->sock.fd < 0) {
		free(s);
		return;
	}
	sock_watch_closing(s->table->deps.watch, s->sock.fd);
	close(s->sock.fd);
	s->table->socket_count--;
	poller_retire(s->table->deps.poller, &s->source, s);
}

/* Ends a session that has nothing left to wait for. */
static void session_settle(struct session *s)
{
	if (list_empty(&s->flows) && !s->questions.count)
		session_close(s);
}

static void tell_watch(struct sock_watch *watch, int fd, bool v4)
{
	if (!watch)
		return;
	take_port(fd, v4);
	sock_watch_opened(watch, fd, NULL);
}

static int session_open(struct session *s)
{
	bool v4 = addr_is_v4(&s->port->child.addr);
	int on = 1, r;
	cleanup_fd int fd = socket(v4 ? AF_INET : AF_INET6,
				   SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (s->table->socket_count >= s->table->deps.capacity)
		return -EMFILE;
	r = errqueue_enable(fd, v4);
	if (r)
		return r;
	/* Without it, in an old kernel, datagrams come one by one. */
	setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
	s->source.on_ready = on_socket;
	r = poller_add(s->table->deps.poller, &s->source, fd);
	if (r)
		return r;
	tell_watch(s->table->deps.watch, fd, v4);
	s->sock.fd = steal_fd(&fd);
	s->table->socket_count++;
	return 0;
}

/* --- child to peer --- */

void sessions_flush(struct sessions *t)
{
	outbox_flush(&t->out);
}

static void relay(struct session *s, struct udp_flow *f, const struct dgram *d)
{
	struct sessions *t = s->table;
	int err = s->sock.fd < 0 ? -session_open(s) : 0;

	if (!err && !f) {
		struct who_key key = { IPPROTO_UDP, s->port->child, d->to };

		f = flow_new(s, &d->to);
		/* The datagram goes out meanwhile. */
		if (f && who_ask(t->deps.who, &f->who, &key, on_known)) {
			f->waits = true;
			hold_begin(&s->hold);
		} else if (f) {
			tell_start(f);
		}
	}
	if (err || !f) {
		s->port->ops->refuse(s->port, err == EAFNOSUPPORT ? ENETUNREACH : EACCES,
				     0);
		return;
	}
	outbox_put(&t->out, &s->sock, d);
	f->last = *d;
	f->last.data = NULL;
	f->bytes_up += d->len;
	f->packets_up++;
	f->conversation |= f->answered;
	flow_touch(f);
	if (!uv_is_active((uv_handle_t *)&t->expire))
		uv_timer_start(&t->expire, on_expire, EXPIRE_EVERY_MS, EXPIRE_EVERY_MS);
}

/* Asks for the verdict of a flow that begins, and tells the child when it may not. */
static bool admit(const struct sessions *t, struct dgram_port *port,
		  const struct endpoint *to)
{
	struct inquiry q = { .target = { .protocol = IPPROTO_UDP, .to = *to } };
	enum reason reason;

	if (to->port == DNS_PORT ? guard_admits_server(t->deps.guard, &port->child, &q) :
				   guard_admits(t->deps.guard, &port->child, 0, &q))
		return true;
	reason = q.verdict.reason;
	/* RFC 1122 3.2.2: no ICMP error about a datagram to many. */
	if (reason != REASON_MULTICAST)
		port->ops->refuse(port, reason == REASON_GATEWAY ? ECONNREFUSED : EACCES,
				  0);
	return false;
}

void sessions_dgram(void *table, struct dgram_port *port, const struct dgram *d)
{
	struct sessions *t = table;
	struct session *s = port->owner;
	struct udp_flow *f = s ? flow_find(s, &d->to) : NULL;

	if (!f && !admit(t, port, &d->to))
		return;
	if (!s)
		s = session_new(t, port);
	if (!s)
		return;
	if (d->to.port == DNS_PORT) {
		questions_ask(&s->questions,
			      d); /* an answer at once has settled the session already */
	} else {
		relay(s, f, d);
		session_settle(s);
	}
}

/* --- peer to child --- */

/* udp(7), UDP_GRO: the size of the datagrams that the kernel has put together into this
 * one, or its own. */
static unsigned segment_size(struct mmsghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr);
	int size = 0;

	for (; c; c = CMSG_NXTHDR(&m->msg_hdr, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size > 0 ? (unsigned)size : m->msg_len;
}

/* How many of the datagrams from i on go to the child as one burst. */
static int burst(struct sessions *t, int i, int n)
{
	unsigned len = t->msg[i].msg_len;
	int k = 1;

	if (segment_size(&t->msg[i]) != len)
		return 1;
	while (i + k < n && k < DGRAM_BURST && t->msg[i + k - 1].msg_len == len && len &&
	       t->msg[i + k].msg_len && t->msg[i + k].msg_len <= len &&
	       segment_size(&t->msg[i + k]) == t->msg[i + k].msg_len &&
	       t->msg[i + k].msg_hdr.msg_namelen == t->msg[i].msg_hdr.msg_namelen &&
	       !memcmp(&t->from[i + k], &t->from[i], t->msg[i].msg_hdr.msg_namelen))
		k++;
	return k;
}

/* Delivers messages i to i + n - 1, all of one peer; one alone may be many datagrams. */
static void deliver(struct session *s, int i, int n)
{
	struct sessions *t = s->table;
	struct iovec iov[DGRAM_BURST];
	unsigned size = segment_size(&t->msg[i]);
	struct endpoint peer;
	struct udp_flow *f;
	int count = 0;

	if (!endpoint_from_sockaddr((struct sockaddr *)&t->from[i], &peer))
		return;
	f = flow_find(s, &peer);
	if (!f)
		return; /* the child has not written to it */
	f->answered = true;
	flow_touch(f);
	for (int end = i + n; i < end; i++) {
		unsigned len = t->msg[i].msg_len, at = 0;

		f->bytes_down += len;
		f->packets_down += len > size ? (len + size - 1) / size : 1;
		do {
			iov[count++] = (struct iovec){ t->data[i] + at,
						       MIN(size, len - at) };
			at += size;
			if (count == DGRAM_BURST) {
				s->port->ops->send(s->port, &peer, iov, count);
				count = 0;
			}
		} while (at < len);
	}
	if (count)
		s->port->ops->send(s->port, &peer, iov, count);
}

static void read_datagrams(struct session *s)
{
	struct sessions *t = s->table;

	for (int round = 0; round < BATCHES_MAX; round++) {
		int n;

		for (int i = 0; i < BATCH; i++) {
			t->msg[i].msg_hdr.msg_namelen = sizeof(t->from[i]);
			t->msg[i].msg_hdr.msg_controllen = sizeof(t->control[i]);
		}
		n = recvmmsg(s->sock.fd, t->msg, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0, k; i < n; i += k) {
			k = burst(t, i, n);
			deliver(s, i, k);
		}
		/* An error is that of a datagram sent earlier; the queue tells it. */
		if (n < BATCH && (n >= 0 || errno == EAGAIN))
			return;
	}
	poller_again(t->deps.poller, &s->source);
}

/* What became of datagrams sent earlier. */
static void read_errors(struct session *s)
{
	struct errqueue_entry e;

	for (int i = 0; i < BATCH && errqueue_next(s->sock.fd, &e); i++) {
		struct udp_flow *f = flow_find(s, &e.to);

		if (!f)
			continue;
		marks_hide_host(&e.to.addr, &e.error);
		s->port->ops->error(s->port, &f->last, e.data, e.len, &e.error);
	}
}

static void on_socket(struct poll_source *source, uint32_t events)
{
	struct session *s = container_of(source, struct session, source);

	if (hold_back(&s->hold, &events))
		return;
	if (events & EPOLLERR)
		read_errors(s);
	if (!events || events & (EPOLLIN | EPOLLERR))
		read_datagrams(s);
}

/* --- life --- */

struct sessions *sessions_new(const struct sessions_deps *deps)
{
	struct sessions *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->deps = *deps;
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
		flow_end(list_entry(s->flows.next, struct udp_flow, of_session),
			 CLOSE_RUN_END);
	session_close(s);
}

void sessions_close(struct sessions *t)
{
	while (!list_empty(&t->sessions))
		session_end(list_entry(t->sessions.next, struct session, node));
	uv_close((uv_handle_t *)&t->expire, NULL);
}

void sessions_free(struct sessions *t)
{
	free(t);
}
