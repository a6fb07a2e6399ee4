#include "flow/outbox.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"

#define BURST_MAX 65000 /* bytes; with its headers it is one packet to the kernel */

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
	s->port->ops->error(s->port, &d, data, len,
			    &(struct neterror){ .err = errno,
						.info = errno == EMSGSIZE ?
								marks_path_mtu(&d.to) :
								0 });
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
	marks_set(&o->sock->marks, o->sock->fd, addr_is_v4(&o->first.to.addr),
		  o->first.ttl, o->first.tos, o->first.dont_fragment);
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
