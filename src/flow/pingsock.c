#include "flow/pingsock.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

#define HEADER 8
#define ICMP_FILTER \
	1 /* raw(7); <linux/icmp.h> has it, and excludes <netinet/ip_icmp.h> */

/* --- opening --- */

static int prepare(struct pingsock *s)
{
	int on = 1, r = errqueue_enable(s->fd, s->v4);

	if (r)
		return r;
	errqueue_want_ttl(s->fd, s->v4, true);
	s->marks.tells_ttl = true;
	if (setsockopt(s->fd, s->v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       s->v4 ? IP_RECVTOS : IPV6_RECVTCLASS, &on, sizeof(on)) < 0)
		return -errno;
	return 0;
}

static int open_socket(struct pingsock *s, bool v4, bool raw)
{
	int type = (raw ? SOCK_RAW : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(v4 ? AF_INET : AF_INET6, type,
			v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	*s = (struct pingsock){ .fd = fd, .v4 = v4, .raw = raw, .marks = MARKS_UNKNOWN };
	return fd < 0 ? -errno : 0;
}

static void close_socket(struct pingsock *s)
{
	close(s->fd);
	s->fd = -1;
}

int pingsock_open(struct pingsock *s, bool v4, uint16_t wish)
{
	struct endpoint any = { .port = wish };
	struct sockaddr_storage sa;
	socklen_t len;
	int r = open_socket(s, v4, false);

	if (r)
		return r;
	if (v4)
		any.addr = addr_from_v4(&(uint32_t){ 0 });
	len = endpoint_to_sockaddr(&any, &sa);
	/* Another process's: the kernel chooses then. */
	if (wish && bind(s->fd, (struct sockaddr *)&sa, len) < 0)
		wish = 0;
	any.port = 0;
	len = endpoint_to_sockaddr(&any, &sa);
	if (!wish && bind(s->fd, (struct sockaddr *)&sa, len) < 0)
		r = -errno;
	if (!r)
		r = prepare(s);
	if (r)
		close_socket(s);
	return r;
}

uint16_t pingsock_id(const struct pingsock *s)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct endpoint e = { 0 };

	getsockname(s->fd, (struct sockaddr *)&sa, &len);
	endpoint_from_sockaddr((struct sockaddr *)&sa, &e);
	return e.port;
}

/* Lets through what answers queries, or nothing. */
static int filter(const struct pingsock *s, bool answers)
{
	struct icmp6_filter v6;
	uint32_t v4 = 0xffffffff;

	ICMP6_FILTER_SETBLOCKALL(&v6);
	for (int query = 0; answers && query < 256; query++) {
		int type = echo_reply_type(s->v4, query);

		if (type >= 0 && s->v4)
			v4 &= type < 32 ? ~(1u << type) :
					  v4; /* the rest is let through */
		else if (type >= 0)
			ICMP6_FILTER_SETPASS(type, &v6);
	}
	if (s->v4)
		return setsockopt(s->fd, SOL_RAW, ICMP_FILTER, &v4, sizeof(v4));
	return setsockopt(s->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &v6, sizeof(v6));
}

int pingsock_open_raw(struct pingsock *s, bool v4)
{
	int r = open_socket(s, v4, true);

	if (r)
		return r;
	if (filter(s, false) < 0) {
		r = -errno;
		close_socket(s);
	}
	return r;
}

int pingsock_hear(struct pingsock *s)
{
	return filter(s, true) < 0 ? -errno : prepare(s);
}

/* --- sending --- */

/* RFC 1624: the sum of the message in which one word is another one. */
static uint16_t resum(uint16_t sum, uint16_t was, uint16_t is)
{
	uint32_t s = (uint16_t)~sum + (uint16_t)~was + is;

	s = (s & 0xffff) + (s >> 16);
	return ~((s & 0xffff) + (s >> 16));
}

int pingsock_send(struct pingsock *s, const struct echo *query, uint16_t id)
{
	uint8_t head[HEADER] = {
		query->type,	 query->code,	  0, 0, id >> 8, id & 255,
		query->seq >> 8, query->seq & 255
	};
	uint16_t sum = resum(query->sum, htons(query->id), htons(id));
	struct iovec iov[2] = { { head, HEADER }, { (void *)query->data, query->len } };
	struct sockaddr_storage sa;
	struct msghdr msg = {
		.msg_name = &sa,
		.msg_namelen = endpoint_to_sockaddr(
			&(struct endpoint){ .addr = query->peer }, &sa),
		.msg_iov = iov,
		.msg_iovlen = 2,
	};

	memcpy(head + 2, &sum, 2); /* but for IPv4's raw sockets the kernel makes it */
	marks_set(&s->marks, s->fd, s->v4, query->ttl, query->tos, query->dont_fragment);
	/* An error of an earlier query is told to the next call: it belongs to the error
	 * queue, and this one has a second try. */
	for (int i = 0; i < 2; i++) {
		if (sendmsg(s->fd, &msg, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN || errno == ENOBUFS)
			break;
	}
	return -errno;
}

/* --- receiving --- */

static void read_marks(struct msghdr *msg, struct echo *r)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP;
		int value = 0;

		if (!v4 && c->cmsg_level != IPPROTO_IPV6)
			continue;
		memcpy(&value, CMSG_DATA(c),
		       MIN(c->cmsg_len - CMSG_LEN(0), sizeof(value)));
		if (c->cmsg_type == (v4 ? IP_TTL : IPV6_HOPLIMIT))
			r->ttl = value;
		else if (c->cmsg_type == (v4 ? IP_TOS : IPV6_TCLASS))
			r->tos = value; /* IPv4's is a single byte */
	}
}

