/* The session's socket on the host: theory of operation in udp.c. */
#include "flow/udp_internal.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/errqueue.h"

#define BATCHES_MAX 4 /* per wake-up */

static void on_socket(struct poll_source *source, uint32_t events);

/* It would get its port with the first datagram; a second bind() is none. */
static void take_port(int fd, bool v4)
{
	struct sockaddr_storage any = { .ss_family = v4 ? AF_INET : AF_INET6 };

	bind(fd, (struct sockaddr *)&any, sizeof(any));
}

static void tell_watch(struct sock_watch *watch, int fd, bool v4)
{
	if (!watch)
		return;
	take_port(fd, v4);
	sock_watch_opened(watch, fd, NULL);
}

int udpsocket_open(struct session *s)
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

void udpsocket_close(struct session *s)
{
	sock_watch_closing(s->table->deps.watch, s->sock.fd);
	close(s->sock.fd);
	s->table->socket_count--;
	poller_retire(s->table->deps.poller, &s->source, s);
}

bool udpsocket_endpoints(const struct session *s, struct endpoint *local)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	take_port(s->sock.fd, addr_is_v4(&s->port->child.addr));
	return getsockname(s->sock.fd, (struct sockaddr *)&sa, &len) == 0 &&
	       endpoint_from_sockaddr((struct sockaddr *)&sa, local);
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
	f = udpflow_find(s, &peer);
	if (!f)
		return; /* the child has not written to it */
	f->answered = true;
	udpflow_touch(f);
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
		struct udp_flow *f = udpflow_find(s, &e.to);

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
