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

/* The last dump is under way. */
static void ask_again(struct hostaddrs *h)
{
	h->asking = true;
	h->dump = HOSTADDRS_DUMPS - 1;
	h->next.count = 0;
}

static struct hostaddrs asking(void)
{
	struct hostaddrs h = { .fd = -1, .port = PORT, .seq = SEQ };

	ask_again(&h);
	return h;
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

/* A route, as in the main table unless it says more; what none of it says is zero. */
static struct nlmsghdr *route(const char *network, unsigned length, struct rtmsg body)
{
	struct addr a = parse(network);
	bool v4 = addr_is_v4(&a);
	struct nlmsghdr *h;

	body.rtm_family = v4 ? AF_INET : AF_INET6;
	body.rtm_dst_len = length;
	h = message(RTM_NEWROUTE, &body, sizeof(body));
	if (length)
		attribute(h, RTA_DST, &a, v4 ? 4 : 16);
	return h;
}

#define LOCAL                                                      \
	(struct rtmsg)                                             \
	{                                                          \
		.rtm_table = RT_TABLE_LOCAL, .rtm_type = RTN_LOCAL \
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

		assert_string_equal(addr_format(&h->list.ranges[i].first, text),
				    texts[i]);
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

/* Addresses first, then routes: the list is complete with both. */
static void test_networks(void **state)
{
	static const char *const wanted[] = { "9.9.9.0", "10.0.0.1", "2a02:1::" };
	static const char *const last[] = { "9.9.9.255", "10.0.0.1",
					    "2a02:1:ffff:ffff:ffff:ffff:ffff:ffff" };
	struct rtmsg elsewhere = LOCAL, other = LOCAL;
	struct hostaddrs h = asking();
	char text[ADDR_TEXT_MAX];

	(void)state;
	h.dump = 0;
	told("10.0.0.1", NULL);
	told("9.9.9.9", NULL);
	done(0);
	assert_int_equal(take(&h), 0);
	assert_true(!h.asking && h.dump == 1);
	expect(&h, 0, NULL);
	h.asking = true;
	elsewhere.rtm_table = RT_TABLE_MAIN;
	other.rtm_type = RTN_BROADCAST;
	route("10.0.0.1", 32, LOCAL);
	route("9.9.9.0", 24, LOCAL);
	route("9.9.9.128", 25, LOCAL);
	route("2a02:1::", 32, LOCAL);
	route("8.8.8.0", 24, elsewhere);
	route("0.0.0.0", 0, elsewhere);
	route("10.0.0.255", 32, other);
	route("7.7.7.7", 33, LOCAL);
	done(0);
	assert_int_equal(take(&h), 1);
	assert_true(!h.asking && h.dump == 0);
	expect(&h, ARRAY_SIZE(wanted), wanted);
	for (size_t i = 0; i < ARRAY_SIZE(last); i++)
		assert_string_equal(addr_format(&h.list.ranges[i].last, text), last[i]);
	hostaddrs_close(&h);
}

static void test_all_of_it(void **state)
{
	static const char *const wanted[] = { "0.0.0.0", "8000::" };
	struct hostaddrs h = asking();
	char text[ADDR_TEXT_MAX];

	(void)state;
	route("0.0.0.0", 0, LOCAL);
	route("8000::", 1, LOCAL);
	told(NULL, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	told("255.255.255.255", NULL);
	done(0);
	assert_int_equal(take(&h), 1);
	expect(&h, ARRAY_SIZE(wanted), wanted);
	assert_string_equal(addr_format(&h.list.ranges[0].last, text), "255.255.255.255");
	hostaddrs_close(&h);
}

/* Others come and go by the thousand on a router. */
static void test_only_local_routes_are_news(void **state)
{
	static const int types[] = { RTM_NEWROUTE, RTM_DELROUTE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		for (int local = 0; local < 2; local++) {
			struct rtmsg body = LOCAL;
			struct hostaddrs h = asking();
			struct nlmsghdr *m;

			body.rtm_table = local ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
			m = route("10.0.0.0", 8, body);
			m->nlmsg_type = types[i];
			m->nlmsg_pid = m->nlmsg_seq = 0;
			assert_int_equal(take(&h), 0);
			assert_int_equal(h.stale, local);
			hostaddrs_close(&h);
		}
	}
}

static void test_the_same_list_is_no_news(void **state)
{
	struct hostaddrs h = asking();

	(void)state;
	for (int i = 0; i < 2; i++) {
		ask_again(&h);
		told("10.0.0.1", NULL);
		done(0);
		assert_int_equal(take(&h), !i);
	}
	ask_again(&h);
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
	struct nlmsgerr e = { .error = -EPERM };
	struct hostaddrs h = asking();

	(void)state;
	told("10.0.0.1", NULL);
	done(-ENOMEM);
	assert_int_equal(take(&h), -ENOMEM);
	expect(&h, 0, NULL);
	ask_again(&h);
	message(NLMSG_ERROR, &e, sizeof(e));
	assert_int_equal(take(&h), -EPERM);
	ask_again(&h);
	message(NLMSG_ERROR, &e, 2);
	assert_int_equal(take(&h), -EPROTO);
	assert_false(h.asking);
	hostaddrs_close(&h);
}

/* Failures that pass: it is asked again, and the old list holds until then. */
static void test_no_room_now(void **state)
{
	const int codes[] = { -ENOBUFS, -EBUSY };
	struct hostaddrs h = asking();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct nlmsgerr e = { .error = codes[i] };

		message(NLMSG_ERROR, &e, sizeof(e));
		assert_int_equal(take(&h), 0);
		assert_true(h.stale && !h.asking && h.dump == 0);
		ask_again(&h);
	}
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
	route("fe80::", 64, LOCAL);
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
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_only_local_routes_are_news),
		cmocka_unit_test(test_the_same_list_is_no_news),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_answers_to_an_earlier_question),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_no_room_now),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_odd_messages),
		cmocka_unit_test(test_cut_and_bent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
