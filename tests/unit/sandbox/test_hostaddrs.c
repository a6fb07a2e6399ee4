#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "base/util.h"
#include "sandbox/hostaddrs.h"

#define PORT 4711
#define SEQ 9

/* A datagram of the kernel's, as it is written. */
struct datagram {
	size_t len;
	uint8_t bytes[262144] __attribute__((aligned(4)));
};

static struct datagram d;

static struct hostaddrs asking(void)
{
	return (struct hostaddrs){ .fd = -1, .port = PORT, .seq = SEQ, .asking = true };
}

static struct nlmsghdr *message(int type, const void *body, size_t len)
{
	struct nlmsghdr *h = (void *)(d.bytes + d.len);

	assert_true(d.len + NLMSG_SPACE(len) <= sizeof(d.bytes));
	memset(h, 0, NLMSG_SPACE(len));
	*h = (struct nlmsghdr){ .nlmsg_len = NLMSG_LENGTH(len),
				.nlmsg_type = type,
				.nlmsg_flags = NLM_F_MULTI,
				.nlmsg_seq = SEQ,
				.nlmsg_pid = PORT };
	memcpy(NLMSG_DATA(h), body, len);
	d.len += NLMSG_SPACE(len);
	return h;
}

static void attribute(struct nlmsghdr *h, int type, const struct addr *a, size_t len)
{
	struct rtattr *rta = (void *)(d.bytes + d.len);

	*rta = (struct rtattr){ .rta_type = type, .rta_len = RTA_LENGTH(len) };
	memcpy(RTA_DATA(rta), a->b + 16 - len, len);
	d.len += RTA_SPACE(len);
	h->nlmsg_len += RTA_SPACE(len);
}

static struct addr parse(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

/* The address that is the interface's stands in IFA_LOCAL, the peer's in IFA_ADDRESS. */
static struct nlmsghdr *told(const char *local, const char *address)
{
	struct addr a = parse(local ? local : address);
	bool v4 = addr_is_v4(&a);
	struct ifaddrmsg body = { .ifa_family = v4 ? AF_INET : AF_INET6 };
	struct nlmsghdr *h = message(RTM_NEWADDR, &body, sizeof(body));

	if (address) {
		a = parse(address);
		attribute(h, IFA_ADDRESS, &a, v4 ? 4 : 16);
	}
	if (local) {
		a = parse(local);
		attribute(h, IFA_LOCAL, &a, v4 ? 4 : 16);
	}
	return h;
}

static void done(int code)
{
	message(NLMSG_DONE, &code, sizeof(code));
}

static int take(struct hostaddrs *h)
{
	int r = hostaddrs_take(h, d.bytes, d.len);

	d.len = 0;
	return r;
}

static void expect(const struct hostaddrs *h, size_t count, const char *const *texts)
{
	assert_int_equal(h->list.count, count);
	for (size_t i = 0; i < count; i++) {
		char text[ADDR_TEXT_MAX];

		assert_string_equal(addr_format(&h->list.addrs[i], text), texts[i]);
	}
}

static void test_a_list(void **state)
{
	static const char *const wanted[] = { "::1", "10.0.0.1", "127.0.0.1", "fe80::1" };
	struct hostaddrs h = asking();

	(void)state;
	told("127.0.0.1", "127.0.0.1");
	told("10.0.0.1", "10.0.0.2");
	assert_int_equal(take(&h), 0);
	expect(&h, 0, NULL); /* not before it is complete */
	told(NULL, "fe80::1");
	told("127.0.0.1", NULL); /* on another interface, too */
	told("::1", "fd00::1");
	done(0);
	assert_int_equal(take(&h), 1);
	assert_false(h.asking || h.stale || h.list.cut);
	expect(&h, ARRAY_SIZE(wanted), wanted);
	hostaddrs_close(&h);
}

static void test_the_same_list_is_no_news(void **state)
{
	struct hostaddrs h = asking();

	(void)state;
	for (int i = 0; i < 2; i++) {
		h.asking = true;
		h.next.count = 0;
		told("10.0.0.1", NULL);
		done(0);
		assert_int_equal(take(&h), !i);
	}
	h.asking = true;
	h.next.count = 0;
	done(0);
	assert_int_equal(take(&h), 1);
	expect(&h, 0, NULL);
	hostaddrs_close(&h);
}

/* What ip(8) does bears its own port and number, which may be ours by chance. */
static void test_events(void **state)
{
	static const int types[] = { RTM_NEWADDR, RTM_DELADDR };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		for (int asked = 0; asked < 2; asked++) {
			struct hostaddrs h = asking();
			struct nlmsghdr *m = told("10.0.0.1", NULL);

			h.asking = asked;
			m->nlmsg_type = types[i];
			m->nlmsg_pid = PORT + 1;
			done(0);
			assert_int_equal(take(&h), 0);
			assert_true(h.stale);
			expect(&h, 0, NULL);
			hostaddrs_close(&h);
		}
	}
}

