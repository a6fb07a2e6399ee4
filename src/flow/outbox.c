#include "flow/outbox.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/errqueue.h"
#include "base/util.h"

#define BURST_MAX 65000 /* bytes; with its headers it is one packet to the kernel */

static void set(const struct outbox_socket *s, int *now, int v4_option, int v6_option,
		int value)
{
	bool v4 = addr_is_v4(&s->port->child.addr);

	if (*now == value)
		return;
	*now = value;
	setsockopt(s->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? v4_option : v6_option,
		   &value, sizeof(value));
}

/* We are a hop between the child and the world, which is where the path's MTU is known: the
 * host's own memory of it must not answer for a router that is to be asked again (PROBE). */
static void set_headers(struct outbox_socket *s, const struct dgram *d)
{
	static_assert(IP_PMTUDISC_PROBE == IPV6_PMTUDISC_PROBE &&
			      IP_PMTUDISC_DONT == IPV6_PMTUDISC_DONT,
		      "one set of values for both families");
	set(s, &s->mtu_mode, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER,
	    d->dont_fragment ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
	set(s, &s->ttl, IP_TTL, IPV6_UNICAST_HOPS, d->ttl - 1);
	set(s, &s->tos, IP_TOS, IPV6_TCLASS, d->tos);
	if (ttl_is_probe(d->ttl) && !s->tells_ttl) {
		errqueue_want_ttl(s->fd, addr_is_v4(&s->port->child.addr), true);
		s->tells_ttl = true;
	}
}

/* The path's MTU to `to`, as the kernel knows it; the least there is when it won't tell. */
static uint32_t path_mtu(const struct endpoint *to)
{
	bool v4 = addr_is_v4(&to->addr);
	struct sockaddr_storage sa;
	socklen_t sa_len = endpoint_to_sockaddr(to, &sa), len = sizeof(int);
	cleanup_fd int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int mtu;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sa_len) < 0 ||
	    getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu,
		       &len))
		return v4 ? 576 : 1280;
	return mtu;
}

static void send_one(const struct outbox *o, const uint8_t *data, size_t len)
{
	struct outbox_socket *s = o->sock;
	struct sockaddr_storage sa;
	socklen_t sa_len = endpoint_to_sockaddr(&o->first.to, &sa);
	struct dgram d = o->first;

	/* An error of an earlier datagram is told to the next call: it belongs to the error
	 * queue, and this datagram has a second try. */
	for (int i = 0; i < 2; i++) {
		if (sendto(s->fd, data, len, MSG_NOSIGNAL, (struct sockaddr *)&sa,
			   sa_len) >= 0)
			return;
		if (errno == EAGAIN || errno == ENOBUFS)
			return; /* lost, as on any full link */
	}
	d.len = len;
	s->port->ops->error(
		s->port, &d, data, len,
		&(struct neterror){ .err = errno,
				    .info = errno == EMSGSIZE ? path_mtu(&d.to) : 0 });
}

/* udp(7), UDP_SEGMENT: the kernel cuts the datagrams apart. False when it would not. */
static bool send_burst(const struct outbox *o)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct sockaddr_storage sa;
	struct iovec iov = { (void *)o->data, o->len };
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = endpoint_to_sockaddr(&o->first.to, &sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	uint16_t segment = o->segment;

	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	return sendmsg(o->sock->fd, &msg, MSG_NOSIGNAL) >= 0 || errno == EAGAIN ||
	       errno == ENOBUFS;
}

void outbox_flush(struct outbox *o)
{
	if (!o->sock)
		return;
	set_headers(o->sock, &o->first);
	if (o->len <= o->segment || !send_burst(o))
		for (size_t at = 0; !at || at < o->len; at += MAX(o->segment, 1u))
			send_one(o, o->data + at, MIN(o->segment, o->len - at));
	o->sock = NULL;
}

void outbox_forget(struct outbox *o, const struct outbox_socket *s)
{
	if (o->sock == s)
		outbox_flush(o);
}

static bool same_headers(const struct dgram *a, const struct dgram *b)
{
	return a->dont_fragment == b->dont_fragment && a->ttl == b->ttl &&
	       a->tos == b->tos;
}

void outbox_put(struct outbox *o, struct outbox_socket *s, const struct dgram *d)
{
	if (o->sock != s || !endpoint_eq(&o->first.to, &d->to) || !o->segment ||
	    !same_headers(&o->first, d) || d->len > o->segment || !d->len ||
	    o->len % o->segment || o->len / o->segment >= DGRAM_BURST ||
	    o->len + d->len > BURST_MAX) {
		outbox_flush(o);
		o->sock = s;
		o->first = *d;
		o->segment = d->len;
		o->len = 0;
	}
	memcpy(o->data + o->len, d->data, d->len);
	o->len += d->len;
}
