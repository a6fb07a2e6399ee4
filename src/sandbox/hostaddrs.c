/*
 * Theory of operation
 *
 * A socket that is told of each address and local route that comes or goes, opened before the
 * engine is confined. What an event says is not kept: any event only makes the list stale, and the
 * kernel is asked for all of them anew. So an address that two interfaces have does not
 * vanish with the first of them, and lost events (ENOBUFS) need no code of their own. It
 * costs tens of microseconds, and addresses change seldom.
 *
 * A whole network may be the host's own without an address of it on any interface: by a route
 * of type local in the table of that name ("AnyIP"). Addresses have such routes, too, but not
 * there in a VRF, so both are asked for, one dump after the other. The kernel is to select the
 * routes (since Linux 4.20), for a router has a million others. Routes like these in other tables
 * are for redirecting foreign traffic, and no addresses of the host.
 *
 * One dump is under way at most. What makes the list stale meanwhile is answered by other
 * dumps, asked for when the last has ended; its answer makes the socket readable again. So
 * no call does more than read what is there, however fast addresses change.
 *
 * The old list holds until a new one is complete; one that was interrupted isn't.
 */
#include "sandbox/hostaddrs.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "sandbox/netlink.h"

/* The kernel makes its answers as large as the reader's buffer, up to 32 KiB. */
#define DATAGRAM_MAX 16384
/* Of those one call reads. */
#define DATAGRAMS 64
/* Dumps at the start, if addresses change all the time. */
#define TRIES 10

/* --- lists --- */

/* Most addresses are told twice. */
#define TOLD_MAX (2 * HOSTADDRS_MAX + 64)

static int append(struct hostaddrs_list *l, const struct addr_range *range)
{
	if (l->count == TOLD_MAX) {
		l->cut = true;
		return 0;
	}
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct addr_range *more = reallocarray(l->ranges, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->ranges = more;
		l->room = room;
	}
	l->ranges[l->count++] = *range;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr_range));
}

static void merge(struct hostaddrs_list *l)
{
	struct addr_range *r = l->ranges;
	size_t kept = 0;

	if (l->count)
		qsort(r, l->count, sizeof(*r), compare);
	for (size_t i = 0; i < l->count; i++) {
		if (kept == 0 ||
		    memcmp(&r[kept - 1].last, &r[i].first, sizeof(r->last)) < 0)
			r[kept++] = r[i];
		else if (memcmp(&r[i].last, &r[kept - 1].last, sizeof(r->last)) > 0)
			r[kept - 1].last = r[i].last;
	}
	l->cut |= kept > HOSTADDRS_MAX;
	l->count = MIN(kept, (size_t)HOSTADDRS_MAX);
}

static bool same(const struct hostaddrs_list *a, const struct hostaddrs_list *b)
{
	return a->count == b->count && a->cut == b->cut &&
	       (a->count == 0 ||
		memcmp(a->ranges, b->ranges, a->count * sizeof(*a->ranges)) == 0);
}

/* --- what the kernel says --- */

/* The last of the attributes behind the body that has type `wanted`, or `second` before the first
 * of those; or NULL. */
static const struct rtattr *find(const struct nlmsghdr *h, size_t body, size_t len,
				 unsigned short wanted, unsigned short second)
{
	const struct rtattr *a, *best = NULL;
	size_t left = h->nlmsg_len - NLMSG_LENGTH(body);

	for (a = (const void *)((const char *)NLMSG_DATA(h) + NLMSG_ALIGN(body));
	     left >= sizeof(*a) && RTA_OK(a, left);) {
		size_t step = RTA_ALIGN(a->rta_len);

		if (RTA_PAYLOAD(a) == len &&
		    (a->rta_type == wanted || (a->rta_type == second && !best)))
			best = a;
		if (step >= left)
			break;
		left -= step;
		a = (const void *)((const char *)a + step);
	}
	return best;
}

static size_t address_size(unsigned family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

static struct addr address(const void *bytes, size_t size)
{
	return size == 4 ? addr_from_v4(bytes) : addr_from_v6(bytes);
}

/* With a peer (IFA_ADDRESS) the own address stands in IFA_LOCAL; IPv6 has no such without. */
static bool own_address(const struct nlmsghdr *h, struct addr_range *out)
{
	const struct ifaddrmsg *body = NLMSG_DATA(h);
	const struct rtattr *a;
	size_t size;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return false;
	size = address_size(body->ifa_family);
	a = size ? find(h, sizeof(*body), size, IFA_LOCAL, IFA_ADDRESS) : NULL;
	if (!a)
		return false;
	out->first = out->last = address(RTA_DATA(a), size);
	return true;
}

static bool is_local_route(const struct nlmsghdr *h)
{
	const struct rtmsg *body = NLMSG_DATA(h);

	return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*body)) &&
	       body->rtm_table == RT_TABLE_LOCAL && body->rtm_type == RTN_LOCAL;
}

