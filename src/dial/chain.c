/*
 * Theory of operation
 *
 * A dial looks up the first proxy, connects to one of its addresses after the other, and then
 * does for each proxy what its scheme asks for: TLS for https, the dialect's handshake for
 * the next proxy or, at the last one, for the target. What a handshake leaves is a channel:
 * the socket itself, or TLS on top of what was there. No layer of ours stays in the way, and
 * bytes behind the last answer were never taken from the channel, so the child gets them.
 *
 * A proxy behind another is told to that one by name: nobody else may know where it is.
 *
 * One deadline holds for all of it, lookups included. An address that doesn't answer has its
 * share of what is left, so that the next ones are tried too; the one that was reached is
 * tried first from then on.
 *
 * What goes wrong at a proxy is the errno "connection refused" for the child, with a sentence
 * for people; only what the last proxy says of the target passes as what it is. There is no
 * other way to the target: who can't get through is refused.
 *
 * The outcome is told from the timer: a channel can't be handed over from within its own
 * call, and dial() may not call back. The timer's handle also holds the memory until it is
 * closed.
 */
#include "dial/chain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "dial/handshake.h"
#include "dial/host.h"

#define ROOM 1024 /* bytes of an answer read at a time */
#define LABEL_MAX 320

struct hop {
	const struct proxy *proxy;
	const struct handshake_ops *dialect;
	struct handshake_to at; /* where it is, for the one before it */
	char label[LABEL_MAX];
};

struct chain {
	struct dialer dialer;
	struct chain_deps deps;
	struct host first;
	struct list dials;
	size_t count;
	struct hop hops[];
};

/*
 * LOOKUP:   waits for host.c.
 * CONNECT:  connecting, by sock.c.
 * TLS:      ch shakes hands.
 * DIALECT:  ch is open, shake is going on over it.
 * FINISHED: ch or err; the timer tells it.
 * OVER:     only the timer is left.
 */
enum dial_state {
	DIAL_LOOKUP,
	DIAL_CONNECT,
	DIAL_TLS,
	DIAL_DIALECT,
	DIAL_FINISHED,
	DIAL_OVER
};

struct dial {
	struct list node;
	struct chain *chain;
	enum dial_state state;
	uv_timer_t timer;
	uint64_t deadline_ms;
	struct handshake_to target;
	struct host_wait wait;
	size_t tried, address; /* of the first proxy's */
	size_t hop;
	struct dial *connecting;
	struct channel *ch;
	struct handshake shake;
	size_t sent;
	dial_fn done;
	chain_relay_fn relayed; /* instead, when it is a relay that is asked for */
	void *ctx;
	int err;
	char why[LABEL_MAX + HANDSHAKE_WHY_MAX];
};

static void on_timer_closed(uv_handle_t *handle)
{
	struct dial *d = container_of((uv_timer_t *)handle, struct dial, timer);

	explicit_bzero(&d->shake, sizeof(d->shake));
	free(d);
}

static void over(struct dial *d)
{
	d->state = DIAL_OVER;
	list_del(&d->node);
	uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

/* Gives up what is under way. */
static void let_go(struct dial *d, int err)
{
	host_unwait(&d->chain->first, &d->wait);
	if (d->connecting)
		sock_connect_cancel(d->connecting);
	d->connecting = NULL;
	if (d->ch)
		d->ch->ops->close(d->ch, err);
	d->ch = NULL;
}

static void on_timer(uv_timer_t *timer);

static void finish(struct dial *d)
{
	d->state = DIAL_FINISHED;
	uv_timer_start(&d->timer, on_timer, 0, 0);
}

/* The proxy whose turn it is has failed us. */
static void fail(struct dial *d, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct dial *d, int err, const char *fmt, ...)
{
	const struct hop *hop = &d->chain->hops[d->hop];
	size_t len = snprintf(d->why, sizeof(d->why), "proxy %s: ", hop->label);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->why + len, sizeof(d->why) - len, fmt, ap);
	va_end(ap);
	d->err = err;
	let_go(d, ECONNABORTED);
	finish(d);
}

