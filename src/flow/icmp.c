/*
 * Theory of operation
 *
 * An asker stands for the queries of one kind that bear one identifier; a program that pings
 * uses one. It has a ping socket of the host's, whose queries bear the same identifier unless
 * another process has taken that. A flow hangs off it for each peer; the verdict is the
 * flow's, and replies and errors are taken for what has been asked of that peer only.
 *
 * The kernel opens ping sockets for the groups in net.ipv4.ping_group_range, and only for
 * echo requests. For everything else there is a raw socket per family, opened while we may
 * still have the right to; all askers share it under identifiers that we choose. Without
 * either the child is told at once that it is not allowed, and the user once why.
 *
 * Replies come back under the child's identifier, each as often as it comes, one hop later.
 * Errors are read from the sockets' error queues and quote the child's query: its headers
 * are remembered for the last queries of each flow, by sequence number.
 *
 * Flows end after a minute (RFC 5508 REQ-2). Both tables are bounded; when one is full, who
 * has been idle longest goes, so a flood of identifiers costs nobody but the flooder.
 *
 * Rejected: a socket per flow, by which a sweep of a network takes a descriptor per address.
 */
#include "flow/icmp.h"

#include <errno.h>
#include <stdlib.h>

#include "flow/hold.h"
#include "flow/icmp_admit.h"
#include "flow/past.h"
#include "flow/pingsock.h"

#define ASKER_MAX 2048
#define FLOW_MAX 4096
#define BUCKETS 1024
#define BATCH 64 /* messages per wake-up */
#define RECENT 32
#define IDLE_MS 60000
#define EXPIRE_EVERY_MS 5000

struct asker {
	struct list node, flows;
	struct asker *hash_next, *raw_next;
	struct echoes *table;
	struct pingsock sock; /* without one: queries go by the table's raw socket */
	struct poll_source source;
	struct hold hold;
	bool v4;
	uint8_t type;
	uint16_t id, wire_id; /* the child's, and that of what leaves */
};

struct echo_flow {
	struct list of_asker, by_age;
	struct echo_flow *hash_next;
	struct asker *asker;
	struct addr child, peer;
	struct names_hold *hold;
	struct who_ask who;
	bool waits;
	uint64_t id, start_ms, last_ms;
	uint64_t bytes_up, bytes_down, packets_up, packets_down;
	struct past recent[RECENT]; /* by sequence number */
};

struct raw {
	struct pingsock sock;
	struct poll_source source;
	struct hold hold;
	struct echoes *table;
	bool hears;
};

struct echoes {
	struct echoes_deps deps;
	struct echo_near *near;
	struct refusals refusals;
	struct raw raw[2];	   /* IPv6, IPv4 */
	struct list askers, flows; /* the latter oldest first */
	size_t asker_count, flow_count, socket_count;
	struct asker *asker[BUCKETS], *by_wire_id[BUCKETS];
	struct echo_flow *flow[BUCKETS];
	uint16_t next_id;
	bool warned;
	uv_timer_t expire;
	_Alignas(uint32_t) uint8_t buf[PINGSOCK_MAX];
};

/* --- flows --- */

static struct echo_flow **flow_slot(struct echoes *t, const struct asker *a,
				    const struct addr *peer)
{
	return &t->flow[(addr_hash(peer, (uintptr_t)a) >> 40) % BUCKETS];
}

static struct echo_flow *flow_find(struct asker *a, const struct addr *peer)
{
	struct echo_flow *f = *flow_slot(a->table, a, peer);

	while (f && !(f->asker == a && addr_eq(&f->peer, peer)))
		f = f->hash_next;
	return f;
}

static void emit(const struct echo_flow *f, struct event ev)
{
	ev.flow_id = f->id;
	ev.protocol = echo_protocol(&f->peer);
	ev.child = (struct endpoint){ f->child, f->asker->id };
	ev.remote.addr = f->peer;
	ev.process = who_process(&f->who);
	guard_emit(f->asker->table->deps.guard, &ev);
}

static void tell_start(const struct echo_flow *f)
{
	emit(f, (struct event){ .kind = EVENT_FLOW_START,
				.flow_start = { .local.port = f->asker->wire_id,
						.peer.addr = f->peer } });
}

/* Its own socket's, or that of the raw one. */
static struct hold *hold_of(struct asker *a)
{
	return a->sock.fd < 0 ? &a->table->raw[a->v4].hold : &a->hold;
}

