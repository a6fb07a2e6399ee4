/*
 * Theory of operation
 *
 * Where a proxy resolves names, nobody here may be asked about them. The child is given an
 * address that stands for the name (dns/pool.h), and what it connects to is told to the proxy
 * by the name. Service bindings (HTTPS, SVCB) would lead to other names and ports and hide the
 * name in TLS, and their addresses would be real ones: there are none. Whatever else can be
 * asked about a name needs a server. If --dns gives one, it is asked over TCP through the
 * proxy, one connection for each question, which is how such questions come: seldom. If not,
 * the answer is an empty one: a program that looks for mail servers or texts finds none,
 * and goes on.
 *
 * "localhost" is the child's own (RFC 6761 6.3), not the proxy's; and what is an address in
 * the shape of a name exists nowhere.
 *
 * The outcome of a question is told from its timer, whose handle holds the memory until it is
 * closed: a channel can't be closed from within its own call for certain.
 */
#include "flow/dns_remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/list.h"
#include "policy/domain.h"

#define ASKS_MAX 64
#define ASK_TIMEOUT_MS 10000
#define CHUNK 4096

struct remote_dns {
	struct remote_deps deps;
	size_t count;
};

/*
 * DIALING:  dial.
 * ASKING:   ch; the query is on its way, then the answer.
 * FINISHED: the timer tells the outcome: in holds the answer if `matches`.
 */
enum ask_state {
	ASK_DIALING,
	ASK_ASKING,
	ASK_FINISHED,
};

struct remote_ask {
	struct remote_dns *table;
	enum ask_state state;
	struct msg_question q;
	uint16_t id;
	struct dialer *dialer;
	struct dial *dial;
	struct channel *ch;
	uv_timer_t timer;
	remote_fn done;
	void *ctx;
	bool matches;
	size_t sent, query_len, got, room;
	uint8_t query[2 + MSG_QUERY_MAX]; /* with its length in front, as the answer */
	uint8_t *in;
};

/* --- without asking --- */

static bool is_localhost(const char *name)
{
	static const char word[] = "localhost";
	size_t len = strlen(name), n = strlen(word);

	return len >= n && !strcmp(name + len - n, word) &&
	       (len == n || name[len - n - 1] == '.');
}

static size_t answer_localhost(const struct msg_question *q, uint8_t *out, size_t max)
{
	struct addr addrs[2];
	struct in_addr four = { htonl(INADDR_LOOPBACK) };

	addrs[0] = addr_from_v4(&four);
	addrs[1] = addr_from_v6(&in6addr_loopback);
	return msg_reply_addrs(q, addrs, ARRAY_SIZE(addrs), POOL_TTL_S, out, max);
}

static size_t answer_address(struct pool *pool, const struct msg_question *q,
			     uint8_t *out, size_t max, struct remote_told *told)
{
	char text[NAME_TEXT_MAX];
	struct pool_addrs given;
	struct addr addrs[2];

	name_to_text(&q->name, text);
	if (is_localhost(text))
		return answer_localhost(q, out, max);
	if (domain_is_address(text))
		return msg_reply(q, MSG_NXDOMAIN, MSG_NO_EDE, out, max);
	if (!pool_give(pool, text, &given)) {
		told->ede = MSG_EDE_NETWORK_ERROR;
		return msg_reply(q, MSG_SERVFAIL, told->ede, out, max);
	}
	addrs[0] = given.v4;
	addrs[1] = given.v6;
	told->synthetic = true;
	return msg_reply_addrs(q, addrs, ARRAY_SIZE(addrs), POOL_TTL_S, out, max);
}

size_t remote_answer(struct remote_dns *r, const struct msg_question *q, uint8_t *out,
		     size_t max, struct remote_told *told)
{
	*told = (struct remote_told){ .ede = MSG_NO_EDE };
	switch (q->type) {
	case MSG_TYPE_A:
	case MSG_TYPE_AAAA:
	case MSG_TYPE_ANY:
		return answer_address(r->deps.pool, q, out, max, told);
	case MSG_TYPE_SVCB:
	case MSG_TYPE_HTTPS:
		return msg_reply(q, MSG_NOERROR, MSG_NO_EDE, out, max);
	default:
		if (r->deps.server.port)
			return 0;
		return msg_reply(q, MSG_NOERROR, MSG_NO_EDE, out, max);
	}
}

size_t remote_answer_ptr(const struct pool *pool, const struct msg_question *q,
			 uint8_t *out, size_t max, struct remote_told *told)
{
	const char *text;
	struct addr addr;
	struct name name;

	if (q->type != MSG_TYPE_PTR || !name_to_addr(&q->name, &addr) ||
	    !pool_contains(pool, &addr))
		return 0;
	*told = (struct remote_told){ .synthetic = true, .ede = MSG_NO_EDE };
	text = pool_name(pool, &addr);
	if (!text || !name_from_text(text, &name))
		return msg_reply(q, MSG_NXDOMAIN, MSG_NO_EDE, out, max);
	return msg_reply_ptr(q, &name, POOL_TTL_S, out, max);
}

