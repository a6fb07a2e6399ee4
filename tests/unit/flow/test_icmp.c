/*
 * Ping through real sockets, in a network namespace in which all of 198.18.0.0/15 and
 * 2001:db8::/32 are this machine's own: its kernel is the peer. What the host grants changes
 * from test to test.
 */
#include "flow/icmp.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"

#define FLOWS 4096 /* the table's size */
#define PEER4 "198.18.0.9"
#define PEER6 "2001:db8::1"

static struct {
	uv_loop_t loop;
	struct poller poller;
	struct policy policy;
	struct events events;
	struct event_sink sink;
	struct guard guard;
	struct echoes *table;
	struct echo_near near;
	int starts, ends, violations;
	struct event end;
	int replies, errors;
	struct echo reply;
	uint8_t data[2048];
	struct neterror error;
	size_t known;
	uint64_t skipped_s; /* of the clock */
} t;

/* --- the world --- */

/* The real clock, and the time that a test has passed over. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = syscall(SYS_clock_gettime, id, ts);

	ts->tv_sec += t.skipped_s;
	return r;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* A new namespace grants nothing; and once granted it can't be taken back here, where group
 * 1, of which an empty range consists, is not mapped. */
static void grant_ping_sockets(void)
{
	write_file("/proc/sys/net/ipv4/ping_group_range", "0 0");
}

/* 2001:db8::/32 is this machine's. (A mere address would be, too, but not at once.) */
static void route_v6(void)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg body;
		struct rtattr dst;
		struct in6_addr addr;
		struct rtattr oif;
		int index;
	} m = { .h = { .nlmsg_len = sizeof(m),
		       .nlmsg_type = RTM_NEWROUTE,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE },
		.body = { .rtm_family = AF_INET6,
			  .rtm_dst_len = 32,
			  .rtm_table = RT_TABLE_LOCAL,
			  .rtm_protocol = RTPROT_STATIC,
			  .rtm_type = RTN_LOCAL },
		.dst = { RTA_LENGTH(16), RTA_DST },
		.oif = { RTA_LENGTH(sizeof(int)), RTA_OIF },
		.index = 1 };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		uint8_t more[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	inet_pton(AF_INET6, "2001:db8::", &m.addr);
	assert_int_equal(send(fd, &m, sizeof(m), 0), sizeof(m));
	assert_true(recv(fd, &answer, sizeof(answer), 0) > 0);
	assert_int_equal(answer.e.error, 0);
	close(fd);
}

static void configure_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct ifreq ifr = { .ifr_name = "lo:1" };
	struct sockaddr_in *sin = (void *)&ifr.ifr_addr;

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &up), 0);
	sin->sin_family = AF_INET;
	inet_pton(AF_INET, "198.18.0.1", &sin->sin_addr);
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	inet_pton(AF_INET, "255.254.0.0", &sin->sin_addr);
	assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &ifr), 0);
	close(fd);
	route_v6();
}