/* A prefix of no length has no address either. One of IPv6 that short takes IPv4 with it: better
 * than to let through what is the host's. */
static bool own_prefix(const struct nlmsghdr *h, struct addr_range *out)
{
	static const uint8_t any[16];
	const struct rtmsg *body = NLMSG_DATA(h);
	const struct rtattr *a;
	struct addr network;
	size_t size;

	if (!is_local_route(h))
		return false;
	size = address_size(body->rtm_family);
	if (!size || body->rtm_dst_len > 8 * size)
		return false;
	a = find(h, sizeof(*body), size, RTA_DST, RTA_DST);
	if (!a && body->rtm_dst_len)
		return false;
	network = address(a ? RTA_DATA(a) : any, size);
	*out = addr_prefix_range(&network, 128 - 8 * size + body->rtm_dst_len);
	return true;
}

/* Something is lost, perhaps the end of the dump. */
static void lose(struct hostaddrs *h)
{
	h->asking = false;
	h->stale = h->broken = true;
	h->dump = 0;
}

/* A dump has ended; `code` is why. */
static int end_dump(struct hostaddrs *h, int code)
{
	struct hostaddrs_list old = h->list;

	/* Events took its room, and it goes on beside our next question, or stands in its way:
	 * over when all is read. */
	if (code == -ENOBUFS || code == -EBUSY) {
		lose(h);
		return 0;
	}
	h->asking = false;
	if (code || h->broken) {
		h->dump = 0;
		h->stale |= h->broken;
		return code;
	}
	h->dump = (h->dump + 1) % HOSTADDRS_DUMPS;
	if (h->dump)
		return 0;
	merge(&h->next);
	if (same(&h->next, &old))
		return 0;
	h->list = h->next;
	h->next = old;
	return 1;
}

static int ending(const struct nlmsghdr *m)
{
	int code = 0;

	/* NLMSG_DONE carries the dump's result, NLMSG_ERROR begins with one. */
	if (m->nlmsg_len >= NLMSG_LENGTH(sizeof(code)))
		memcpy(&code, NLMSG_DATA(m), sizeof(code));
	else if (m->nlmsg_type == NLMSG_ERROR)
		code = -EPROTO;
	return MIN(code, 0);
}

static int take_answer(struct hostaddrs *h, const struct nlmsghdr *m)
{
	struct addr_range own;

	if (m->nlmsg_flags & NLM_F_DUMP_INTR)
		h->broken = true;
	switch (m->nlmsg_type) {
	case RTM_NEWADDR:
		if (own_address(m, &own) && append(&h->next, &own) < 0)
			h->broken = true;
		return 0;
	case RTM_NEWROUTE:
		if (own_prefix(m, &own) && append(&h->next, &own) < 0)
			h->broken = true;
		return 0;
	case NLMSG_DONE:
	case NLMSG_ERROR:
		return end_dump(h, ending(m));
	default:
		return 0;
	}
}

/* Events bear port and number of whoever made the change, or zeros. */
static bool is_answer(const struct hostaddrs *h, const struct nlmsghdr *m)
{
	return h->asking && m->nlmsg_pid == h->port && m->nlmsg_seq == h->seq;
}

static bool is_change(const struct nlmsghdr *m)
{
	switch (m->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return true;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return is_local_route(m);
	default:
		return false;
	}
}

int hostaddrs_take(struct hostaddrs *h, const void *bytes, size_t len)
{
	const char *at = bytes;
	int result = 0;

	while (len >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *m = (const void *)at;
		size_t step = NLMSG_ALIGN((size_t)m->nlmsg_len);

		if (m->nlmsg_len < sizeof(*m) || m->nlmsg_len > len)
			break;
		if (is_answer(h, m)) {
			int r = take_answer(h, m);

			result = r ? r : result;
		} else if (is_change(m)) {
			h->stale = true;
		}
		if (step >= len)
			return result;
		at += step;
		len -= step;
	}
	/* Half a message: there may have been more of them. */
	if (len)
		lose(h);
	return result;
}

