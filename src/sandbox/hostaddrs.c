/*
 * Theory of operation
 *
 * A socket that is told of each address that comes or goes, opened before the engine is
 * confined. What an event says is not kept: any event only makes the list stale, and the
 * kernel is asked for all addresses anew. So an address that two interfaces have does not
 * vanish with the first of them, and lost events (ENOBUFS) need no code of their own. It
 * costs tens of microseconds, and addresses change seldom.
 *
 * One dump is under way at most. What makes the list stale meanwhile is answered by another
 * dump, asked for when the first has ended; its answer makes the socket readable again. So
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

static int append(struct hostaddrs_list *l, const struct addr *a)
{
	if (l->count == HOSTADDRS_MAX) {
		l->cut = true;
		return 0;
	}
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct addr *more = reallocarray(l->addrs, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->addrs = more;
		l->room = room;
	}
	l->addrs[l->count++] = *a;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr));
}

static void sort(struct hostaddrs_list *l)
{
	size_t kept = 0;

	if (l->count)
		qsort(l->addrs, l->count, sizeof(*l->addrs), compare);
	for (size_t i = 0; i < l->count; i++)
		if (kept == 0 || !addr_eq(&l->addrs[i], &l->addrs[kept - 1]))
			l->addrs[kept++] = l->addrs[i];
	l->count = kept;
}

static bool same(const struct hostaddrs_list *a, const struct hostaddrs_list *b)
{
	return a->count == b->count && a->cut == b->cut &&
	       (a->count == 0 ||
		memcmp(a->addrs, b->addrs, a->count * sizeof(*a->addrs)) == 0);
}

/* --- what the kernel says --- */

/* With a peer (IFA_ADDRESS) the own address stands in IFA_LOCAL; IPv6 has no such without. */
static bool own_address(const struct nlmsghdr *h, struct addr *out)
{
	const struct ifaddrmsg *body = NLMSG_DATA(h);
	const struct rtattr *a, *best = NULL;
	size_t left, wanted;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)))
		return false;
	if (body->ifa_family != AF_INET && body->ifa_family != AF_INET6)
		return false;
	wanted = body->ifa_family == AF_INET ? 4 : 16;
	left = IFA_PAYLOAD(h);
	for (a = IFA_RTA(body); left >= sizeof(*a) && RTA_OK(a, left);) {
		size_t step = RTA_ALIGN(a->rta_len);

		if (RTA_PAYLOAD(a) == wanted &&
		    (a->rta_type == IFA_LOCAL || (a->rta_type == IFA_ADDRESS && !best)))
			best = a;
		if (step >= left)
			break;
		left -= step;
		a = (const void *)((const char *)a + step);
	}
	if (!best)
		return false;
	*out = wanted == 4 ? addr_from_v4(RTA_DATA(best)) : addr_from_v6(RTA_DATA(best));
	return true;
}

/* The dump has ended; `code` is why. */
static int end_dump(struct hostaddrs *h, int code)
{
	struct hostaddrs_list old = h->list;

	h->asking = false;
	if (code || h->broken) {
		h->stale |= h->broken;
		return code;
	}
	sort(&h->next);
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
	struct addr a;

	if (m->nlmsg_flags & NLM_F_DUMP_INTR)
		h->broken = true;
	switch (m->nlmsg_type) {
	case RTM_NEWADDR:
		if (own_address(m, &a) && append(&h->next, &a) < 0)
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

/* Something is lost, perhaps the end of the dump. */
static void lose(struct hostaddrs *h)
{
	h->asking = false;
	h->stale = h->broken = true;
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
		} else if (m->nlmsg_type == RTM_NEWADDR || m->nlmsg_type == RTM_DELADDR) {
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
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
	} request = {
		.head = { .nlmsg_len = sizeof(request),
			  .nlmsg_type = RTM_GETADDR,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			  .nlmsg_seq = ++h->seq },
		.body = { .ifa_family = AF_UNSPEC },
	};

	h->next.count = 0;
	h->next.cut = h->broken = h->stale = false;
	h->asking = true;
	if (send(h->fd, &request, sizeof(request), MSG_DONTWAIT) < 0) {
		h->asking = false;
		h->stale = true;
		return -errno;
	}
	return 0;
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
	if (drained && h->stale) {
		int r = ask(h);

		failed = MIN(failed, r);
	}
	return changed ? 1 : failed;
}

static int subscribe(struct hostaddrs *h)
{
	struct sockaddr_nl name = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	socklen_t len = sizeof(name);

	if (bind(h->fd, (struct sockaddr *)&name, len) < 0 ||
	    getsockname(h->fd, (struct sockaddr *)&name, &len) < 0)
		return -errno;
	h->port = name.nl_pid;
	return 0;
}

/* Until a dump is complete. What made it stale meanwhile is asked for, not waited for. */
static int first_list(struct hostaddrs *h)
{
	int r = 0;

	h->broken = true;
	for (int i = 0; i < TRIES && h->broken && r >= 0; i++) {
		r = ask(h);
		while (h->asking && r >= 0)
			r = receive(h, 0);
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
	free(h->list.addrs);
	free(h->next.addrs);
	if (h->fd >= 0)
		close(h->fd);
	*h = (struct hostaddrs){ .fd = -1 };
}