static bool enter_world(void)
{
	char map[32];
	unsigned uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
	configure_loopback();
	return true;
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* --- the two sides --- */

static void near_reply(struct echo_near *n, const struct echo *e)
{
	(void)n;
	t.replies++;
	t.reply = *e;
	assert_true(e->len <= sizeof(t.data));
	memcpy(t.data, e->data, e->len);
}

static void near_error(struct echo_near *n, const struct echo *query, size_t known,
		       const struct neterror *e)
{
	(void)n;
	t.errors++;
	t.reply = *query;
	t.known = known;
	t.error = *e;
}

static const struct echo_near_ops near_ops = { near_reply, near_error };

static void on_event(struct event_sink *sink, const struct event *ev)
{
	(void)sink;
	t.starts += ev->kind == EVENT_FLOW_START;
	t.violations += ev->kind == EVENT_POLICY_VIOLATION;
	if (ev->kind != EVENT_FLOW_END)
		return;
	t.ends++;
	t.end = *ev;
}

static void start(size_t capacity)
{
	t.table = echoes_new(&(struct echoes_deps){ .loop = &t.loop,
						    .guard = &t.guard,
						    .poller = &t.poller,
						    .capacity = capacity });
	assert_non_null(t.table);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	assert_int_equal(poller_init(&t.poller, &t.loop), 0);
	events_init(&t.events);
	t.sink.on_event = on_event;
	event_sink_add(&t.events, &t.sink);
	t.guard = (struct guard){ .policy = &t.policy,
				  .events = &t.events,
				  .loop = &t.loop };
	t.near.ops = &near_ops;
	return 0;
}

static int setup_granted(void **state)
{
	grant_ping_sockets();
	return setup(state);
}

static int teardown(void **state)
{
	(void)state;
	echoes_close(t.table);
	poller_close(&t.poller);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	assert_int_equal(t.starts, t.ends);
	echoes_free(t.table);
	return 0;
}

static struct echo query(const char *to, uint16_t id, uint16_t seq)
{
	struct echo e = { .id = id, .seq = seq, .data = "payload", .len = 7, .ttl = 64 };

	assert_true(addr_parse(to, &e.peer));
	e.type = addr_is_v4(&e.peer) ? ECHO_REQUEST4 : ECHO_REQUEST6;
	addr_parse(addr_is_v4(&e.peer) ? "10.240.0.2" : "fd42::2", &e.child);
	return e;
}

/* RFC 1071, of a message with the data above; for queries that go out as they are. */
static void sum_up(struct echo *e)
{
	uint32_t sum = e->type << 8 | e->code;
	const uint8_t *p = e->data;

	sum += e->id + e->seq;
	for (size_t i = 0; i < e->len; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	e->sum = htons(~((sum & 0xffff) + (sum >> 16)));
}

static void ask(struct echo e)
{
	sum_up(&e);
	echoes_query(t.table, &t.near, &e);
}

/* Until so many answers have come, of whatever kind; the loop's own events pace it. */
static void await(int answers)
{
	uint64_t end;

	uv_update_time(&t.loop);
	end = uv_now(&t.loop) + 10000;
	while (t.replies + t.errors < answers) {
		poller_turn(&t.poller);
		uv_update_time(&t.loop);
		assert_true(uv_now(&t.loop) < end);
	}
}

static void assert_reply(const struct echo *e)
{
	assert_int_equal(t.errors, 0);
	assert_int_equal(t.reply.type, echo_reply_type(addr_is_v4(&e->peer), e->type));
	assert_true(addr_eq(&t.reply.peer, &e->peer));
	assert_true(addr_eq(&t.reply.child, &e->child));
	assert_int_equal(t.reply.id, e->id);
	assert_int_equal(t.reply.seq, e->seq);
	assert_int_equal(t.reply.ttl, 63); /* one hop later */
}

/* --- tests --- */

static void ping_both(void)
{
	static const char *const peers[] = { PEER4, PEER6 };

	start(10);
	for (int i = 0; i < 4; i++) {
		struct echo e = query(peers[i & 1], 0x1234, i);

		e.tos = 0x28;
		ask(e);
		await(i + 1);
		assert_reply(&e);
		assert_int_equal(t.reply.tos, 0x28); /* Linux answers in kind */
		assert_memory_equal(t.data, "payload", 7);
	}
	assert_int_equal(t.starts, 2);
}

static void by_ping_sockets(void **state)
{
	(void)state;
	ping_both();
}

static void by_raw_sockets(void **state)
{
	(void)state;
	ping_both();
}

static void a_time_stamp_goes_by_a_raw_socket(void **state)
{
	struct echo e = query(PEER4, 77, 1);

	(void)state;
	start(10);
	e.type = 13;
	e.data = "\0\0\0\0\0\0\0\0\0\0\0\0";
	e.len = 12;
	ask(e);
	await(1);
	assert_int_equal(t.reply.type, 14);
	assert_int_equal(t.reply.id, 77);
}

static void counts_are_told(void **state)
{
	(void)state;
	start(10);
	for (int i = 0; i < 3; i++)
		ask(query(PEER4, 5, i));
	await(3);
	echoes_close(t.table);
	assert_int_equal(t.end.protocol, IPPROTO_ICMP);
	assert_int_equal(t.end.remote.port, 0);
	assert_int_equal(t.end.flow_end.packets_up, 3);
	assert_int_equal(t.end.flow_end.packets_down, 3);
	assert_int_equal(t.end.flow_end.bytes_up, 21);
	assert_int_equal(t.end.flow_end.reason, CLOSE_RUN_END);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	echoes_free(t.table);
	start(10);
}

static void a_sweep_takes_one_socket(void **state)
{
	int before;

	(void)state;
	start(10);
	ask(query("198.18.1.1", 9, 0));
	before = descriptors();
	for (int i = 2; i < 200; i++) {
		char peer[16];

		snprintf(peer, sizeof(peer), "198.18.1.%d", i);
		ask(query(peer, 9, 0));
	}
	await(199);
	assert_int_equal(t.errors, 0);
	assert_int_equal(t.starts, 199);
	assert_int_equal(descriptors(), before);
}

static void sockets_are_bounded(void **state)
{
	int before;

	(void)state;
	start(4);
	before = descriptors();
	for (int i = 0; i < 100; i++)
		ask(query(PEER4, i, 0));
	assert_int_equal(t.errors, 0);
	assert_int_equal(descriptors(), before + 4);
	assert_int_equal(t.starts - t.ends, 4);
	assert_int_equal(t.end.flow_end.reason, CLOSE_EVICTED);
}

static void flows_are_bounded(void **state)
{
	(void)state;
	start(10);
	for (int i = 0; i < FLOWS + 100; i++) {
		char peer[16];

		snprintf(peer, sizeof(peer), "198.19.%d.%d", i >> 8, i & 255);
		ask(query(peer, 9, 0));
	}
	assert_int_equal(t.starts, FLOWS + 100);
	assert_int_equal(t.ends, 100);
}

static void idle_flows_end(void **state)
{
	(void)state;
	start(10);
	ask(query(PEER4, 9, 0));
	await(1);
	t.skipped_s = 50;
	ask(query(PEER4, 10, 0));
	t.skipped_s = 70;
	for (int i = 0; !t.ends && i < 3; i++)
		poller_turn(&t.poller);
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.end.flow_end.reason, CLOSE_IDLE);
}

static void rules_are_asked(void **state)
{
	static const char *const refused[] = { "127.0.0.1", "::1", PEER4, PEER6 };

	(void)state;
	t.policy.offline = true;
	start(10);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		ask(query(refused[i], 3, 0));
		assert_int_equal(t.errors, (int)i + 1);
		assert_int_equal(t.violations, (int)i + 1);
		assert_int_equal(t.error.err, EACCES);
	}
	ask(query("224.0.0.1", 3, 0)); /* RFC 1122 3.2.2 */
	assert_int_equal(t.errors, (int)ARRAY_SIZE(refused));
	assert_int_equal(t.starts, 0);
}

