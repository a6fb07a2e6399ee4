/* The kernel's side of it, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/hostaddrs.h"
#include "sandbox/netlink.h"

#define LOOPBACK_INDEX 1
#define PATIENCE_MS 20000

static int net4 = -1, net6 = -1;

/* Alias n of lo; 0.0.0.0 takes it away. */
static void set4(int n, const char *text)
{
	struct ifreq request;
	struct sockaddr_in *in = (void *)&request.ifr_addr;

	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "lo:%d", n);
	in->sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	assert_int_equal(ioctl(net4, SIOCSIFADDR, &request), 0);
}

static void set6(const char *text, bool there)
{
	struct in6_ifreq request = { .ifr6_prefixlen = 128,
				     .ifr6_ifindex = LOOPBACK_INDEX };

	assert_int_equal(inet_pton(AF_INET6, text, &request.ifr6_addr), 1);
	assert_int_equal(ioctl(net6, there ? SIOCSIFADDR : SIOCDIFADDR, &request), 0);
}

static void up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	assert_int_equal(ioctl(net4, SIOCSIFFLAGS, &request), 0);
}

static bool has(const struct hostaddrs *h, const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	for (size_t i = 0; i < h->list.count; i++)
		if (memcmp(&h->list.ranges[i].first, &a, sizeof(a)) <= 0 &&
		    memcmp(&h->list.ranges[i].last, &a, sizeof(a)) >= 0)
			return true;
	return false;
}

static int unread(const struct hostaddrs *h, int timeout_ms)
{
	struct pollfd p = { .fd = h->fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms);
}

/* Reads whenever there is something to read, until the list has (or hasn't) the address. */
static void follow(struct hostaddrs *h, const char *text, bool there)
{
	for (int i = 0; has(h, text) != there || h->asking || h->dump; i++) {
		assert_true(i < 10000);
		assert_int_equal(unread(h, PATIENCE_MS), 1);
		assert_in_range(hostaddrs_read(h), 0, 1);
	}
}

static void test_the_first_list(void **state)
{
	struct hostaddrs h;
	struct error err;

	(void)state;
	set4(1, "10.1.2.3");
	set6("fd00::1", true);
	assert_int_equal(hostaddrs_open(&h, &err), 0);
	assert_true(has(&h, "127.0.0.1") && has(&h, "::1"));
	assert_true(has(&h, "10.1.2.3") && has(&h, "fd00::1"));
	hostaddrs_close(&h);
	set4(1, "0.0.0.0");
	set6("fd00::1", false);
}

static void test_changes(void **state)
{
	struct hostaddrs h;
	struct error err;
	size_t before;

	(void)state;
	assert_int_equal(hostaddrs_open(&h, &err), 0);
	before = h.list.count;
	set4(1, "10.1.2.3");
	follow(&h, "10.1.2.3", true);
	set6("fd00::2", true);
	follow(&h, "fd00::2", true);
	assert_int_equal(h.list.count, before + 2);
	set6("fd00::2", false);
	follow(&h, "fd00::2", false);
	set4(1, "0.0.0.0");
	follow(&h, "10.1.2.3", false);
	assert_int_equal(h.list.count, before);
	hostaddrs_close(&h);
}

/* By ip(8)'s "route add local 192.0.2.0/24 dev lo", or "del". */
static void local_route(int type, const char *network, unsigned length, unsigned table)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg body;
		struct rtattr dst;
		uint8_t addr[16];
		struct rtattr device;
		int index;
	} r = { .head = { .nlmsg_len = sizeof(r),
			  .nlmsg_type = type,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE },
		.body = { .rtm_dst_len = length,
			  .rtm_table = table,
			  .rtm_protocol = RTPROT_BOOT,
			  .rtm_scope = RT_SCOPE_HOST,
			  .rtm_type = RTN_LOCAL },
		.device = { RTA_LENGTH(sizeof(r.index)), RTA_OIF },
		.index = LOOPBACK_INDEX };
	struct {
		struct nlmsghdr head;
		struct nlmsgerr body;
		char echo[1024];
	} answer;
	struct error err;
	int fd = netlink_open(&err), family = strchr(network, ':') ? AF_INET6 : AF_INET;

	r.body.rtm_family = family;
	assert_int_equal(inet_pton(family, network, r.addr), 1);
	r.dst = (struct rtattr){ RTA_LENGTH(family == AF_INET ? 4 : 16), RTA_DST };
	if (family == AF_INET) {
		memcpy(r.addr + 4, &r.device, 8);
		r.head.nlmsg_len -= 12;
	}
	assert_int_equal(send(fd, &r, r.head.nlmsg_len, 0), r.head.nlmsg_len);
	assert_true(recv(fd, &answer, sizeof(answer), 0) > 0);
	assert_int_equal(answer.head.nlmsg_type, NLMSG_ERROR);
	assert_int_equal(answer.body.error, 0);
	close(fd);
}

/* Whole networks that are ours without an address on any interface. */
static void test_local_routes(void **state)
{
	struct hostaddrs h;
	struct error err;

	(void)state;
	local_route(RTM_NEWROUTE, "192.0.2.0", 24, RT_TABLE_LOCAL);
	local_route(RTM_NEWROUTE, "198.51.100.0", 24, 100); /* only redirects */
	assert_int_equal(hostaddrs_open(&h, &err), 0);
	assert_true(has(&h, "192.0.2.0") && has(&h, "192.0.2.255"));
	assert_false(has(&h, "192.0.3.0") || has(&h, "198.51.100.1"));
	local_route(RTM_NEWROUTE, "2001:db8::", 32, RT_TABLE_LOCAL);
	follow(&h, "2001:db8:ffff::1", true);
	local_route(RTM_DELROUTE, "192.0.2.0", 24, RT_TABLE_LOCAL);
	follow(&h, "192.0.2.7", false);
	assert_true(has(&h, "2001:db8::"));
	local_route(RTM_DELROUTE, "2001:db8::", 32, RT_TABLE_LOCAL);
	follow(&h, "2001:db8::", false);
	local_route(RTM_DELROUTE, "198.51.100.0", 24, 100);
	hostaddrs_close(&h);
}

/* Many answers to one question, and more events than the socket holds. */
static void test_many(void **state)
{
	struct hostaddrs h;
	struct error err;
	char text[32];
	size_t before;

	(void)state;
	assert_int_equal(hostaddrs_open(&h, &err), 0);
	before = h.list.count;
	assert_int_equal(
		setsockopt(h.fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int)), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "fd00::%x:1", i + 1);
		set6(text, true);
	}
	follow(&h, text, true);
	assert_int_equal(h.list.count, before + 1000);
	assert_false(h.list.cut);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "fd00::%x:1", i + 1);
		set6(text, false);
	}
	follow(&h, text, false);
	assert_int_equal(h.list.count, before);
	hostaddrs_close(&h);
}

static void test_a_descriptor_that_is_none(void **state)
{
	struct hostaddrs h = { .fd = -1, .stale = true };

	(void)state;
	assert_int_equal(hostaddrs_read(&h), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_list),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_local_routes),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_a_descriptor_that_is_none),
	};

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		perror("no namespaces here");
		return 77;
	}
	net4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	net6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	up();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
