/*
 * Theory of operation
 *
 * The proxy is asked over TCP for a relay and answers with a port. Datagrams go to and come
 * from it by a socket of their own, each with a head that names the peer. The relay lives as
 * long as the TCP connection: when that ends, or the relay's port is closed, all is gone, and
 * who still wants to send opens another one.
 *
 * The relay is taken to be where the proxy is, whatever address the answer bears. Behind NAT a
 * proxy names an address that leads nowhere from here; one that lies could make us send to a
 * machine of the host's network, which with --proxy-only nothing may reach. So a relay at
 * another address than its proxy's can't be used.
 *
 * The socket is connected, so that the kernel lets in what the relay sends and nothing else.
 * Fragments (RFC 1928 calls them optional) are neither sent nor put together: dropped.
 *
 * While the proxy has not answered a few datagrams wait, as they would for an address in ARP.
 */
#include "dial/socks5_udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "dial/handshake.h"

#define WAIT_MAX 32	      /* datagrams of one relay that wait for it */
#define WAIT_BYTES_MAX 131072 /* and their bytes */
#define READS_MAX 64	      /* per wake-up */
#define CONTROL_ROOM 512 /* of what a proxy may say after its answer: nothing is heard */

enum {
	TYPE_IPV4 = 1,
	TYPE_NAME = 3,
	TYPE_IPV6 = 4,
};

struct waiting {
	struct list node;
	size_t len;
	uint8_t data[]; /* with its head */
};

struct socks5_relayer {
	struct relayer relayer;
	struct chain *chain;
	struct poller *poller;
	struct sock_watch *watch;
	size_t count, capacity;
	uint8_t in[65536];
};

/* Asking while dial is set; then control and fd; gone when neither is. */
struct relay {
	struct socks5_relayer *table;
	const struct relay_up *up;
	void *ctx;
	struct dial *dial;
	struct channel *control;
	int fd;
	struct poll_source source;
	struct list waiting;
	size_t wait_count, wait_bytes;
	struct endpoint peer;
};

/* --- heads --- */

static size_t put_name(const char *text, uint8_t *out)
{
	char name[HANDSHAKE_NAME_MAX];
	size_t len;

	if (!handshake_take_name(text, name))
		return 0;
	len = strlen(name);
	out[0] = len;
	memcpy(out + 1, name, len);
	return 1 + len;
}

size_t socks5_udp_write_head(const struct relay_peer *to,
			     uint8_t out[static SOCKS5_UDP_HEAD_MAX])
{
	bool v4 = addr_is_v4(&to->at.addr);
	size_t len = v4 ? 4 : 16;

	/* Reserved, reserved, no fragment, type. */
	memcpy(out,
	       (uint8_t[]){ 0, 0, 0,
			    to->name ? TYPE_NAME :
			    v4	     ? TYPE_IPV4 :
				       TYPE_IPV6 },
	       4);
	if (to->name)
		len = put_name(to->name, out + 4);
	else
		memcpy(out + 4, to->at.addr.b + (v4 ? 12 : 0), len);
	if (!len)
		return 0;
	len += 4;
	out[len++] = to->at.port >> 8;
	out[len++] = to->at.port & 0xff;
	return len;
}

size_t socks5_udp_read_head(const uint8_t *msg, size_t len, struct relay_peer *from,
			    char name[static UINT8_MAX + 1])
{
	size_t head = 4;

	*from = (struct relay_peer){ 0 };
	if (len < 5 || msg[2])
		return 0;
	switch (msg[3]) {
	case TYPE_IPV4:
		head += 4;
		break;
	case TYPE_IPV6:
		head += 16;
		break;
	case TYPE_NAME:
		head += 1 + msg[4];
		break;
	default:
		return 0;
	}
	if (len < head + 2)
		return 0;
	from->at.port = msg[head] << 8 | msg[head + 1];
	if (msg[3] == TYPE_IPV4) {
		from->at.addr = addr_from_v4(msg + 4);
	} else if (msg[3] == TYPE_IPV6) {
		from->at.addr = addr_from_v6(msg + 4);
	} else {
		if (!msg[4] || memchr(msg + 5, '\0', msg[4]))
			return 0;
		memcpy(name, msg + 5, msg[4]);
		name[msg[4]] = '\0';
		from->name = name;
	}
	return head + 2;
}

