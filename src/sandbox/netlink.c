/*
 * rtnetlink without a library: a handful of requests, all known in advance, are written
 * one behind the other into a buffer, sent at once, and the kernel answers each with an
 * NLMSG_ERROR that carries its sequence number (rtnetlink(7), linux/netlink.h).
 *
 * The child's kernel knows its only neighbour from the start (permanent entries), makes no
 * link-local address (addr_gen_mode none) and does no duplicate address detection, so an
 * idle run sends next to nothing.
 */
#include "sandbox/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"

/* LOOPBACK_IFINDEX of linux/netdevice.h: the same in each namespace. */
#define DISABLE_IPV6 "/proc/sys/net/ipv6/conf/all/disable_ipv6"
#define LOOPBACK_INDEX 1
/* A burst of as many connections must fit. The default is 500. */
#define TX_QUEUE_LEN 10000

static void *reserve(struct netlink_batch *b, size_t len)
{
	void *p = b->bytes + b->len;

	assert(b->len + NLMSG_ALIGN(len) <= sizeof(b->bytes));
	memset(p, 0, NLMSG_ALIGN(len));
	b->len += NLMSG_ALIGN(len);
	return p;
}

/* Begins a request; `body` is the fixed struct behind its header. Ended by end(). */
static struct nlmsghdr *begin(struct netlink_batch *b, const char *what, int type,
			      int flags, const void *body, size_t body_len)
{
	struct nlmsghdr *h = reserve(b, NLMSG_HDRLEN);

	assert(b->count < NETLINK_BATCH_REQUESTS);
	b->what[b->count++] = what;
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	h->nlmsg_seq = b->count;
	memcpy(reserve(b, body_len), body, body_len);
	return h;
}

static void end(struct netlink_batch *b, struct nlmsghdr *h)
{
	h->nlmsg_len = b->bytes + b->len - (uint8_t *)h;
}