static void what_cant_be_sent_is_told(void **state)
{
	struct echo e = query("203.0.113.9", 3, 4);

	(void)state;
	start(10);
	ask(e);
	await(1);
	assert_int_equal(t.error.err, ENETUNREACH);
	assert_int_equal(t.reply.id, 3);
	assert_int_equal(t.known, 7);
}

/* From here on there are no raw sockets any more. */
static void without_rights_it_is_prohibited(void **state)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];

	(void)state;
	assert_int_equal(syscall(SYS_capget, &head, caps), 0);
	caps[0].effective &= ~(1u << CAP_NET_RAW);
	assert_int_equal(syscall(SYS_capset, &head, caps), 0);
	start(10);
	ask(query(PEER4, 3, 4));
	ask(query(PEER6, 3, 4));
	assert_int_equal(t.errors, 2);
	assert_int_equal(t.error.err, EACCES);
	assert_int_equal(t.starts, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_granted, teardown)
#define UNGRANTED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		UNGRANTED(by_raw_sockets),
		UNGRANTED(a_time_stamp_goes_by_a_raw_socket),
		UNGRANTED(without_rights_it_is_prohibited),
		T(by_ping_sockets),
		T(counts_are_told),
		T(a_sweep_takes_one_socket),
		T(sockets_are_bounded),
		T(flows_are_bounded),
		T(idle_flows_end),
		T(rules_are_asked),
		T(what_cant_be_sent_is_told),
	};

	if (!enter_world()) {
		fprintf(stderr, "no user namespaces here\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
