/*
 * Theory of operation
 *
 * The socket is read into counted buffers of one super-segment each, which go down to the
 * child without a copy; it is written straight from the child's packets. It keeps no send
 * buffer of its own: what the kernel does not take is left with the caller.
 *
 * Readiness comes edge-triggered (base/poller.h) and is remembered: `readable` until a read
 * comes short, `writable` until a write does.
 *
 * A reset would throw away what the kernel has not delivered yet. What the child was
 * acknowledged is owed to the remote, so such a socket parts slowly: it is shut, kept until
 * its peer has acknowledged everything (SIOCOUTQ, linux/sockios.h) and reset then.
 *
 * A probe (traceroute in TCP mode) connects with few hops to go and with an error queue, for
 * the sake of the router that says so. Both would harm a connection: it has neither.
 */
#include "dial/sock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/errqueue.h"
#include "base/util.h"

/* Buffers read per wake-up: others get their turn. */
#define READS_MAX 16
/* More SYNs of one probe: its sender waits some seconds, and asks again by another. */
#define PROBE_TRIES 2
#define PART_POLL_MS 20
#define PART_MAX_MS 30000

enum sock_state {
	SOCK_CONNECTING,
	SOCK_OPEN,
	SOCK_PARTING,
	SOCK_CLOSED
};

struct sock {
	struct channel ch;
	struct sock_set *set;
	struct poll_source source;
	struct list node; /* on sock_set.parting */
	int fd;
	enum sock_state state;
	bool reading; /* the owner has asked for bytes, and has not been full since */
	bool readable, writable, hung_up, eof, write_blocked, has_sent, nodelay;
	bool probes, v4;
	unsigned parted_ms;
	struct buf *rest; /* what the owner did not take */
	size_t rest_begin, rest_end;
	dial_fn done;
	void *ctx;
};

static struct sock *of_channel(struct channel *ch)
{
	return container_of(ch, struct sock, ch);
}

/* What a dead connection had queued nobody will ever acknowledge; SIOCOUTQ counts it on. */
static bool is_dead(int fd)
{
	struct tcp_info info = { .tcpi_state = TCP_CLOSE };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	       info.tcpi_state == TCP_CLOSE;
}

static size_t unacked(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) == 0 && n > 0 && !is_dead(fd) ? (size_t)n : 0;
}

/* --- life --- */

static void dispose(struct sock *s)
{
	s->state = SOCK_CLOSED;
	if (s->rest)
		buf_unref(s->rest);
	s->rest = NULL;
	list_del(&s->node);
	close(s->fd);
	poller_retire(s->set->poller, &s->source, s);
}

static void reset(struct sock *s)
{
	struct linger off = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	dispose(s);
}

static void on_timer(uv_timer_t *timer)
{
	struct sock_set *set = container_of(timer, struct sock_set, timer);
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &set->parting) {
		struct sock *s = list_entry(pos, struct sock, node);

		s->parted_ms += PART_POLL_MS;
		if (!unacked(s->fd) || s->parted_ms >= PART_MAX_MS)
			reset(s);
	}
	if (list_empty(&set->parting))
		uv_timer_stop(timer);
}

static void part(struct sock *s)
{
	struct sock_set *set = s->set;

	s->state = SOCK_PARTING;
	shutdown(s->fd, SHUT_WR);
	list_add_tail(&set->parting, &s->node);
	if (!uv_is_active((uv_handle_t *)&set->timer))
		uv_timer_start(&set->timer, on_timer, PART_POLL_MS, PART_POLL_MS);
}

void sock_set_init(struct sock_set *set, uv_loop_t *loop, struct poller *poller)
{
	set->loop = loop;
	set->poller = poller;
	list_init(&set->parting);
	uv_timer_init(loop, &set->timer);
}

bool sock_set_idle(const struct sock_set *set)
{
	return list_empty(&set->parting);
}

size_t sock_set_abandon(struct sock_set *set)
{
	struct list *pos, *tmp;
	size_t bytes = 0;

	list_for_each (pos, tmp, &set->parting) {
		struct sock *s = list_entry(pos, struct sock, node);

		bytes += unacked(s->fd);
		reset(s);
	}
	return bytes;
}

void sock_set_close(struct sock_set *set)
{
	assert(sock_set_idle(set));
	uv_close((uv_handle_t *)&set->timer, NULL);
}