/* Appends one attribute; with data NULL the head of a nest, closed by nest_end(). */
static struct rtattr *put(struct netlink_batch *b, int type, const void *data, size_t len)
{
	struct rtattr *a = reserve(b, RTA_LENGTH(len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	if (data)
		memcpy(RTA_DATA(a), data, len);
	return a;
}

static void nest_end(struct netlink_batch *b, struct rtattr *a)
{
	a->rta_len = b->bytes + b->len - (uint8_t *)a;
}

static void put_u32(struct netlink_batch *b, int type, uint32_t value)
{
	put(b, type, &value, sizeof(value));
}

static void put_addr(struct netlink_batch *b, int type, const struct addr *a)
{
	if (addr_is_v4(a))
		put(b, type, a->b + 12, 4);
	else
		put(b, type, a->b, 16);
}

static int family(const struct addr *a)
{
	return addr_is_v4(a) ? AF_INET : AF_INET6;
}

static void link_flags(struct netlink_batch *b, const char *what, int index, bool up)
{
	struct ifinfomsg body = {
		.ifi_index = index,
		.ifi_flags = up ? IFF_UP : 0,
		.ifi_change = IFF_UP,
	};

	end(b, begin(b, what, RTM_NEWLINK, 0, &body, sizeof(body)));
}

/* Apart from link_flags(): the kernel sets IFF_UP before it reads IFLA_AF_SPEC. */
static void link_shape(struct netlink_batch *b, const struct netplan *plan, int index)
{
	struct ifinfomsg body = { .ifi_index = index };
	struct nlmsghdr *h = begin(b, "shape " NETPLAN_IFNAME, RTM_NEWLINK, 0, &body,
				   sizeof(body));
	struct rtattr *spec, *inet6;

	put(b, IFLA_ADDRESS, plan->child_mac, sizeof(plan->child_mac));
	put_u32(b, IFLA_MTU, plan->mtu);
	put_u32(b, IFLA_TXQLEN, TX_QUEUE_LEN);
	if (plan->ipv6) {
		uint8_t mode = IN6_ADDR_GEN_MODE_NONE;

		spec = put(b, IFLA_AF_SPEC, NULL, 0);
		inet6 = put(b, AF_INET6, NULL, 0);
		put(b, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
		nest_end(b, inet6);
		nest_end(b, spec);
	}
	end(b, h);
}

static void address(struct netlink_batch *b, const char *what, int index,
		    const struct addr *a, int prefix)
{
	struct ifaddrmsg body = {
		.ifa_family = family(a),
		.ifa_prefixlen = prefix,
		.ifa_flags = addr_is_v4(a) ? 0 : IFA_F_NODAD,
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = index,
	};
	struct nlmsghdr *h = begin(b, what, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body,
				   sizeof(body));

	put_addr(b, IFA_LOCAL, a);
	put_addr(b, IFA_ADDRESS, a);
	end(b, h);
}

static void neighbour(struct netlink_batch *b, const char *what, int index,
		      const struct addr *a, const uint8_t mac[static 6])
{
	struct ndmsg body = {
		.ndm_family = family(a),
		.ndm_ifindex = index,
		.ndm_state = NUD_PERMANENT,
	};
	struct nlmsghdr *h = begin(b, what, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE,
				   &body, sizeof(body));

	put_addr(b, NDA_DST, a);
	put(b, NDA_LLADDR, mac, 6);
	end(b, h);
}

static void default_route(struct netlink_batch *b, const char *what, int index,
			  const struct addr *gateway)
{
	struct rtmsg body = {
		.rtm_family = family(gateway),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct nlmsghdr *h = begin(b, what, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL,
				   &body, sizeof(body));

	put_addr(b, RTA_GATEWAY, gateway);
	put_u32(b, RTA_OIF, index);
	end(b, h);
}

/* The kernel makes this route for each IPv6 address, too, but in its own good time: until then
 * it would drop the first answers that come. */
static void local_route(struct netlink_batch *b, const char *what, int index,
			const struct addr *a)
{
	struct rtmsg body = {
		.rtm_family = family(a),
		.rtm_dst_len = 128,
		.rtm_table = RT_TABLE_LOCAL,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_LOCAL,
	};
	struct nlmsghdr *h = begin(b, what, RTM_NEWROUTE, NLM_F_CREATE, &body,
				   sizeof(body));

	put_addr(b, RTA_DST, a);
	put_u32(b, RTA_OIF, index);
	end(b, h);
}

void netlink_build(struct netlink_batch *b, const struct netplan *plan, int tap)
{
	b->len = b->count = 0;
	link_flags(b, "bring lo up", LOOPBACK_INDEX, true);
	link_shape(b, plan, tap);
	address(b, "add the IPv4 address", tap, &plan->child4, NETPLAN_V4_PREFIX);
	link_flags(b, "bring " NETPLAN_IFNAME " up", tap, true);
	neighbour(b, "add the IPv4 neighbour", tap, &plan->gateway4, plan->gateway_mac);
	default_route(b, "add the IPv4 default route", tap, &plan->gateway4);
	if (!plan->ipv6)
		return;
	address(b, "add the IPv6 address", tap, &plan->child6, NETPLAN_V6_PREFIX);
	neighbour(b, "add the IPv6 neighbour", tap, &plan->gateway6, plan->gateway_mac);
	default_route(b, "add the IPv6 default route", tap, &plan->gateway6);
	local_route(b, "add the IPv6 local route", tap, &plan->child6);
}

void netlink_build_down(struct netlink_batch *b, int tap)
{
	b->len = b->count = 0;
	link_flags(b, "take " NETPLAN_IFNAME " down", tap, false);
}

int netlink_open(struct error *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? error_set(err, errno, "open a rtnetlink socket") : fd;
}

/* Checks the answers in one datagram; returns how many requests they ended, or -1. */
static int check_answers(const struct netlink_batch *b, const void *bytes, size_t len,
			 struct error *err)
{
	const struct nlmsghdr *h;
	int ended = 0;

	for (h = bytes; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		const struct nlmsgerr *e = NLMSG_DATA(h);

		if (h->nlmsg_type != NLMSG_ERROR ||
		    h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) || h->nlmsg_seq == 0 ||
		    h->nlmsg_seq > b->count)
			return error_set(err, EPROTO, "configure the network");
		if (e->error)
			return error_set(err, -e->error, "%s", b->what[h->nlmsg_seq - 1]);
		ended++;
	}
	return ended;
}

int netlink_commit(int sock, const struct netlink_batch *b, struct error *err)
{
	uint8_t answer[8192] __attribute__((aligned(4)));
	size_t ended = 0;

	if (send(sock, b->bytes, b->len, 0) < 0)
		return error_set(err, errno, "configure the network");
	while (ended < b->count) {
		ssize_t n = recv(sock, answer, sizeof(answer), 0);
		int more;

		if (n < 0)
			return error_set(err, errno, "configure the network");
		more = check_answers(b, answer, n, err);
		if (more < 0)
			return -1;
		ended += more;
	}
	return 0;
}

int netlink_has_ipv6(bool *has, struct error *err)
{
	cleanup_fd int fd = open(DISABLE_IPV6, O_RDONLY | O_CLOEXEC);
	char c = '1';

	*has = false;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || read(fd, &c, 1) < 0)
		return error_set(err, errno, "read " DISABLE_IPV6);
	*has = c == '0';
	return 0;
}
