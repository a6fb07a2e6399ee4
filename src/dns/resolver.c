/*
 * Theory of operation
 *
 * An *ask* is one question of a caller's. It is sent to its servers one after the other: the
 * next one when a server fails, or says that it can't or won't answer, or is silent for
 * HOP_MS; a server once asked may still answer. Each sending is a *query* of c-ares's with an
 * ID and a 0x20 spelling of its own. The first good answer ends the ask; its other queries
 * become orphans, which c-ares, having no way to cancel one, runs to their end.
 *
 * c-ares sends, sends again, and goes to TCP when an answer is truncated. Each of its channels
 * is given one server only, for with several it swallows the answer of one that refuses, and
 * we couldn't tell who has answered. Such a channel is a *lane*, made when first needed: it
 * costs 75 KB, and at its making c-ares tries /dev/urandom, for IDs that we don't use; in the
 * confined engine it does without. Lanes are bound to servers as needed. c-ares closes a
 * lane's sockets when nothing is under way on it, so that the next query has another source
 * port. A server is asked over a few lanes at once, and a lane that has had LANE_USES
 * queries gets no more until it has been idle: no port is kept for ever.
 *
 * EDNS: every query ends in one option-less OPT, which c-ares cuts off when a server answers
 * FORMERR without OPT. It then turns off EDNS for the lane, for good, and the next such
 * answer is ours to handle. From then on answers over 512 bytes come by TCP on this lane.
 *
 * ares_timeout() walks all queries, so it isn't used: while something is under way a timer
 * ticks, and the asks wait for their next server in one list, all equally long.
 *
 * Trust: an answer must come from the connected peer, with our ID and question (c-ares), and
 * with our spelling of the name. If only the spelling differs, the server may be one that
 * doesn't keep it: asked once more, in lower case, it is believed.
 */
#include "dns/resolver.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/list.h"
#include "base/util.h"
#include "dns/answer.h"

#define TICK_MS 250
/* c-ares sends thrice, waiting one, two and four times this long. */
#define TRIES 3
#define TRY_MS (RESOLVER_TIMEOUT_MS / 7)
#define HOP_MS TRY_MS
#define HOPS_MAX 7

#define OWN_LANES 8
#define FOREIGN_LANES 16
#define LANES (OWN_LANES + FOREIGN_LANES)
#define LANE_USES 128

/* Which lanes serve whom, and how many of them one server is asked over at once. Apart, so
 * that silent servers of the child's choice can't take the lanes from ours. */
static const struct pool {
	size_t first, count;
	unsigned per_server;
} own_pool = { 0, OWN_LANES, 4 }, foreign_pool = { OWN_LANES, FOREIGN_LANES, 1 };

struct lane {
	ares_channel ares;
	struct resolver *r;
	struct endpoint server;
	unsigned queries;  /* under way in c-ares */
	unsigned uses;	   /* since it was idle */
	uint64_t last_use; /* resolver.uses then */
	bool plain;	   /* the server doesn't understand EDNS */
	bool inside;	   /* c-ares is at work on it and up the stack */
	struct sock *socks[2];
};

/* A socket of c-ares's and our interest in it. Lives until its handle is closed. */
struct sock {
	uv_poll_t poll;
	struct lane *lane;
	int fd;
};

struct resolver {
	struct sock_watch *watch; /* or NULL */
	uv_loop_t *loop;
	uv_timer_t tick;
	struct endpoint servers[RESOLVER_SERVERS_MAX];
	size_t n_servers;
	struct lane lanes[LANES];
	struct list waiting; /* asks by hop_at, in order but for a tick */
	unsigned queries;
	uint64_t uses;
	unsigned handles; /* not closed yet */
	void (*closed)(void *ctx);
	void *closed_ctx;
	uint8_t random[256];
	size_t random_left;
};

struct resolver_ask {
	struct list node; /* on resolver.waiting */
	struct list queries;
	struct resolver *r;
	struct msg_question q;
	struct endpoint servers[RESOLVER_SERVERS_MAX];
	size_t n_servers, next;
	const struct pool *pool;
	unsigned hops;
	uint64_t hop_at; /* ms of the loop's clock */
	uint8_t *poor;	 /* an answer to give if no server has a better one; malloc'ed */
	size_t poor_len;
	resolver_fn done;
	void *ctx;
};

struct query {
	struct list node;	  /* on ask->queries */
	struct resolver_ask *ask; /* NULL for an orphan */
	struct lane *lane;
	uint64_t case_bits;
	uint16_t id;
	bool edns;
	bool sending; /* ares_send() is up the stack */
	bool failed;  /* before it returned */
};