/* --- talking to a proxy --- */

static void begin_hop(struct dial *d);

static void say(struct dial *d)
{
	struct handshake *h = &d->shake;
	struct iovec iov = { h->out + d->sent, h->out_len - d->sent };
	ssize_t n;

	if (!h->out_len)
		return;
	n = d->ch->ops->send(d->ch, &iov, 1, NULL);
	if (n < 0)
		return fail(d, ECONNREFUSED, "%s", strerror(-n));
	d->sent += n;
	if (d->sent < h->out_len)
		return;
	explicit_bzero(h->out, h->out_len);
	d->sent = h->out_len = 0;
}

static void next_hop(struct dial *d)
{
	if (++d->hop < d->chain->count)
		return begin_hop(d);
	finish(d);
}

/* `left` bytes have come behind the proxy's answer. */
static void after_step(struct dial *d, size_t left)
{
	struct handshake *h = &d->shake;

	if (h->state == HANDSHAKE_FAILED)
		fail(d, h->err, "%s", h->why);
	else if (h->state == HANDSHAKE_MORE)
		say(d);
	else if (h->out_len || (left && d->hop + 1 < d->chain->count))
		fail(d, ECONNREFUSED, "it answers before it is asked");
	else
		next_hop(d);
}

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct dial *d = ctx;
	size_t total = 0, used = 0;

	(void)owner;
	if (d->state != DIAL_DIALECT)
		return 0;
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	for (int i = 0; i < n && d->shake.state == HANDSHAKE_MORE; i++)
		used += d->chain->hops[d->hop].dialect->step(&d->shake, iov[i].iov_base,
							     iov[i].iov_len);
	after_step(d, total - used);
	return used;
}

static size_t room(void *ctx)
{
	return ((struct dial *)ctx)->state == DIAL_DIALECT ? ROOM : 0;
}

static void on_drain(void *ctx)
{
	struct dial *d = ctx;

	if (d->state == DIAL_DIALECT)
		say(d);
}

static void on_eof(void *ctx)
{
	struct dial *d = ctx;

	fail(d, ECONNREFUSED, "it closes the connection instead of answering");
}

static void on_closed(void *ctx, int err)
{
	fail(ctx, ECONNREFUSED, "%s", strerror(err));
}

static const struct channel_up dialect_up = {
	.on_data = on_data,
	.room = room,
	.on_drain = on_drain,
	.on_eof = on_eof,
	.on_closed = on_closed,
};

static void begin_dialect(struct dial *d)
{
	const struct chain *c = d->chain;
	const struct hop *hop = &c->hops[d->hop];
	struct endpoint local, peer;

	/* Zeros, of the family in which the relay will be reached. */
	if (d->target.datagrams && d->ch->ops->endpoints(d->ch, &local, &peer) &&
	    addr_is_v4(&peer.addr))
		d->target.addr = addr_from_v4(&(struct in_addr){ 0 });
	d->state = DIAL_DIALECT;
	d->ch->up = &dialect_up;
	d->ch->ctx = d;
	d->sent = 0;
	hop->dialect->begin(&d->shake, hop->proxy,
			    d->hop + 1 < c->count ? &hop[1].at : &d->target);
	say(d);
	if (d->state == DIAL_DIALECT)
		d->ch->ops->recv(d->ch);
}

static void on_tls(void *ctx, int err, const char *why)
{
	struct dial *d = ctx;

	if (err)
		return fail(d, ECONNREFUSED, "%s", why ? why : strerror(err));
	begin_dialect(d);
}

static void begin_hop(struct dial *d)
{
	const struct proxy *proxy = d->chain->hops[d->hop].proxy;
	struct channel *tls;

	if (proxy->scheme != PROXY_HTTPS)
		return begin_dialect(d);
	tls = tls_new(d->chain->deps.tls, d->ch, proxy->host, proxy->is_addr, on_tls, d);
	if (!tls)
		return fail(d, ECONNREFUSED, "%s", strerror(ENOMEM));
	d->ch = tls;
	d->state = DIAL_TLS;
	tls_begin(tls);
}

