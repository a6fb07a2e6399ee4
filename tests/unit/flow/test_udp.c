/*
 * How long datagram flows live and what a full table does. The clock and the network are fakes,
 * behind the calls of the C library: an hour takes no time, and nothing leaves the process.
 */
#include "flow/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "base/util.h"

#define FLOWS 16384 /* the table's size */
#define SOCKETS 3
#define EXPIRY_MS 5000 /* how late an end may be */

struct fake_port {
	struct dgram_port dp;
	int fd; /* of the session's socket */
	int sends, refuses, refuse_err, closes;
	size_t lens[64]; /* of the last datagrams sent, and their first bytes */
	uint8_t first[64];
};

static struct {
	uv_loop_t loop;
	struct policy policy;
	struct guard guard;
	struct events events;
	struct event_sink sink;
	struct poller poller;
	struct sessions *table;
	struct fake_port port[SOCKETS + 1];
	int ends;
	struct event last_end;
} t;

/* --- the world --- */

static struct {
	uint64_t now_ms;
	int last_fd, sockets, sent;
	/* the one datagram that waits to be read */
	int fd;
	struct sockaddr_storage from;
	socklen_t from_len;
	size_t len;
	int gro_size; /* 0: the kernel has put nothing together */
} world;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){ .tv_sec = world.now_ms / 1000,
				 .tv_nsec = world.now_ms % 1000 * 1000000 };
	return 0;
}

int socket(int family, int type, int protocol)
{
	(void)family;
	(void)type;
	(void)protocol;
	world.sockets++;
	world.last_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return world.last_fd;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return 0;
}

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	(void)fd;
	(void)data;
	(void)flags;
	(void)to;
	(void)to_len;
	world.sent++;
	return len;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)fd;
	(void)flags;
	world.sent++;
	return msg->msg_iov[0].iov_len;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	(void)fd;
	(void)msg;
	(void)flags;
	errno = EAGAIN;
	return -1;
}

int recvmmsg(int fd, struct mmsghdr *msg, unsigned n, int flags, struct timespec *timeout)
{
	(void)n;
	(void)flags;
	(void)timeout;
	if (fd != world.fd) {
		errno = EAGAIN;
		return -1;
	}
	world.fd = -1;
	memcpy(msg[0].msg_hdr.msg_name, &world.from, world.from_len);
	msg[0].msg_hdr.msg_namelen = world.from_len;
	msg[0].msg_len = world.len;
	for (size_t i = 0; i < world.len; i++)
		((uint8_t *)msg[0].msg_hdr.msg_iov->iov_base)[i] = i / 100;
	if (world.gro_size) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg[0].msg_hdr);

		*c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), IPPROTO_UDP, UDP_GRO };
		memcpy(CMSG_DATA(c), &world.gro_size, sizeof(int));
	} else {
		msg[0].msg_hdr.msg_controllen = 0;
	}
	return 1;
}

/* Only the fake clock waits. */
int epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
	(void)timeout_ms;
	return epoll_pwait(fd, events, n, 0, NULL);
}

static void turn(void)
{
	sessions_flush(t.table);
	poller_turn(&t.poller);
}

/* Lets the loop see the time pass. */
static void wait_ms(unsigned ms)
{
	for (unsigned step; ms; ms -= step) {
		step = MIN(ms, 1000u);
		world.now_ms += step;
		turn();
	}
}

/* --- the child's side --- */

static int port_send(struct dgram_port *dp, const struct endpoint *from,
		     const struct iovec *iov, int n)
{
	struct fake_port *p = container_of(dp, struct fake_port, dp);

	(void)from;
	assert_true(n <= DGRAM_BURST);
	for (int i = 0; i < n; i++, p->sends++) {
		p->lens[p->sends % 64] = iov[i].iov_len;
		p->first[p->sends % 64] = iov[i].iov_len ? *(uint8_t *)iov[i].iov_base :
							   0;
	}
	return 0;
}

static void port_refuse(struct dgram_port *dp, int err, uint32_t mtu)
{
	struct fake_port *p = container_of(dp, struct fake_port, dp);

	(void)mtu;
	p->refuses++;
	p->refuse_err = err;
}

static void port_error(struct dgram_port *dp, const struct dgram *d, const void *data,
		       size_t n, const struct neterror *e)
{
	(void)dp;
	(void)d;
	(void)data;
	(void)n;
	fail_msg("a datagram has failed: %s", strerror(e->err));
}

static void port_close(struct dgram_port *dp)
{
	dp->owner = NULL;
	container_of(dp, struct fake_port, dp)->closes++;
}

static const struct dgram_port_ops port_ops = { port_send, port_refuse, port_error,
						port_close };

static void on_event(struct event_sink *sink, const struct event *ev)
{
	(void)sink;
	if (ev->kind != EVENT_FLOW_END)
		return;
	t.ends++;
	t.last_end = *ev;
}