/* --- over TCP --- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct remote_ask *a = container_of((uv_timer_t *)handle, struct remote_ask,
					    timer);

	free(a->in);
	free(a);
}

static void let_go(struct remote_ask *a)
{
	if (a->dial)
		a->dialer->ops->cancel(a->dial);
	a->dial = NULL;
	if (a->ch)
		a->ch->ops->close(a->ch, 0);
	a->ch = NULL;
}

static void over(struct remote_ask *a)
{
	let_go(a);
	a->table->count--;
	uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}

void remote_cancel(struct remote_ask *a)
{
	over(a);
}

static void on_timer(uv_timer_t *timer)
{
	struct remote_ask *a = container_of(timer, struct remote_ask, timer);
	remote_fn done = a->done;
	void *ctx = a->ctx;

	over(a);
	done(ctx, a->matches ? a->in + 2 : NULL, a->matches ? a->got - 2 : 0);
}

static void finish(struct remote_ask *a)
{
	a->state = ASK_FINISHED;
	uv_timer_start(&a->timer, on_timer, 0, 0);
}

static void say(struct remote_ask *a)
{
	struct iovec iov = { a->query + a->sent, a->query_len - a->sent };
	ssize_t n;

	if (a->state != ASK_ASKING || !iov.iov_len)
		return;
	n = a->ch->ops->send(a->ch, &iov, 1, NULL);
	if (n < 0)
		finish(a);
	else
		a->sent += n;
}

/* Of the whole message with its length, as far as that is known. */
static size_t wanted(const struct remote_ask *a)
{
	return a->got < 2 ? 2 : 2 + (size_t)(a->in[0] << 8 | a->in[1]);
}

static bool make_room(struct remote_ask *a, size_t size)
{
	uint8_t *more;

	if (size <= a->room)
		return true;
	more = realloc(a->in, size);
	if (!more)
		return false;
	a->in = more;
	a->room = size;
	return true;
}

static void check_whole(struct remote_ask *a)
{
	if (a->got < 2 || a->got < wanted(a))
		return;
	a->matches = msg_match_answer(a->in + 2, a->got - 2, &a->q, a->id, 0) ==
		     MSG_MATCH;
	finish(a);
}

/* Takes bytes until the message is whole; what comes behind it isn't looked at. */
static void take(struct remote_ask *a, const uint8_t *data, size_t len)
{
	while (len && a->state == ASK_ASKING) {
		size_t n = MIN(len, wanted(a) - a->got);

		if (!make_room(a, a->got + n))
			return finish(a);
		memcpy(a->in + a->got, data, n);
		a->got += n;
		data += n;
		len -= n;
		check_whole(a);
	}
}

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct remote_ask *a = ctx;
	size_t total = 0;

	(void)owner;
	for (int i = 0; i < n; i++) {
		take(a, iov[i].iov_base, iov[i].iov_len);
		total += iov[i].iov_len;
	}
	return total;
}

static size_t room(void *ctx)
{
	return ((struct remote_ask *)ctx)->state == ASK_ASKING ? CHUNK : 0;
}

static void on_drain(void *ctx)
{
	say(ctx);
}

static void on_eof(void *ctx)
{
	finish(ctx);
}

static void on_closed(void *ctx, int err)
{
	(void)err;
	finish(ctx);
}

static const struct channel_up up = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_eof = on_eof,
	.on_closed = on_closed,
	.room = room,
};

static void on_dialed(void *ctx, struct channel *far, int err, const char *why)
{
	struct remote_ask *a = ctx;

	(void)err;
	(void)why;
	a->dial = NULL;
	if (!far)
		return finish(a);
	a->ch = far;
	a->state = ASK_ASKING;
	far->up = &up;
	far->ctx = a;
	say(a);
	if (a->state == ASK_ASKING)
		far->ops->recv(far);
}

static void begin(struct remote_ask *a)
{
	struct target t = { .protocol = IPPROTO_TCP, .to = a->table->deps.server };
	struct dial_result r = a->dialer->ops->dial(a->dialer, &t, on_dialed, a);

	if (r.pending)
		a->dial = r.pending;
	else
		on_dialed(a, r.far, r.err, NULL);
}

struct remote_ask *remote_ask(struct remote_dns *r, const struct msg_question *q,
			      enum route route, remote_fn done, void *ctx)
{
	struct dialer *dialer = r->deps.dialers->by_route[route];
	struct remote_ask *a;

	if (!dialer || r->count >= ASKS_MAX)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	/* Never short for so few bytes, getrandom(2); TCP's own defence is enough. */
	if (getrandom(&a->id, sizeof(a->id), 0) < 0)
		a->id = q->id;
	a->table = r;
	a->q = *q;
	a->dialer = dialer;
	a->done = done;
	a->ctx = ctx;
	a->query_len = msg_build_query(q, a->id, 0, true, a->query + 2);
	a->query[0] = a->query_len >> 8;
	a->query[1] = a->query_len & 255;
	a->query_len += 2;
	r->count++;
	uv_timer_init(r->deps.loop, &a->timer);
	uv_timer_start(&a->timer, on_timer, ASK_TIMEOUT_MS, 0);
	begin(a);
	return a;
}

/* --- life --- */

struct remote_dns *remote_dns_new(const struct remote_deps *deps)
{
	struct remote_dns *r = calloc(1, sizeof(*r));

	if (r)
		r->deps = *deps;
	return r;
}

void remote_dns_free(struct remote_dns *r)
{
	free(r);
}
