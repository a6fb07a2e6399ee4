#include "flow/outbox.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"

#define BURST_MAX 65000 /* bytes; with its headers it is one packet to the kernel */

static void mtu_mode(struct outbox_socket *s, bool dont_fragment)
{
	bool v4 = addr_is_v4(&s->port->child.addr);
	int mode = dont_fragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;

	static_assert(IP_PMTUDISC_DO == IPV6_PMTUDISC_DO &&
			      IP_PMTUDISC_DONT == IPV6_PMTUDISC_DONT,
		      "one set of values for both families");
	if (s->mtu_mode == mode)
		return;
	s->mtu_mode = mode;
	setsockopt(s->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
		   v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &mode, sizeof(mode));
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
	socklen_t sa_len = endpoint_to_sockaddr(&o->to, &sa);

	/* An error of an earlier datagram is told to the next call: it belongs to the error
	 * queue, and this datagram has a second try. */
	for (int i = 0; i < 2; i++) {
		if (sendto(s->fd, data, len, MSG_NOSIGNAL, (struct sockaddr *)&sa,
			   sa_len) >= 0)
			return;
		if (errno != ECONNREFUSED && errno != EHOSTUNREACH &&
		    errno != ENETUNREACH)
			break;
	}
	if (errno != EAGAIN && errno != ENOBUFS) /* lost, as on any full link */
		s->port->ops->error(s->port, &o->to, errno,
				    errno == EMSGSIZE ? path_mtu(&o->to) : 0, data, len);
}

/* udp(7), UDP_SEGMENT: the kernel cuts the datagrams apart. False when it would not. */
static bool send_burst(const struct outbox *o)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct sockaddr_storage sa;
	struct iovec iov = { (void *)o->data, o->len };
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = endpoint_to_sockaddr(&o->to, &sa),
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
	mtu_mode(o->sock, o->dont_fragment);
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

void outbox_put(struct outbox *o, struct outbox_socket *s, const struct dgram *d)
{
	if (o->sock != s || !endpoint_eq(&o->to, &d->to) || !o->segment ||
	    o->dont_fragment != d->dont_fragment || d->len > o->segment || !d->len ||
	    o->len % o->segment || o->len / o->segment >= DGRAM_BURST ||
	    o->len + d->len > BURST_MAX) {
		outbox_flush(o);
		o->sock = s;
		o->to = d->to;
		o->dont_fragment = d->dont_fragment;
		o->segment = d->len;
		o->len = 0;
	}
	memcpy(o->data + o->len, d->data, d->len);
	o->len += d->len;
}