/* --- the socket --- */

static int ask(struct hostaddrs *h)
{
	static const int types[HOSTADDRS_DUMPS] = { RTM_GETADDR, RTM_GETROUTE };
	struct {
		struct nlmsghdr head;
		union {
			struct ifaddrmsg addr;
			struct rtmsg route;
		};
	} request = { .head = { .nlmsg_type = types[h->dump],
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				.nlmsg_seq = ++h->seq } };

	if (h->dump == 0) {
		request.head.nlmsg_len = NLMSG_LENGTH(sizeof(request.addr));
		h->next.count = 0;
		h->next.cut = h->broken = h->stale = false;
	} else {
		request.head.nlmsg_len = NLMSG_LENGTH(sizeof(request.route));
		request.route = (struct rtmsg){ .rtm_table = RT_TABLE_LOCAL,
						.rtm_type = RTN_LOCAL };
	}
	h->asking = true;
	if (send(h->fd, &request, request.head.nlmsg_len, MSG_DONTWAIT) < 0) {
		h->asking = false;
		h->stale = true;
		h->dump = 0;
		return -errno;
	}
	return 0;
}

/* Something has changed since, or only a part of it is known. */
static bool wants_more(const struct hostaddrs *h)
{
	return !h->asking && (h->stale || h->dump);
}

/* One datagram. -EAGAIN when there is none. */
static int receive(struct hostaddrs *h, int flags)
{
	char bytes[DATAGRAM_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(h->fd, bytes, sizeof(bytes), flags | MSG_TRUNC,
			     (struct sockaddr *)&from, &from_len);

	if (n < 0 && errno != ENOBUFS)
		return -errno;
	if (n >= 0 && from.nl_pid != 0)
		return 0; /* not the kernel */
	if (n < 0) {
		h->stale = true; /* events; the dump doesn't suffer */
		return 0;
	}
	if ((size_t)n > sizeof(bytes)) {
		lose(h);
		return 0;
	}
	return hostaddrs_take(h, bytes, n);
}

int hostaddrs_read(struct hostaddrs *h)
{
	bool changed = false, drained = false;
	int failed = 0;

	for (int i = 0; i < DATAGRAMS && !drained; i++) {
		int r = receive(h, MSG_DONTWAIT);

		drained = r == -EAGAIN;
		changed |= r > 0;
		failed = drained ? failed : MIN(failed, r);
	}
	/* A dump goes on with each datagram that is taken; with none left it has got lost. */
	if (drained && h->asking)
		lose(h);
	/* Not before: the answer needs room in the socket. */
	if (drained && wants_more(h)) {
		int r = ask(h);

		failed = MIN(failed, r);
	}
	return changed ? 1 : failed;
}

static int subscribe(struct hostaddrs *h)
{
	struct sockaddr_nl name = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
			     RTMGRP_IPV6_ROUTE,
	};
	socklen_t len = sizeof(name);

	/* An older kernel tells all routes, and all are looked at. */
	setsockopt(h->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &(int){ 1 }, sizeof(int));
	if (bind(h->fd, (struct sockaddr *)&name, len) < 0 ||
	    getsockname(h->fd, (struct sockaddr *)&name, &len) < 0)
		return -errno;
	h->port = name.nl_pid;
	return 0;
}

/* Until the dumps are complete. What made them stale meanwhile is asked for, not waited for. */
static int first_list(struct hostaddrs *h)
{
	int r = 0;

	h->broken = true;
	for (int i = 0; i < TRIES && h->broken && r >= 0; i++) {
		do {
			r = ask(h);
			while (h->asking && r >= 0)
				r = receive(h, 0);
		} while (h->dump && r >= 0);
	}
	if (r < 0 || h->broken)
		return r < 0 ? r : -EAGAIN;
	return h->stale ? ask(h) : 0;
}

int hostaddrs_open(struct hostaddrs *h, struct error *err)
{
	int r;

	*h = (struct hostaddrs){ .fd = netlink_open(err) };
	if (h->fd < 0)
		return -1;
	r = subscribe(h);
	if (r == 0)
		r = first_list(h);
	if (r == 0)
		return 0;
	hostaddrs_close(h);
	return error_set(err, -r, "list the host's addresses");
}

void hostaddrs_close(struct hostaddrs *h)
{
	free(h->list.ranges);
	free(h->next.ranges);
	if (h->fd >= 0)
		close(h->fd);
	*h = (struct hostaddrs){ .fd = -1 };
}