/* --- traffic --- */

static void fail(struct sock *s, int err)
{
	s->eof = true; /* nothing more to read */
	s->write_blocked = false;
	s->ch.up->on_closed(s->ch.ctx, err);
}

/* Offers a buffer's bytes; keeps what was not taken. False when reading must stop. */
static bool offer(struct sock *s, struct buf *b, size_t begin, size_t end)
{
	struct iovec iov = { b->data + begin, end - begin };
	size_t n = s->ch.up->on_data(s->ch.ctx, &iov, 1, b);

	if (s->state != SOCK_OPEN)
		return false;
	if (begin + n == end)
		return true;
	s->rest = buf_ref(b);
	s->rest_begin = begin + n;
	s->rest_end = end;
	return false;
}

/* Reads one buffer. False when reading must stop for now. */
static bool read_one(struct sock *s)
{
	size_t room = MIN(s->ch.up->room(s->ch.ctx), (size_t)BUF_CAP);
	struct buf *b;
	bool more;
	ssize_t n;
	int err;

	if (!room) {
		s->reading = false;
		return false;
	}
	b = buf_new();
	if (!b) {
		fail(s, ENOMEM);
		return false;
	}
	n = recv(s->fd, b->data, room, 0);
	err = errno;
	if (n > 0) {
		/* A short read has emptied the socket, unless its end is behind it. */
		s->readable = (size_t)n == room || s->hung_up;
		more = offer(s, b, 0, n);
		buf_unref(b);
		return more;
	}
	buf_unref(b);
	s->readable = false;
	if (n == 0) {
		s->eof = true;
		s->ch.up->on_eof(s->ch.ctx);
	} else if (err != EAGAIN && err != EINTR) {
		fail(s, err);
	}
	return false;
}

static bool may_read(const struct sock *s)
{
	return s->state == SOCK_OPEN && s->reading && s->readable && !s->rest && !s->eof;
}

static void read_some(struct sock *s)
{
	for (int i = 0; may_read(s); i++) {
		if (i == READS_MAX)
			return poller_again(s->set->poller, &s->source);
		if (!read_one(s))
			return;
	}
}

static void sock_recv(struct channel *ch)
{
	struct sock *s = of_channel(ch);

	s->reading = true;
	if (s->rest) {
		struct buf *b = steal_ptr(&s->rest);

		offer(s, b, s->rest_begin, s->rest_end);
		buf_unref(b);
	}
	/* Not from within the owner's call: it may be in the middle of something. */
	if (may_read(s))
		poller_again(s->set->poller, &s->source);
}

/* Small pieces must not wait for an acknowledgement of those before (Nagle's algorithm, RFC
 * 9293 3.7.4); the first has none before it, and is the only one of many connections. */
static void before_send(struct sock *s)
{
	int one = 1;

	if (s->has_sent && !s->nodelay) {
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		s->nodelay = true;
	}
	s->has_sent = true;
}

static ssize_t sock_send(struct channel *ch, const struct iovec *iov, int n,
			 struct buf *owner)
{
	struct sock *s = of_channel(ch);
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	size_t len = 0;
	ssize_t r;

	(void)owner;
	if (!s->writable) {
		s->write_blocked = true;
		return 0;
	}
	before_send(s);
	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	r = n == 1 ? send(s->fd, iov->iov_base, len, MSG_NOSIGNAL) :
		     sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	if (r < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	r = MAX(r, 0);
	if ((size_t)r < len) {
		s->writable = false;
		s->write_blocked = true;
	}
	return r;
}

static void sock_shut(struct channel *ch)
{
	shutdown(of_channel(ch)->fd, SHUT_WR);
}

static void sock_close(struct channel *ch, int err)
{
	struct sock *s = of_channel(ch);

	if (!err)
		dispose(s);
	else if (unacked(s->fd))
		part(s);
	else
		reset(s);
}

static size_t sock_unacked(struct channel *ch)
{
	return unacked(of_channel(ch)->fd);
}

static bool sock_endpoints(struct channel *ch, struct endpoint *local,
			   struct endpoint *peer)
{
	int fd = of_channel(ch)->fd;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    !endpoint_from_sockaddr((struct sockaddr *)&sa, local))
		return false;
	len = sizeof(sa);
	return getpeername(fd, (struct sockaddr *)&sa, &len) == 0 &&
	       endpoint_from_sockaddr((struct sockaddr *)&sa, peer);
}