static void test_answers_to_an_earlier_question(void **state)
{
	static const char *const wanted[] = { "10.0.0.2" };
	struct hostaddrs h = asking();

	(void)state;
	told("10.0.0.1", NULL)->nlmsg_seq = SEQ - 1;
	message(NLMSG_DONE, &(int){ 0 }, sizeof(int))->nlmsg_seq = SEQ - 1;
	assert_int_equal(take(&h), 0);
	assert_true(h.asking);
	told("10.0.0.2", NULL);
	done(0);
	assert_int_equal(take(&h), 1);
	expect(&h, 1, wanted);
	hostaddrs_close(&h);
}

static void test_interrupted(void **state)
{
	struct hostaddrs h = asking();

	(void)state;
	told("10.0.0.1", NULL)->nlmsg_flags |= NLM_F_DUMP_INTR;
	told("10.0.0.2", NULL);
	done(0);
	assert_int_equal(take(&h), 0);
	assert_true(h.stale && !h.asking);
	expect(&h, 0, NULL);
	hostaddrs_close(&h);
}

static void test_failures(void **state)
{
	struct nlmsgerr e = { .error = -EBUSY };
	struct hostaddrs h = asking();

	(void)state;
	told("10.0.0.1", NULL);
	done(-ENOBUFS);
	assert_int_equal(take(&h), -ENOBUFS);
	expect(&h, 0, NULL);
	h.asking = true;
	message(NLMSG_ERROR, &e, sizeof(e));
	assert_int_equal(take(&h), -EBUSY);
	h.asking = true;
	message(NLMSG_ERROR, &e, 2);
	assert_int_equal(take(&h), -EPROTO);
	assert_false(h.asking);
	hostaddrs_close(&h);
}

static void test_too_many(void **state)
{
	struct hostaddrs h = asking();

	(void)state;
	for (unsigned i = 0; i < HOSTADDRS_MAX + 2; i++) {
		struct addr a = parse("10.0.0.0");
		struct ifaddrmsg body = { .ifa_family = AF_INET };

		a.b[14] = i >> 8;
		a.b[15] = i;
		attribute(message(RTM_NEWADDR, &body, sizeof(body)), IFA_LOCAL, &a, 4);
	}
	done(0);
	assert_int_equal(take(&h), 1);
	assert_int_equal(h.list.count, HOSTADDRS_MAX);
	assert_true(h.list.cut);
	hostaddrs_close(&h);
}

/* Attributes that lie about their length, and families that nobody knows. */
static void test_odd_messages(void **state)
{
	static const char *const wanted[] = { "10.0.0.9" };
	struct ifaddrmsg body = { .ifa_family = AF_INET };
	struct hostaddrs h = asking();
	struct addr a = parse("10.0.0.1"), six = parse("fd00::1");
	struct nlmsghdr *m;

	(void)state;
	message(RTM_NEWADDR, &body, sizeof(body)); /* no attribute */
	message(RTM_NEWADDR, &body, 3);		   /* not even a body */
	m = message(RTM_NEWADDR, &body, sizeof(body));
	attribute(m, IFA_LOCAL, &a, 4);
	IFA_RTA(NLMSG_DATA(m))->rta_len = 2000;
	m = message(RTM_NEWADDR, &body, sizeof(body));
	attribute(m, IFA_LOCAL, &a, 4);
	IFA_RTA(NLMSG_DATA(m))->rta_len = 0;
	m = message(RTM_NEWADDR, &body, sizeof(body));
	attribute(m, IFA_LOCAL, &six, 16); /* too long for IPv4 */
	body.ifa_family = AF_INET6;
	m = message(RTM_NEWADDR, &body, sizeof(body));
	attribute(m, IFA_LOCAL, &a, 4); /* too short for IPv6 */
	body.ifa_family = AF_UNIX;
	m = message(RTM_NEWADDR, &body, sizeof(body));
	attribute(m, IFA_LOCAL, &a, 4);
	told("10.0.0.9", NULL);
	message(RTM_NEWROUTE, &body, sizeof(body));
	done(0);
	assert_int_equal(take(&h), 1);
	expect(&h, 1, wanted);
	hostaddrs_close(&h);
}

/* Cut at each byte, or with each byte another one: no list but a complete one counts. Each try
 * has memory of its exact length, so that a sanitizer sees what is read behind it. */
static void test_cut_and_bent(void **state)
{
	(void)state;
	told("10.0.0.1", "10.0.0.2");
	told(NULL, "fe80::1");
	done(0);
	for (size_t i = 0; i < d.len; i++) {
		for (unsigned with = 0; with < 4; with++) {
			static const uint8_t bend[] = { 0, 1, 0x80, 0xff };
			struct hostaddrs h = asking();
			size_t len = with ? d.len : i;
			cleanup_free uint8_t *copy = malloc(len ? len : 1);

			assert_non_null(copy);
			memcpy(copy, d.bytes, len);
			if (with)
				copy[i] ^= bend[with];
			assert_true(hostaddrs_take(&h, copy, len) <= 1);
			if (!with)
				assert_int_equal(h.list.count, 0);
			if (!with && i % 4)
				assert_true(h.stale);
			assert_true(h.list.count <= 2);
			hostaddrs_close(&h);
		}
	}
	d.len = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list),
		cmocka_unit_test(test_the_same_list_is_no_news),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_answers_to_an_earlier_question),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_odd_messages),
		cmocka_unit_test(test_cut_and_bent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