/* --- reaching the first one --- */

static void connect_next(struct dial *d);

static void on_connected(void *ctx, struct channel *far, int err, const char *why)
{
	struct dial *d = ctx;

	(void)why;
	d->connecting = NULL;
	if (!far) {
		d->err = err;
		return connect_next(d);
	}
	d->chain->first.best = d->address;
	d->ch = far;
	uv_timer_start(&d->timer, on_timer,
		       d->deadline_ms - MIN(uv_now(d->chain->deps.loop), d->deadline_ms),
		       0);
	begin_hop(d);
}

/* Each address has an equal share of the time that is left. */
static void limit_attempt(struct dial *d)
{
	uint64_t now = uv_now(d->chain->deps.loop);
	uint64_t left = d->deadline_ms - MIN(now, d->deadline_ms);

	uv_timer_start(&d->timer, on_timer, left / (d->chain->first.count - d->tried + 1),
		       0);
}

static void connect_next(struct dial *d)
{
	struct chain *c = d->chain;

	while (d->tried < c->first.count) {
		struct endpoint to = { .port = c->hops[0].proxy->port };
		struct dial_result r;

		d->address = d->tried++ ? (d->address + 1) % c->first.count :
					  c->first.best;
		to.addr = c->first.addrs[d->address];
		r = sock_connect(c->deps.socks, &to, on_connected, d);
		if (r.far)
			return on_connected(d, r.far, 0, NULL);
		if (r.pending) {
			d->connecting = r.pending;
			return limit_attempt(d);
		}
		d->err = r.err;
	}
	fail(d, ECONNREFUSED, "%s", strerror(d->err));
}

static void on_found(struct host_wait *w, bool found)
{
	struct dial *d = container_of(w, struct dial, wait);

	if (!found)
		return fail(d, ECONNREFUSED, "its name has no address");
	d->state = DIAL_CONNECT;
	connect_next(d);
}

/* --- time --- */

static void report(struct dial *d)
{
	struct channel *ch = steal_ptr(&d->ch);
	dial_fn done = d->done;
	void *ctx = d->ctx;

	/* `why` lives until the timer is closed. */
	over(d);
	if (d->relayed)
		return d->relayed(ctx, ch, ch ? d->shake.socks.bound_port : 0,
				  ch ? 0 : d->err, ch ? NULL : d->why);
	done(ctx, ch, ch ? 0 : d->err, ch ? NULL : d->why);
}

static void on_timer(uv_timer_t *timer)
{
	struct dial *d = container_of(timer, struct dial, timer);

	if (d->state == DIAL_FINISHED)
		return report(d);
	if (d->state == DIAL_CONNECT && d->connecting &&
	    uv_now(d->chain->deps.loop) < d->deadline_ms) {
		sock_connect_cancel(d->connecting);
		d->connecting = NULL;
		d->err = ETIMEDOUT;
		return connect_next(d);
	}
	fail(d, ECONNREFUSED, "it doesn't answer within %g s",
	     d->chain->deps.timeout_ms / 1000.0);
}

/* --- the dialer --- */

/* The target is filled in by the caller. */
static struct dial *new_dial(struct chain *c, void *ctx)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->chain = c;
	d->ctx = ctx;
	list_add_tail(&c->dials, &d->node);
	uv_timer_init(c->deps.loop, &d->timer);
	uv_timer_start(&d->timer, on_timer, c->deps.timeout_ms, 0);
	d->deadline_ms = uv_now(c->deps.loop) + c->deps.timeout_ms;
	return d;
}