static void end_wait(struct echo_flow *f)
{
	if (!f->waits)
		return;
	f->waits = false;
	tell_start(f);
	hold_end(hold_of(f->asker));
}

static void on_known(struct who_ask *who)
{
	end_wait(container_of(who, struct echo_flow, who));
}

static void asker_settle(struct asker *a);
static void on_expire(uv_timer_t *timer);

/* The caller settles the asker afterwards. */
static void flow_end(struct echo_flow *f, enum close_reason reason)
{
	struct echoes *t = f->asker->table;
	struct echo_flow **p = flow_slot(t, f->asker, &f->peer);

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
	list_del(&f->of_asker);
	list_del(&f->by_age);
	guard_release(t->deps.guard, f->hold);
	who_forget(&f->who);
	t->flow_count--;
	free(f);
}

static void flow_touch(struct echo_flow *f)
{
	struct echoes *t = f->asker->table;

	f->last_ms = uv_now(t->deps.loop);
	list_del(&f->by_age);
	list_add_tail(&t->flows, &f->by_age);
}

/* Ends the flow that was idle longest, and what it leaves behind. */
static void end_oldest(struct echoes *t)
{
	struct echo_flow *f = list_entry(t->flows.next, struct echo_flow, by_age);
	struct asker *a = f->asker;

	flow_end(f, CLOSE_EVICTED);
	asker_settle(a);
}

static struct echo_flow *flow_new(struct asker *a, const struct echo *query)
{
	struct echoes *t = a->table;
	struct echo_flow *f = calloc(1, sizeof(*f)), **p;

	if (!f)
		return NULL;
	f->asker = a;
	f->child = query->child;
	f->peer = query->peer;
	f->id = event_flow_id(t->deps.guard->events);
	f->start_ms = uv_now(t->deps.loop);
	f->hold = guard_hold(t->deps.guard, &f->peer);
	p = flow_slot(t, a, &f->peer);
	f->hash_next = *p;
	*p = f;
	list_add_tail(&a->flows, &f->of_asker);
	list_init(&f->by_age);
	flow_touch(f);
	if (t->flow_count++ >= FLOW_MAX)
		end_oldest(t);
	if (!uv_is_active((uv_handle_t *)&t->expire))
		uv_timer_start(&t->expire, on_expire, EXPIRE_EVERY_MS, EXPIRE_EVERY_MS);
	return f;
}

static void on_expire(uv_timer_t *timer)
{
	struct echoes *t = container_of(timer, struct echoes, expire);

	while (!list_empty(&t->flows)) {
		struct echo_flow *f = list_entry(t->flows.next, struct echo_flow, by_age);
		struct asker *a = f->asker;

		if (uv_now(t->deps.loop) - f->last_ms < IDLE_MS)
			return;
		flow_end(f, CLOSE_IDLE);
		asker_settle(a);
	}
	uv_timer_stop(timer);
}

/* --- askers --- */

static struct asker **asker_slot(struct echoes *t, bool v4, uint8_t type, uint16_t id)
{
	return &t->asker[(id ^ type << 4 ^ v4 << 3) % BUCKETS];
}

static struct asker *asker_find(struct echoes *t, bool v4, uint8_t type, uint16_t id)
{
	struct asker *a = *asker_slot(t, v4, type, id);

	while (a && !(a->v4 == v4 && a->type == type && a->id == id))
		a = a->hash_next;
	return a;
}

static struct asker *find_wire_id(struct echoes *t, bool v4, uint16_t wire_id)
{
	struct asker *a = t->by_wire_id[wire_id % BUCKETS];

	while (a && !(a->v4 == v4 && a->wire_id == wire_id))
		a = a->raw_next;
	return a;
}

static void asker_close(struct asker *a)
{
	struct echoes *t = a->table;
	struct asker **p;

	for (p = asker_slot(t, a->v4, a->type, a->id); *p != a; p = &(*p)->hash_next)
		;
	*p = a->hash_next;
	list_del(&a->node);
	t->asker_count--;
	sock_watch_echo(t->deps.watch, a->v4, a->wire_id, false);
	if (a->sock.fd >= 0) {
		close(a->sock.fd);
		t->socket_count--;
		poller_retire(t->deps.poller, &a->source, a);
		return;
	}
	for (p = &t->by_wire_id[a->wire_id % BUCKETS]; *p != a; p = &(*p)->raw_next)
		;
	*p = a->raw_next;
	free(a);
}

/* Ends an asker that has nothing left to wait for. */
static void asker_settle(struct asker *a)
{
	if (list_empty(&a->flows))
		asker_close(a);
}