/* --- a relay's end --- */

static void forget_waiting(struct relay *r)
{
	while (!list_empty(&r->waiting)) {
		struct waiting *w = list_entry(r->waiting.next, struct waiting, node);

		list_del(&w->node);
		free(w);
	}
	r->wait_count = r->wait_bytes = 0;
}

/* Gives up the network's side; the memory stays with the owner. */
static void let_go(struct relay *r)
{
	if (r->dial)
		chain_cancel(r->dial);
	r->dial = NULL;
	if (r->control)
		r->control->ops->close(r->control, 0);
	r->control = NULL;
	forget_waiting(r);
}

static void gone(struct relay *r, bool refused, const char *why)
{
	let_go(r);
	r->up->on_gone(r->ctx, refused, why);
}

static void relay_close(struct relay *r)
{
	struct poller *poller = r->table->poller;

	let_go(r);
	r->table->count--;
	if (r->fd < 0) {
		free(r);
		return;
	}
	sock_watch_closing(r->table->watch, r->fd);
	close(r->fd);
	poller_retire(poller, &r->source, r);
}

/* --- from the proxy --- */

static void deliver(struct relay *r, size_t len)
{
	char name[UINT8_MAX + 1];
	struct relay_peer from;
	const uint8_t *in = r->table->in;
	size_t head = socks5_udp_read_head(in, len, &from, name);

	if (head)
		r->up->on_datagram(r->ctx, &from, in + head, len - head);
}

static void on_socket(struct poll_source *source, uint32_t events)
{
	struct relay *r = container_of(source, struct relay, source);

	(void)events;
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n;

		/* The owner may close it from within a call. */
		if (!r->control)
			return;
		n = recv(r->fd, r->table->in, sizeof(r->table->in), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			return gone(r, false, strerror(errno));
		deliver(r, n);
	}
	if (r->control)
		poller_again(r->table->poller, source);
}

static size_t on_control(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	size_t total = 0;

	(void)ctx;
	(void)owner;
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	return total;
}

static size_t control_room(void *ctx)
{
	(void)ctx;
	return CONTROL_ROOM;
}

static void on_control_drain(void *ctx)
{
	(void)ctx;
}

static void on_control_eof(void *ctx)
{
	gone(ctx, false, "it closes the connection");
}

static void on_control_closed(void *ctx, int err)
{
	gone(ctx, false, strerror(err));
}

static const struct channel_up control_up = {
	.on_data = on_control,
	.on_drain = on_control_drain,
	.on_eof = on_control_eof,
	.on_closed = on_control_closed,
	.room = control_room,
};

/* --- to the proxy --- */

static int send_parts(struct relay *r, const struct iovec *iov, int n)
{
	const struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };

	/* An error of an earlier datagram is told to the next call; this one has a second
	 * try, and on_socket() hears of the socket's end. */
	for (int i = 0; i < 2; i++) {
		if (sendmsg(r->fd, &msg, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != ECONNREFUSED)
			break;
	}
	return errno == EMSGSIZE ? -EMSGSIZE : 0;
}

static void flush_waiting(struct relay *r)
{
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &r->waiting) {
		struct waiting *w = list_entry(pos, struct waiting, node);

		send_parts(r, &(struct iovec){ w->data, w->len }, 1);
	}
	forget_waiting(r);
}