static void begin_dial(struct dial *d)
{
	switch (host_find(&d->chain->first, &d->wait, on_found)) {
	case HOST_HERE:
		d->state = DIAL_CONNECT;
		connect_next(d);
		break;
	case HOST_PENDING:
		d->state = DIAL_LOOKUP;
		break;
	case HOST_NOWHERE:
		fail(d, ECONNREFUSED, "no DNS server can be asked for its address");
		break;
	}
}

static struct dial_result dial(struct dialer *dialer, const struct target *t,
			       dial_fn done, void *ctx)
{
	struct chain *c = container_of(dialer, struct chain, dialer);
	struct handshake_to target = { .addr = t->to.addr, .port = t->to.port };
	struct dial *d;

	if (t->name_only && !handshake_take_name(t->name, target.name))
		return (struct dial_result){ .err = EHOSTUNREACH };
	d = new_dial(c, ctx);
	if (!d)
		return (struct dial_result){ .err = ENOMEM };
	d->target = target;
	d->done = done;
	begin_dial(d);
	return (struct dial_result){ .pending = d };
}

struct dial *chain_associate(struct chain *c, chain_relay_fn done, void *ctx)
{
	struct dial *d = new_dial(c, ctx);

	assert(c->count == 1 && c->hops[0].dialect == &socks5_handshake);
	if (!d)
		return NULL;
	/* From where we shall send isn't known yet; begin_dialect() sees to the family. */
	d->target.datagrams = true;
	d->relayed = done;
	begin_dial(d);
	return d;
}

void chain_cancel(struct dial *d)
{
	let_go(d, ECONNABORTED);
	over(d);
}

static const struct dialer_ops chain_ops = {
	.dial = dial,
	.cancel = chain_cancel,
};

/* --- life --- */

static int plan_hop(struct chain *c, size_t i, const struct proxy *proxy,
		    struct error *err)
{
	static const char *const schemes[] = {
		[PROXY_HTTP] = "http",	     [PROXY_HTTPS] = "https",
		[PROXY_SOCKS5] = "socks5",   [PROXY_SOCKS5H] = "socks5h",
		[PROXY_SOCKS4A] = "socks4a",
	};
	struct hop *hop = &c->hops[i];
	bool brackets = strchr(proxy->host, ':');
	const char *wrong;

	hop->proxy = proxy;
	hop->dialect = handshake_of(proxy->scheme);
	snprintf(hop->label, sizeof(hop->label), "%s://%s%s%s:%u", schemes[proxy->scheme],
		 brackets ? "[" : "", proxy->host, brackets ? "]" : "", proxy->port);
	wrong = hop->dialect->check(proxy);
	if (wrong)
		return error_set(err, 0, "proxy %s: %s", hop->label, wrong);
	hop->at.port = proxy->port;
	hop->at.addr = proxy->addr;
	if (!proxy->is_addr && !handshake_take_name(proxy->host, hop->at.name))
		return error_set(err, 0, "proxy %s: its name is none of a host's",
				 hop->label);
	return 0;
}

struct chain *chain_new(const struct chain_deps *deps, const struct proxy *proxies,
			size_t count, struct error *err)
{
	struct chain *c = calloc(1, sizeof(*c) + count * sizeof(c->hops[0]));

	assert(count);
	if (!c) {
		error_set(err, ENOMEM, "plan the chain of proxies");
		return NULL;
	}
	c->dialer.ops = &chain_ops;
	c->deps = *deps;
	c->count = count;
	list_init(&c->dials);
	for (size_t i = 0; i < count; i++) {
		assert(proxies[i].scheme != PROXY_HTTPS || deps->tls);
		if (plan_hop(c, i, &proxies[i], err) < 0) {
			free(c);
			return NULL;
		}
	}
	host_init(&c->first, deps->loop, deps->resolve, proxies[0].host,
		  proxies[0].is_addr ? &proxies[0].addr : NULL);
	return c;
}

struct dialer *chain_dialer(struct chain *c)
{
	return &c->dialer;
}

void chain_free(struct chain *c)
{
	if (!c)
		return;
	assert(list_empty(&c->dials));
	host_close(&c->first);
	free(c);
}