static bool read_message(const uint8_t *icmp, size_t len, struct echo *r)
{
	if (len < HEADER)
		return false;
	r->type = icmp[0];
	r->code = icmp[1];
	r->id = icmp[4] << 8 | icmp[5];
	r->seq = icmp[6] << 8 | icmp[7];
	r->data = icmp + HEADER;
	r->len = len - HEADER;
	return true;
}

bool pingsock_recv(struct pingsock *s, struct echo *r, uint8_t buf[static PINGSOCK_MAX])
{
	for (;;) {
		_Alignas(struct cmsghdr) uint8_t control[128];
		struct sockaddr_storage sa = { 0 };
		struct iovec iov = { buf, PINGSOCK_MAX };
		struct msghdr msg = {
			.msg_name = &sa,
			.msg_namelen = sizeof(sa),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT);
		struct endpoint from;
		size_t skip = 0;

		if (n < 0 && (errno == EAGAIN || errno == EBADF))
			return false;
		if (n < 0 || !endpoint_from_sockaddr((struct sockaddr *)&sa, &from))
			continue; /* an error that the queue tells, too */
		*r = (struct echo){ .peer = from.addr, .ttl = 64 };
		read_marks(&msg, r);
		if (s->raw && s->v4)
			skip = n ? (buf[0] & 15) * 4u : 0;
		if (skip <= (size_t)n && read_message(buf + skip, n - skip, r))
			return true;
	}
}

bool pingsock_error(struct pingsock *s, struct errqueue_entry *e, struct echo *query)
{
	while (errqueue_next(s->fd, e)) {
		*query = (struct echo){ .peer = e->to.addr };
		if (read_message(e->data, e->len, query))
			return true;
	}
	return false;
}

void pingsock_warn(const struct echo *query)
{
	if (query->type == (addr_is_v4(&query->peer) ? ECHO_REQUEST4 : ECHO_REQUEST6))
		log_warn("ping can't leave: this user may open neither ping nor raw "
			 "sockets; as root, sysctl -w net.ipv4.ping_group_range=\"0 "
			 "2147483647\" allows ping sockets");
	else
		log_warn("an ICMP query of type %u can't leave: only root may send "
			 "other than echo requests",
			 query->type);
}