static struct endpoint peer(unsigned number)
{
	struct endpoint e = { .port = 1024 + number };

	assert_true(addr_parse("203.0.113.5", &e.addr));
	return e;
}

static void write_to(struct fake_port *p, unsigned number)
{
	struct dgram d = { .to = peer(number), .data = "x", .len = 1 };

	world.last_fd = p->fd;
	sessions_dgram(t.table, &p->dp, &d);
	p->fd = world.last_fd;
}

static void answer(struct fake_port *p, unsigned number)
{
	struct endpoint from = peer(number);

	world.fd = p->fd;
	world.from_len = endpoint_to_sockaddr(&from, &world.from);
	assert_int_equal(eventfd_write(p->fd, 1), 0);
	turn();
	assert_int_equal(world.fd, -1); /* it has been read */
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	memset(&world, 0, sizeof(world));
	world.now_ms = 1000000;
	world.fd = -1;
	world.len = 1;
	uv_loop_init(&t.loop);
	events_init(&t.events);
	t.guard = (struct guard){ .policy = &t.policy,
				  .events = &t.events,
				  .loop = &t.loop };
	t.sink.on_event = on_event;
	event_sink_add(&t.events, &t.sink);
	assert_int_equal(poller_init(&t.poller, &t.loop), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t.port); i++) {
		t.port[i].dp.ops = &port_ops;
		assert_true(addr_parse("10.240.0.2", &t.port[i].dp.child.addr));
		t.port[i].dp.child.port = 5000 + i;
	}
	t.table = sessions_new(&(struct sessions_deps){ .loop = &t.loop,
							.guard = &t.guard,
							.poller = &t.poller,
							.capacity = SOCKETS });
	return t.table ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sessions_close(t.table);
	for (size_t i = 0; i < ARRAY_SIZE(t.port); i++)
		assert_null(t.port[i].dp.owner);
	poller_close(&t.poller);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	sessions_free(t.table);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	return 0;
}

/* The flow of port 0 with peer 1 lives for that long from now, and no longer. */
static void assert_lives_ms(unsigned ms)
{
	wait_ms(ms - 1000);
	assert_int_equal(t.ends, 0);
	assert_int_equal(t.port[0].closes, 0);
	wait_ms(1000 + EXPIRY_MS);
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.last_end.remote.port, peer(1).port);
	assert_int_equal(t.port[0].closes, 1);
}

/* --- time --- */

static void a_question_without_answer_lives_30_s(void **state)
{
	(void)state;
	write_to(&t.port[0], 1);
	assert_lives_ms(30000);
	assert_int_equal(world.sent, 1);
	assert_int_equal(t.last_end.flow_end.bytes_up, 1);
	assert_int_equal(t.last_end.flow_end.bytes_down, 0);
}

static void a_question_with_answers_lives_30_s_more(void **state)
{
	(void)state;
	write_to(&t.port[0], 1);
	for (int i = 0; i < 3; i++) {
		wait_ms(20000);
		answer(&t.port[0], 1);
	}
	assert_int_equal(t.port[0].sends, 3);
	assert_lives_ms(30000);
	assert_int_equal(t.last_end.flow_end.bytes_down, 3);
}

static void questions_without_answer_live_30_s_more(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		write_to(&t.port[0], 1);
		wait_ms(20000);
	}
	assert_int_equal(t.ends, 0);
	assert_int_equal(world.sockets, 1);
	write_to(&t.port[0], 1);
	assert_lives_ms(30000);
}

static void a_conversation_lives_180_s(void **state)
{
	(void)state;
	write_to(&t.port[0], 1);
	answer(&t.port[0], 1);
	write_to(&t.port[0], 1);
	assert_lives_ms(180000);
}

static void an_answer_keeps_a_conversation(void **state)
{
	(void)state;
	write_to(&t.port[0], 1);
	answer(&t.port[0], 1);
	write_to(&t.port[0], 1);
	for (int i = 0; i < 20; i++) {
		wait_ms(170000);
		answer(&t.port[0], 1);
	}
	assert_lives_ms(180000);
}

static void a_strangers_datagram_keeps_nothing(void **state)
{
	(void)state;
	write_to(&t.port[0], 1);
	wait_ms(20000);
	answer(&t.port[0], 2);
	assert_int_equal(t.port[0].sends, 0);
	assert_lives_ms(10000);
}

static void a_port_lives_as_long_as_its_last_flow(void **state)
{
	(void)state;
	write_to(&t.port[0], 1);
	wait_ms(20000);
	write_to(&t.port[0], 2);
	wait_ms(15000);
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.port[0].closes, 0);
	answer(&t.port[0], 1); /* too late */
	assert_int_equal(t.port[0].sends, 0);
	answer(&t.port[0], 2);
	assert_int_equal(t.port[0].sends, 1);
	wait_ms(35000);
	assert_int_equal(t.ends, 2);
	assert_int_equal(t.port[0].closes, 1);
	write_to(&t.port[0], 1);
	assert_int_equal(world.sockets, 2); /* a session of its own */
}

