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
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/util.h"
#include "sandbox/hostaddrs.h"

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
		if (addr_eq(&h->list.addrs[i], &a))
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
	for (int i = 0; has(h, text) != there || h->asking; i++) {
		assert_true(i < 10000);
		assert_int_equal(unread(h, PATIENCE_MS), 1);
		assert_true(hostaddrs_read(h) >= 0);
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