static void take_random(struct resolver *r, void *out, size_t n)
{
	if (r->random_left < n) {
		/* Never short or interrupted for so few bytes, getrandom(2). */
		ssize_t got = getrandom(r->random, sizeof(r->random), 0);

		assert(got == sizeof(r->random));
		r->random_left = sizeof(r->random);
	}
	r->random_left -= n;
	memcpy(out, r->random + r->random_left, n);
}

/* --- lanes --- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct resolver *r = handle->data;
	void (*closed)(void *ctx) = r->closed;
	void *ctx = r->closed_ctx;

	if (--r->handles)
		return;
	free(r);
	if (closed)
		closed(ctx);
}

static void on_sock_closed(uv_handle_t *handle)
{
	struct sock *s = container_of((uv_poll_t *)handle, struct sock, poll);

	on_handle_closed(handle);
	free(s);
}

static void on_sock_ready(uv_poll_t *poll, int status, int events)
{
	struct sock *s = container_of(poll, struct sock, poll);
	struct lane *lane = s->lane;
	int fd = s->fd;

	/* An error shows in what c-ares reads or writes. */
	if (status < 0)
		events = UV_READABLE | UV_WRITABLE;
	lane->inside = true;
	ares_process_fd(lane->ares, events & UV_READABLE ? fd : ARES_SOCKET_BAD,
			events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
	lane->inside = false;
}

static struct sock *sock_open(struct lane *lane, struct sock **slot, int fd)
{
	struct sock *s = malloc(sizeof(*s));

	if (!s)
		return NULL;
	if (uv_poll_init(lane->r->loop, &s->poll, fd) < 0) {
		free(s);
		return NULL;
	}
	s->poll.data = lane->r;
	s->lane = lane;
	s->fd = fd;
	lane->r->handles++;
	sock_watch_opened(lane->r->watch, fd, &lane->server);
	return *slot = s;
}

/* c-ares has opened a socket, wants to know other things of it, or is about to close it.
 * Without memory nobody listens, and the query ends by its time-out. */
static void on_sock_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct lane *lane = ctx;
	struct sock **slot = &lane->socks[lane->socks[0] && lane->socks[0]->fd != fd];
	struct sock *s = *slot;

	if (!readable && !writable) {
		sock_watch_closing(lane->r->watch, fd);
		if (s)
			uv_close((uv_handle_t *)&s->poll, on_sock_closed);
		*slot = NULL;
		return;
	}
	if (!s)
		s = sock_open(lane, slot, fd);
	if (s)
		uv_poll_start(&s->poll,
			      (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
			      on_sock_ready);
}

/* Everything that c-ares would otherwise look up in files is given. */
static int lane_init(struct lane *lane, struct resolver *r)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS,
		.timeout = TRY_MS,
		.tries = TRIES,
		.ndots = 1,
		.ednspsz = MSG_UDP_EDNS,
		.lookups = "b",
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = lane,
	};

	lane->r = r;
	return ares_init_options(&lane->ares, &options,
				 ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					 ARES_OPT_NDOTS | ARES_OPT_EDNSPSZ |
					 ARES_OPT_LOOKUPS | ARES_OPT_SERVERS |
					 ARES_OPT_DOMAINS | ARES_OPT_SORTLIST |
					 ARES_OPT_NOROTATE | ARES_OPT_SOCK_STATE_CB);
}

/* Points an idle lane at a server. */
static bool lane_bind(struct resolver *r, struct lane *lane,
		      const struct endpoint *server)
{
	bool v4 = addr_is_v4(&server->addr);
	struct ares_addr_port_node node = {
		.family = v4 ? AF_INET : AF_INET6,
		.udp_port = server->port,
		.tcp_port = server->port,
	};

	if (!lane->ares && lane_init(lane, r) != ARES_SUCCESS) {
		lane->ares = NULL;
		return false;
	}
	lane->uses = 0;
	if (endpoint_eq(&lane->server, server))
		return true;
	memcpy(&node.addr, server->addr.b + (v4 ? 12 : 0), v4 ? 4 : 16);
	/* c-ares has forgotten the old server even if this fails. */
	lane->server = (struct endpoint){ .port = 0 };
	if (ares_set_servers_ports(lane->ares, &node) != ARES_SUCCESS)
		return false;
	lane->server = *server;
	lane->plain = false;
	return true;
}

static bool lane_is_idle(const struct lane *lane)
{
	return !lane->queries && !lane->inside;
}

/* Whether idle lane a is the better one for the server: one that knows it, else the one
 * whose server has not been asked for longest. */
static bool lane_is_better(const struct lane *a, const struct lane *b,
			   const struct endpoint *server)
{
	bool a_knows = endpoint_eq(&a->server, server);

	if (!b || a_knows != endpoint_eq(&b->server, server))
		return !b || a_knows;
	return a->last_use < b->last_use;
}