static void on_socket(struct poll_source *source, uint32_t events);
static void on_raw(struct poll_source *source, uint32_t events);

static int open_ping(struct asker *a)
{
	struct echoes *t = a->table;
	int r;

	while (t->socket_count >= t->deps.capacity && !list_empty(&t->flows))
		end_oldest(t);
	r = pingsock_open(&a->sock, a->v4, a->id);
	if (r)
		return r;
	a->source.on_ready = on_socket;
	a->hold = (struct hold){ t->deps.poller, &a->source };
	r = poller_add(t->deps.poller, &a->source, a->sock.fd);
	if (r) {
		close(a->sock.fd);
		a->sock.fd = -1;
		return r;
	}
	a->wire_id = pingsock_id(&a->sock);
	t->socket_count++;
	return 0;
}

static int use_raw(struct asker *a)
{
	struct echoes *t = a->table;
	struct raw *raw = &t->raw[a->v4];
	struct asker **p;
	int r;

	if (raw->sock.fd < 0)
		return -EACCES;
	if (!raw->hears) {
		raw->source.on_ready = on_raw;
		r = poller_add(t->deps.poller, &raw->source, raw->sock.fd);
		if (!r)
			r = pingsock_hear(&raw->sock);
		if (r)
			return r;
		raw->hears = true;
	}
	/* There are more of them than askers. */
	while (find_wire_id(t, a->v4, t->next_id))
		t->next_id++;
	a->wire_id = t->next_id++;
	p = &t->by_wire_id[a->wire_id % BUCKETS];
	a->raw_next = *p;
	*p = a;
	return 0;
}

/* A socket for its queries: 0 or -errno; -EACCES when the host grants none. */
static int asker_open(struct asker *a, const struct echo *query)
{
	int r = -EACCES;

	a->sock.fd = -1;
	if (query->type == (a->v4 ? ECHO_REQUEST4 : ECHO_REQUEST6) && !query->code)
		r = open_ping(a);
	if (r == -EACCES || r == -EPERM || r == -EPROTONOSUPPORT)
		r = use_raw(a);
	return r;
}

static struct asker *asker_new(struct echoes *t, const struct echo *query, int *err)
{
	bool v4 = addr_is_v4(&query->peer);
	struct asker *a, **p;

	*err = ENOMEM;
	while (t->asker_count >= ASKER_MAX && !list_empty(&t->flows))
		end_oldest(t);
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->table = t;
	a->v4 = v4;
	a->type = query->type;
	a->id = query->id;
	list_init(&a->flows);
	*err = -asker_open(a, query);
	if (*err) {
		free(a);
		return NULL;
	}
	sock_watch_echo(t->deps.watch, v4, a->wire_id, true);
	p = asker_slot(t, v4, a->type, a->id);
	a->hash_next = *p;
	*p = a;
	list_add_tail(&t->askers, &a->node);
	t->asker_count++;
	return a;
}

/* --- child to peer --- */

static struct echo_flow *begin(struct echoes *t, struct echo_near *near, struct asker *a,
			       const struct echo *query)
{
	struct echo_flow *f;
	struct who_key key;
	int err;

	if (!echo_admit(&t->refusals, near, query))
		return NULL;
	if (!a)
		a = asker_new(t, query, &err);
	if (!a) {
		/* The host's doing, not the child's: said once. */
		if (err == EACCES && !t->warned)
			pingsock_warn(query);
		t->warned |= err == EACCES;
		if (err != EMFILE && err != ENFILE && err != ENOMEM && err != ENOBUFS)
			echo_refuse(near, query, err);
		return NULL; /* else lost, as in any full queue */
	}
	f = flow_new(a, query);
	if (!f) {
		asker_settle(a);
		return NULL;
	}
	key = (struct who_key){ echo_protocol(&f->peer),
				{ f->child, query->id },
				{ f->peer, 0 } };
	f->waits = who_ask(t->deps.who, &f->who, &key, on_known);
	if (f->waits)
		hold_begin(hold_of(a));
	else
		tell_start(f);
	return f;
}