/* --- room --- */

static void a_full_table_ends_who_was_idle_longest(void **state)
{
	struct fake_port *busy = &t.port[1];

	(void)state;
	/* The oldest of all is a conversation: spared as long as there are others. */
	write_to(&t.port[0], 1);
	answer(&t.port[0], 1);
	write_to(&t.port[0], 1);
	write_to(&t.port[2], 2);
	for (unsigned i = 3; i <= FLOWS; i++)
		write_to(busy, i);
	assert_int_equal(t.ends, 0);

	write_to(busy, FLOWS + 1);
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.last_end.child.port, t.port[2].dp.child.port);
	assert_int_equal(t.port[2].closes, 1); /* its only flow */

	write_to(busy, 3);
	write_to(busy, FLOWS + 2);
	assert_int_equal(t.ends, 2);
	assert_int_equal(t.last_end.remote.port, peer(4).port);
	answer(busy, 3);
	assert_int_equal(busy->sends, 1);
	answer(busy, 4);
	assert_int_equal(busy->sends, 1);
	answer(&t.port[0], 1);
	assert_int_equal(t.port[0].sends, 2);
}

static void a_port_may_make_room_by_its_own_only_flow(void **state)
{
	(void)state;
	write_to(&t.port[0], 1);
	for (unsigned i = 2; i <= FLOWS; i++)
		write_to(&t.port[1], i);
	write_to(&t.port[0], 2);
	assert_int_equal(t.ends, 1);
	assert_int_equal(t.port[0].closes, 0);
	answer(&t.port[0], 2);
	assert_int_equal(t.port[0].sends, 1);
}

static void a_full_table_of_one_port_turns_over(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 3 * FLOWS; i++)
		write_to(&t.port[0], i);
	assert_int_equal(t.ends, 2 * FLOWS);
	assert_int_equal(world.sockets, 1);
	assert_int_equal(t.port[0].closes + t.port[0].refuses, 0);
	turn();
	assert_int_equal(world.sent, 3 * FLOWS);
}

static void no_socket_left_is_told(void **state)
{
	struct fake_port *one_more = &t.port[SOCKETS];

	(void)state;
	for (int i = 0; i < SOCKETS; i++)
		write_to(&t.port[i], 1);
	write_to(one_more, 1);
	assert_int_equal(one_more->refuses, 1);
	assert_int_equal(one_more->refuse_err, EACCES);
	assert_int_equal(one_more->closes, 1);

	/* The others go on, and the next to end makes room. */
	wait_ms(20000);
	for (int i = 1; i < SOCKETS; i++) {
		answer(&t.port[i], 1);
		assert_int_equal(t.port[i].sends, 1);
	}
	wait_ms(15000);
	assert_int_equal(t.port[0].closes, 1);
	write_to(one_more, 1);
	assert_int_equal(one_more->refuses, 1);
	answer(one_more, 1);
	assert_int_equal(one_more->sends, 1);
}

static void what_the_kernel_put_together_is_taken_apart(void **state)
{
	static const struct {
		size_t len;
		int gro_size, count;
		size_t last;
	} rows[] = {
		{ 100, 0, 1, 100 },	{ 300, 100, 3, 100 },  { 250, 100, 3, 50 },
		{ 3200, 100, 32, 100 }, { 3201, 100, 33, 1 },  { 6000, 100, 60, 100 },
		{ 100, 100, 1, 100 },	{ 100, 1000, 1, 100 }, { 0, 0, 1, 0 },
	};
	struct fake_port *p = &t.port[0];

	(void)state;
	write_to(p, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		world.len = rows[i].len;
		world.gro_size = rows[i].gro_size;
		p->sends = 0;
		answer(p, 0);
		assert_int_equal(p->sends, rows[i].count);
		for (int k = 0; k + 1 < rows[i].count; k++) {
			assert_int_equal(p->lens[k], 100);
			assert_int_equal(p->first[k], k);
		}
		assert_int_equal(p->lens[rows[i].count - 1], rows[i].last);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_the_kernel_put_together_is_taken_apart),
		T(a_question_without_answer_lives_30_s),
		T(a_question_with_answers_lives_30_s_more),
		T(questions_without_answer_live_30_s_more),
		T(a_conversation_lives_180_s),
		T(an_answer_keeps_a_conversation),
		T(a_strangers_datagram_keeps_nothing),
		T(a_port_lives_as_long_as_its_last_flow),
		T(a_full_table_ends_who_was_idle_longest),
		T(a_port_may_make_room_by_its_own_only_flow),
		T(a_full_table_of_one_port_turns_over),
		T(no_socket_left_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