static int keep(struct relay *r, const struct iovec iov[static 2])
{
	size_t len = iov[0].iov_len + iov[1].iov_len;
	struct waiting *w;

	if (r->wait_count >= WAIT_MAX || r->wait_bytes + len > WAIT_BYTES_MAX)
		return 0; /* lost, as in any full queue */
	w = malloc(sizeof(*w) + len);
	if (!w)
		return 0;
	w->len = len;
	memcpy(w->data, iov[0].iov_base, iov[0].iov_len);
	memcpy(w->data + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
	list_add_tail(&r->waiting, &w->node);
	r->wait_count++;
	r->wait_bytes += len;
	return 0;
}

static int relay_send(struct relay *r, const struct relay_peer *to, const void *data,
		      size_t len)
{
	uint8_t head[SOCKS5_UDP_HEAD_MAX];
	size_t head_len = socks5_udp_write_head(to, head);
	struct iovec iov[2] = { { head, head_len }, { (void *)data, len } };

	if (!head_len)
		return -EHOSTUNREACH;
	if (head_len + len > SOCKS5_UDP_DATA_MAX)
		return -EMSGSIZE;
	if (r->dial)
		return keep(r, iov);
	return r->control ? send_parts(r, iov, 2) : 0;
}

/* --- a relay's beginning --- */

/* 0 or -errno. */
static int open_socket(struct relay *r)
{
	bool v4 = addr_is_v4(&r->peer.addr);
	int mode = v4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT, err;
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(&r->peer, &sa);
	cleanup_fd int fd = socket(sa.ss_family,
				   SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* The head makes it longer than what the child could have known of. */
	setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		   v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &mode, sizeof(mode));
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	r->source.on_ready = on_socket;
	err = poller_add(r->table->poller, &r->source, fd);
	if (err)
		return err;
	sock_watch_opened(r->table->watch, fd, NULL);
	r->fd = steal_fd(&fd);
	return 0;
}

static void on_associated(void *ctx, struct channel *control, uint16_t port, int err,
			  const char *why)
{
	struct relay *r = ctx;
	struct endpoint local;

	r->dial = NULL;
	if (!control)
		return gone(r, err == EOPNOTSUPP, why ? why : strerror(err));
	r->control = control;
	control->up = &control_up;
	control->ctx = r;
	if (!control->ops->endpoints(control, &local, &r->peer) || !port)
		return gone(r, false, "it names no port for datagrams");
	r->peer.port = port;
	err = open_socket(r);
	if (err)
		return gone(r, false, strerror(-err));
	flush_waiting(r);
	control->ops->recv(control);
}

static struct relay *relay_open(struct relayer *relayer, const struct relay_up *up,
				void *ctx)
{
	struct socks5_relayer *t = container_of(relayer, struct socks5_relayer, relayer);
	struct relay *r = t->count < t->capacity ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	r->table = t;
	r->up = up;
	r->ctx = ctx;
	r->fd = -1;
	list_init(&r->waiting);
	r->dial = chain_associate(t->chain, on_associated, r);
	if (!r->dial) {
		free(r);
		return NULL;
	}
	t->count++;
	return r;
}

static bool relay_endpoints(struct relay *r, struct endpoint *local,
			    struct endpoint *peer)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (r->fd < 0 || getsockname(r->fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	*peer = r->peer;
	return endpoint_from_sockaddr((struct sockaddr *)&sa, local);
}

static const struct relayer_ops ops = {
	.open = relay_open,
	.send = relay_send,
	.endpoints = relay_endpoints,
	.close = relay_close,
};

/* --- life --- */

struct socks5_relayer *socks5_relayer_new(struct chain *chain, struct poller *poller,
					  struct sock_watch *watch, size_t capacity)
{
	struct socks5_relayer *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->relayer.ops = &ops;
	r->chain = chain;
	r->poller = poller;
	r->watch = watch;
	r->capacity = capacity;
	return r;
}

struct relayer *socks5_relayer(struct socks5_relayer *r)
{
	return &r->relayer;
}

void socks5_relayer_free(struct socks5_relayer *r)
{
	if (r)
		assert(!r->count);
	free(r);
}
