#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "base/util.h"
#include "sandbox/netlink.h"

#define TAP 7

static struct netlink_batch *build(bool ipv6)
{
	struct netlink_batch *b = malloc(sizeof(*b));
	struct netplan plan;

	assert_non_null(b);
	netplan_choose(&plan, 12345, 1500);
	plan.ipv6 = ipv6;
	netlink_build(b, &plan, TAP);
	return b;
}

static const struct nlmsghdr *request(const struct netlink_batch *b, size_t index)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)b->bytes;
	size_t left = b->len;

	while (index--)
		h = NLMSG_NEXT(h, left);
	assert_true(NLMSG_OK(h, left));
	return h;
}

/* The attribute of the request whose fixed part has body_len bytes; must exist. */
static const struct rtattr *attribute(const struct nlmsghdr *h, size_t body_len, int type)
{
	const struct rtattr *a = (const struct rtattr *)((const uint8_t *)NLMSG_DATA(h) +
							 NLMSG_ALIGN(body_len));
	int left = h->nlmsg_len - NLMSG_SPACE(body_len);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == type)
			return a;
	}
	fail_msg("no attribute %d", type);
	return NULL;
}

static uint32_t number(const struct rtattr *a)
{
	uint32_t v;

	assert_int_equal(RTA_PAYLOAD(a), sizeof(v));
	memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

static void test_framing(void **state)
{
	static const int types[] = { RTM_NEWLINK, RTM_NEWLINK,	RTM_NEWADDR,
				     RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWROUTE,
				     RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWROUTE,
				     RTM_NEWROUTE };
	cleanup_free struct netlink_batch *with = build(true), *without = build(false);
	size_t len = 0;

	(void)state;
	assert_int_equal(with->count, ARRAY_SIZE(types));
	assert_int_equal(without->count, 6);
	for (size_t i = 0; i < with->count; i++) {
		const struct nlmsghdr *h = request(with, i);

		assert_int_equal(h->nlmsg_type, types[i]);
		assert_int_equal(h->nlmsg_seq, i + 1);
		assert_true(h->nlmsg_flags & NLM_F_ACK);
		assert_non_null(with->what[i]);
		len += NLMSG_ALIGN(h->nlmsg_len);
	}
	assert_int_equal(len, with->len);
}

static void test_tap(void **state)
{
	cleanup_free struct netlink_batch *b = build(true);
	const struct nlmsghdr *shape = request(b, 1), *up = request(b, 3);
	const struct ifinfomsg *body = NLMSG_DATA(shape);
	const struct rtattr *spec, *inet6, *mode;

	(void)state;
	assert_int_equal(body->ifi_index, TAP);
	assert_int_equal(body->ifi_change, 0); /* not up before it has its shape */
	assert_int_equal(number(attribute(shape, sizeof(*body), IFLA_MTU)), 1500);
	assert_int_equal(number(attribute(shape, sizeof(*body), IFLA_TXQLEN)), 10000);
	assert_int_equal(RTA_PAYLOAD(attribute(shape, sizeof(*body), IFLA_ADDRESS)), 6);
	spec = attribute(shape, sizeof(*body), IFLA_AF_SPEC);
	inet6 = RTA_DATA(spec);
	assert_int_equal(inet6->rta_type, AF_INET6);
	assert_int_equal(RTA_PAYLOAD(spec), RTA_ALIGN(inet6->rta_len));
	mode = RTA_DATA(inet6);
	assert_int_equal(mode->rta_type, IFLA_INET6_ADDR_GEN_MODE);
	assert_int_equal(*(uint8_t *)RTA_DATA(mode), IN6_ADDR_GEN_MODE_NONE);
	body = NLMSG_DATA(up);
	assert_int_equal(body->ifi_index, TAP);
	assert_int_equal(body->ifi_flags, IFF_UP);
	assert_int_equal(body->ifi_change, IFF_UP);
}

static void test_addresses(void **state)
{
	cleanup_free struct netlink_batch *b = build(true);
	struct netplan plan;
	const struct nlmsghdr *v4 = request(b, 2), *v6 = request(b, 6);
	const struct nlmsghdr *near6 = request(b, 7), *route6 = request(b, 8);
	const struct nlmsghdr *local6 = request(b, 9);
	const struct rtmsg *route = NLMSG_DATA(local6);
	const struct ifaddrmsg *body = NLMSG_DATA(v4);
	const struct rtattr *a = attribute(v4, sizeof(*body), IFA_LOCAL);

	(void)state;
	netplan_choose(&plan, 12345, 1500);
	assert_int_equal(body->ifa_prefixlen, 30);
	assert_memory_equal(RTA_DATA(a), plan.child4.b + 12, 4);
	body = NLMSG_DATA(v6);
	assert_int_equal(body->ifa_prefixlen, 64);
	assert_true(body->ifa_flags & IFA_F_NODAD);
	assert_memory_equal(RTA_DATA(attribute(v6, sizeof(*body), IFA_LOCAL)),
			    plan.child6.b, 16);
	a = attribute(near6, sizeof(struct ndmsg), NDA_LLADDR);
	assert_memory_equal(RTA_DATA(a), plan.gateway_mac, 6);
	a = attribute(route6, sizeof(struct rtmsg), RTA_GATEWAY);
	assert_memory_equal(RTA_DATA(a), plan.gateway6.b, 16);
	assert_int_equal(number(attribute(route6, sizeof(struct rtmsg), RTA_OIF)), TAP);
	assert_int_equal(route->rtm_type, RTN_LOCAL);
	assert_int_equal(route->rtm_dst_len, 128);
	assert_memory_equal(RTA_DATA(attribute(local6, sizeof(*route), RTA_DST)),
			    plan.child6.b, 16);
}

static void test_down(void **state)
{
	cleanup_free struct netlink_batch *b = build(false);
	const struct ifinfomsg *body;

	(void)state;
	netlink_build_down(b, TAP);
	assert_int_equal(b->count, 1);
	body = NLMSG_DATA(request(b, 0));
	assert_int_equal(body->ifi_index, TAP);
	assert_int_equal(body->ifi_flags, 0);
	assert_int_equal(body->ifi_change, IFF_UP);
}

/* The kernel's refusal is told by the name of the request: here there is no such link. */
static void test_refusal_has_a_name(void **state)
{
	struct netlink_batch b;
	struct error err;
	cleanup_fd int sock = netlink_open(&err);

	(void)state;
	assert_true(sock >= 0);
	netlink_build_down(&b, 0x7ffffff0);
	assert_int_equal(netlink_commit(sock, &b, &err), -1);
	assert_non_null(strstr(err.text, "take tap0 down: "));
	assert_true(err.code > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_tap),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_refusal_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