/* A lane bound to the server: a fresh one as long as few are busy with it, then the least
 * used. NULL when all lanes are busy with other servers. */
static struct lane *lane_pick(struct resolver *r, const struct pool *pool,
			      const struct endpoint *server)
{
	struct lane *lane = &r->lanes[pool->first], *end = lane + pool->count;
	struct lane *idle = NULL, *busy = NULL;
	unsigned fresh = 0;

	for (; lane < end; lane++) {
		if (lane_is_idle(lane)) {
			if (lane_is_better(lane, idle, server))
				idle = lane;
		} else if (endpoint_eq(&lane->server, server)) {
			fresh += lane->uses < LANE_USES;
			if (!busy || lane->uses < busy->uses)
				busy = lane;
		}
	}
	if (idle && fresh < pool->per_server)
		return lane_bind(r, idle, server) ? idle : NULL;
	return busy;
}

/* --- queries --- */

static void on_answer(void *ctx, int status, int timeouts, unsigned char *msg, int len);

static bool query_send(struct resolver_ask *ask, struct lane *lane, uint64_t case_bits,
		       bool edns)
{
	struct resolver *r = ask->r;
	uint8_t msg[MSG_QUERY_MAX];
	struct query *query;
	size_t len;

	query = r->queries < RESOLVER_QUERIES_MAX ? malloc(sizeof(*query)) : NULL;
	if (!query)
		return false;
	*query = (struct query){
		.ask = ask, .lane = lane, .case_bits = case_bits, .edns = edns
	};
	take_random(r, &query->id, sizeof(query->id));
	len = msg_build_query(&ask->q, query->id, case_bits, edns, msg);
	list_add_tail(&ask->queries, &query->node);
	r->queries++;
	lane->queries++;
	lane->uses++;
	lane->last_use = ++r->uses;
	query->sending = true;
	ares_send(lane->ares, msg, len, on_answer, query);
	query->sending = false;
	if (!query->failed)
		return true;
	list_del(&query->node);
	free(query);
	return false;
}

static bool ask_next_server(struct resolver_ask *ask)
{
	struct resolver *r = ask->r;
	const struct endpoint *server = &ask->servers[ask->next++];
	struct lane *lane = lane_pick(r, ask->pool, server);
	uint64_t case_bits;

	take_random(r, &case_bits, sizeof(case_bits));
	return lane && query_send(ask, lane, case_bits, !lane->plain);
}

/* --- asks --- */

static void ask_free(struct resolver_ask *ask)
{
	while (!list_empty(&ask->queries)) {
		struct query *query = list_entry(ask->queries.next, struct query, node);

		list_del(&query->node);
		query->ask = NULL;
	}
	list_del(&ask->node);
	free(ask->poor);
	free(ask);
}

static void ask_finish(struct resolver_ask *ask, const uint8_t *msg, size_t len)
{
	resolver_fn done = ask->done;
	void *ctx = ask->ctx;
	uint8_t *poor = steal_ptr(&ask->poor);

	if (!msg && poor) {
		msg = poor;
		len = ask->poor_len;
	}
	ask_free(ask);
	done(ctx, msg, len);
	free(poor);
}

/* Goes to the next server that can be sent to; ends the ask when there is none and nothing
 * is under way. */
static void ask_advance(struct resolver_ask *ask)
{
	while (ask->next < ask->n_servers)
		if (ask_next_server(ask))
			return;
	if (list_empty(&ask->queries))
		ask_finish(ask, NULL, 0);
}

/* Keeps an answer that another server may better. */
static void ask_keep(struct resolver_ask *ask, const uint8_t *msg, size_t len)
{
	uint8_t *copy = malloc(len);

	if (!copy)
		return;
	memcpy(copy, msg, len);
	free(ask->poor);
	ask->poor = copy;
	ask->poor_len = len;
}

static bool is_poor(enum msg_rcode rcode)
{
	return rcode == MSG_SERVFAIL || rcode == MSG_REFUSED || rcode == MSG_NOTIMP;
}

/* A packet came for the query, which is off its ask's list already. */
static void ask_take(struct resolver_ask *ask, const struct query *query,
		     const uint8_t *msg, size_t len)
{
	enum msg_match match = msg_match_answer(msg, len, &ask->q, query->id,
						query->case_bits);
	enum msg_rcode rcode;

	if (match == MSG_MATCH_CASE && query->case_bits) {
		if (!query_send(ask, query->lane, 0, query->edns))
			ask_advance(ask);
		return;
	}
	if (match == MSG_MISMATCH)
		return ask_advance(ask);
	rcode = msg_header_rcode(msg);
	if (rcode == MSG_FORMERR && query->edns && answer_lacks_opt(msg, len)) {
		query->lane->plain = true;
		if (query_send(ask, query->lane, query->case_bits, false))
			return;
	}
	if (is_poor(rcode)) {
		ask_keep(ask, msg, len);
		return ask_advance(ask);
	}
	ask_finish(ask, msg, len);
}