void echoes_query(void *table, struct echo_near *near, const struct echo *query)
{
	struct echoes *t = table;
	bool v4 = addr_is_v4(&query->peer);
	struct asker *a = asker_find(t, v4, query->type, query->id);
	struct echo_flow *f = a ? flow_find(a, &query->peer) : NULL;
	int r;

	t->near = near;
	if (!f)
		f = begin(t, near, a, query);
	if (!f)
		return;
	a = f->asker;
	f->recent[query->seq % RECENT] = past_of(query);
	f->bytes_up += query->len;
	f->packets_up++;
	flow_touch(f);
	r = pingsock_send(a->sock.fd < 0 ? &t->raw[v4].sock : &a->sock, query,
			  a->wire_id);
	if (r && r != -EAGAIN && r != -ENOBUFS)
		echo_refuse(near, query, -r);
}

/* --- peer to child --- */

static void deliver(struct asker *a, struct echo *r)
{
	struct echo_near *near = a->table->near;
	struct echo_flow *f = flow_find(a, &r->peer);

	if (!f || r->type != echo_reply_type(a->v4, a->type))
		return;
	f->bytes_down += r->len;
	f->packets_down++;
	flow_touch(f);
	r->child = f->child;
	r->id = a->id;
	r->ttl = MAX(r->ttl - 1, 1); /* we are a hop on its way */
	near->ops->reply(near, r);
}

/* What became of a query: quoted as the child has sent it. */
static void fail(struct asker *a, struct echo *query, struct neterror *e)
{
	struct echo_near *near = a->table->near;
	struct echo_flow *f = flow_find(a, &query->peer);
	size_t known = query->len;

	if (!f || query->type != a->type)
		return;
	query->child = f->child;
	query->id = a->id;
	past_restore(&f->recent[query->seq % RECENT], query);
	marks_hide_host(&query->peer, e);
	near->ops->error(near, query, known, e);
}

/* A batch of what `s` has for `a`, or, of a raw socket, for whom its identifier names. True
 * when there may be more. */
static bool read_batch(struct echoes *t, struct pingsock *s, struct asker *a, bool errors)
{
	struct errqueue_entry e;
	struct echo m;
	int failed = 0, came = 0;

	for (; errors && failed < BATCH && pingsock_error(s, &e, &m); failed++) {
		struct asker *of = a ? a : find_wire_id(t, s->v4, m.id);

		if (of)
			fail(of, &m, &e.error);
	}
	for (; came < BATCH && pingsock_recv(s, &m, t->buf); came++) {
		struct asker *of = a ? a : find_wire_id(t, s->v4, m.id);

		if (of)
			deliver(of, &m);
	}
	return failed == BATCH || came == BATCH;
}

static void on_socket(struct poll_source *source, uint32_t events)
{
	struct asker *a = container_of(source, struct asker, source);

	if (hold_back(&a->hold, &events))
		return;
	if (read_batch(a->table, &a->sock, a, !events || events & EPOLLERR))
		poller_again(a->table->deps.poller, source);
}

static void on_raw(struct poll_source *source, uint32_t events)
{
	struct raw *raw = container_of(source, struct raw, source);

	if (hold_back(&raw->hold, &events))
		return;
	if (read_batch(raw->table, &raw->sock, NULL, !events || events & EPOLLERR))
		poller_again(raw->table->deps.poller, source);
}

/* --- life --- */

struct echoes *echoes_new(const struct echoes_deps *deps)
{
	struct echoes *t = alloc_but(sizeof(*t), offsetof(struct echoes, buf));

	if (!t)
		return NULL;
	t->deps = *deps;
	refusals_init(&t->refusals, deps->guard, deps->who);
	list_init(&t->askers);
	list_init(&t->flows);
	for (int v4 = 0; v4 < 2; v4++) {
		t->raw[v4].table = t;
		t->raw[v4].hold = (struct hold){ deps->poller, &t->raw[v4].source };
		pingsock_open_raw(&t->raw[v4].sock, v4);
	}
	t->next_id = getpid(); /* where other programs that ping are not */
	uv_timer_init(deps->loop, &t->expire);
	return t;
}

void echoes_close(struct echoes *t)
{
	refusals_end(&t->refusals);
	while (!list_empty(&t->flows)) {
		struct echo_flow *f = list_entry(t->flows.next, struct echo_flow, by_age);
		struct asker *a = f->asker;

		flow_end(f, CLOSE_RUN_END);
		asker_settle(a);
	}
	for (int v4 = 0; v4 < 2; v4++) {
		struct raw *raw = &t->raw[v4];

		if (raw->sock.fd >= 0)
			close(raw->sock.fd);
		if (raw->hears)
			poller_retire(t->deps.poller, &raw->source, NULL);
	}
	uv_close((uv_handle_t *)&t->expire, NULL);
}

void echoes_free(struct echoes *t)
{
	free(t);
}