static const struct channel_ops sock_ops = {
	.send = sock_send,
	.recv = sock_recv,
	.shut = sock_shut,
	.close = sock_close,
	.unacked = sock_unacked,
	.endpoints = sock_endpoints,
};

/* --- connect --- */

static void set_ttl(int fd, bool v4, int ttl)
{
	setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS,
		   &ttl, sizeof(ttl));
}

static void begin_probe(int fd, bool v4, uint8_t ttl)
{
	int tries = PROBE_TRIES;

	set_ttl(fd, v4, MAX(ttl - 1, 1));
	errqueue_enable(fd, v4);
	errqueue_want_ttl(fd, v4, true);
	setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries));
}

static void end_probe(struct sock *s)
{
	set_ttl(s->fd, s->v4, -1); /* the host's own */
	errqueue_want_ttl(s->fd, s->v4, false);
	errqueue_disable(s->fd, s->v4);
}

static void fail_to_connect(struct sock *s, int err)
{
	struct sock_set *set = s->set;
	struct errqueue_entry e;

	if (s->probes && errqueue_next(s->fd, &e))
		set->why = &e.error;
	dispose(s);
	s->done(s->ctx, NULL, err, NULL);
	set->why = NULL;
}

static void on_connected(struct sock *s, bool failed)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (failed)
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err)
		return fail_to_connect(s, err);
	if (s->probes)
		end_probe(s);
	s->state = SOCK_OPEN;
	s->done(s->ctx, &s->ch, 0, NULL);
}

static void on_ready(struct poll_source *source, uint32_t events)
{
	struct sock *s = container_of(source, struct sock, source);

	s->readable |= !!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	s->hung_up |= !!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	s->writable |= !!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR));
	if (s->state == SOCK_CONNECTING && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		on_connected(s, events & (EPOLLHUP | EPOLLERR));
	if (s->state == SOCK_OPEN && s->writable && s->write_blocked) {
		s->write_blocked = false;
		s->ch.up->on_drain(s->ch.ctx);
	}
	if (s->state == SOCK_OPEN)
		read_some(s);
}

static struct dial_result start(struct sock_set *set, const struct endpoint *to,
				uint8_t probe_ttl, dial_fn done, void *ctx)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(to, &sa);
	struct sock *s = calloc(1, sizeof(*s));
	cleanup_fd int fd = -1;
	int r;

	if (!s)
		return (struct dial_result){ .err = ENOMEM };
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto fail_socket;
	if (probe_ttl)
		begin_probe(fd, sa.ss_family == AF_INET, probe_ttl);
	r = connect(fd, (struct sockaddr *)&sa, len);
	if (r < 0 && errno != EINPROGRESS)
		goto fail_socket;
	sock_watch_opened(set->watch, fd, to);
	s->source.on_ready = on_ready;
	errno = -poller_add(set->poller, &s->source, fd);
	if (errno)
		goto fail_socket;
	s->ch.ops = &sock_ops;
	s->set = set;
	s->fd = steal_fd(&fd);
	s->probes = probe_ttl;
	s->v4 = sa.ss_family == AF_INET;
	s->done = done;
	s->ctx = ctx;
	list_init(&s->node);
	s->writable = r == 0;
	s->state = r == 0 ? SOCK_OPEN : SOCK_CONNECTING;
	if (r == 0 && s->probes)
		end_probe(s);
	if (r == 0)
		return (struct dial_result){ .far = &s->ch };
	return (struct dial_result){ .pending = (struct dial *)s };

fail_socket:
	r = errno;
	free(s);
	return (struct dial_result){ .err = r };
}

struct dial_result sock_connect(struct sock_set *set, const struct endpoint *to,
				dial_fn done, void *ctx)
{
	return start(set, to, 0, done, ctx);
}

struct dial_result sock_probe(struct sock_set *set, const struct endpoint *to,
			      uint8_t ttl, dial_fn done, void *ctx)
{
	return start(set, to, ttl, done, ctx);
}

void sock_connect_cancel(struct dial *dial)
{
	dispose((struct sock *)dial);
}