/* c-ares has done with a query: ares_callback. */
static void on_answer(void *ctx, int status, int timeouts, unsigned char *msg, int len)
{
	struct query *query = ctx;
	struct resolver_ask *ask = query->ask;

	(void)timeouts;
	query->lane->queries--;
	query->lane->r->queries--;
	if (query->sending) {
		query->failed = true;
		return;
	}
	list_del(&query->node);
	if (ask && status == ARES_SUCCESS)
		ask_take(ask, query, msg, len);
	else if (ask)
		ask_advance(ask);
	free(query);
}

/* --- time --- */

static void lanes_tick(struct resolver *r)
{
	for (struct lane *lane = r->lanes; lane < r->lanes + LANES; lane++) {
		if (!lane->queries)
			continue;
		lane->inside = true;
		ares_process_fd(lane->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		lane->inside = false;
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct resolver *r = container_of(timer, struct resolver, tick);
	uint64_t now = uv_now(r->loop);

	while (!list_empty(&r->waiting)) {
		struct resolver_ask *ask = list_entry(r->waiting.next,
						      struct resolver_ask, node);

		if (ask->hop_at > now)
			break;
		if (++ask->hops == HOPS_MAX) {
			ask_finish(ask, NULL, 0);
			continue;
		}
		ask->hop_at += HOP_MS;
		list_del(&ask->node);
		list_add_tail(&r->waiting, &ask->node);
		ask_advance(ask);
	}
	lanes_tick(r);
	if (r->queries || !list_empty(&r->waiting))
		uv_timer_start(&r->tick, on_tick, TICK_MS, 0);
}

/* --- for the callers --- */

static void lanes_destroy(struct resolver *r)
{
	for (size_t i = 0; i < LANES; i++) {
		assert(!r->lanes[i].inside);
		if (r->lanes[i].ares)
			ares_destroy(r->lanes[i].ares);
	}
	ares_library_cleanup();
}

struct resolver *resolver_new(uv_loop_t *loop, struct error *err)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int status;

	if (!r) {
		error_set(err, ENOMEM, "make the resolver");
		return NULL;
	}
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status != ARES_SUCCESS) {
		free(r);
		error_set(err, 0, "make the resolver: %s", ares_strerror(status));
		return NULL;
	}
	r->loop = loop;
	uv_timer_init(loop, &r->tick);
	r->tick.data = r;
	r->handles = 1;
	list_init(&r->waiting);
	return r;
}

void resolver_set_servers(struct resolver *r, const struct endpoint *servers, size_t n)
{
	r->n_servers = MIN(n, RESOLVER_SERVERS_MAX);
	for (size_t i = 0; i < r->n_servers; i++)
		r->servers[i] = servers[i];
}

void resolver_set_watch(struct resolver *r, struct sock_watch *watch)
{
	r->watch = watch;
}

bool resolver_first_server(const struct resolver *r, struct endpoint *out)
{
	if (r->n_servers)
		*out = r->servers[0];
	return r->n_servers > 0;
}

struct resolver_ask *resolver_ask(struct resolver *r, const struct msg_question *q,
				  const struct endpoint *server, resolver_fn done,
				  void *ctx)
{
	struct resolver_ask *ask = malloc(sizeof(*ask));

	if (!ask)
		return NULL;
	*ask = (struct resolver_ask){
		.r = r,
		.q = *q,
		.pool = server ? &foreign_pool : &own_pool,
		.done = done,
		.ctx = ctx,
		.n_servers = server ? 1 : r->n_servers,
		.hop_at = uv_now(r->loop) + HOP_MS,
	};
	memcpy(ask->servers, server ? server : r->servers,
	       ask->n_servers * sizeof(*ask->servers));
	list_init(&ask->queries);
	list_add_tail(&r->waiting, &ask->node);
	while (ask->next < ask->n_servers) {
		if (!ask_next_server(ask))
			continue;
		if (!uv_is_active((uv_handle_t *)&r->tick))
			uv_timer_start(&r->tick, on_tick, TICK_MS, 0);
		return ask;
	}
	ask_free(ask);
	return NULL;
}

void resolver_cancel(struct resolver_ask *ask)
{
	ask_free(ask);
}

void resolver_close(struct resolver *r, void (*closed)(void *ctx), void *ctx)
{
	r->closed = closed;
	r->closed_ctx = ctx;
	while (!list_empty(&r->waiting))
		ask_free(list_entry(r->waiting.next, struct resolver_ask, node));
	lanes_destroy(r);
	uv_close((uv_handle_t *)&r->tick, on_handle_closed);
}
