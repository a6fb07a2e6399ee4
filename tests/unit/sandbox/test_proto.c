#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "sandbox/proto.h"

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	cleanup_fd_fn(&pair[0]);
	cleanup_fd_fn(&pair[1]);
	return 0;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_message_and_descriptors(void **state)
{
	struct proto_msg out = { .type = PROTO_TAP }, in;
	int pipes[2], fds[PROTO_FD_COUNT];
	char c = 0;

	(void)state;
	netplan_choose(&out.plan, 1, 1500);
	out.plan.ipv6 = true;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(proto_send(pair[0], &out, pipes, 2), 0);
	assert_int_equal(proto_recv(pair[1], &in, fds, PROTO_FD_COUNT), 1);
	assert_int_equal(in.type, PROTO_TAP);
	assert_memory_equal(&in.plan, &out.plan, sizeof(in.plan));
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	for (int i = 0; i < 2; i++) {
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
		close(pipes[i]);
	}
}

static void test_unwanted_descriptors_are_closed(void **state)
{
	struct proto_msg msg = { .type = PROTO_READY };
	int before = count_fds();

	(void)state;
	assert_int_equal(proto_send(pair[0], &msg, pair, 2), 0);
	assert_int_equal(proto_recv(pair[1], &msg, NULL, 0), 1);
	assert_int_equal(count_fds(), before);
}

static void test_error_travels(void **state)
{
	struct proto_msg msg;
	struct error err;
	int fds[1] = { 99 };

	(void)state;
	error_set(&err, ENOENT, "open it");
	error_cure(&err, "Close it.");
	assert_int_equal(proto_send_error(pair[0], &err), 0);
	assert_int_equal(proto_recv(pair[1], &msg, fds, 1), 1);
	assert_int_equal(msg.type, PROTO_FAILED);
	assert_int_equal(msg.error.code, ENOENT);
	assert_string_equal(msg.error.text, err.text);
	assert_string_equal(msg.error.cure, "Close it.");
	assert_int_equal(fds[0], -1);
}

static void test_end_of_file(void **state)
{
	struct proto_msg msg = { .type = PROTO_READY };

	(void)state;
	cleanup_fd_fn(&pair[0]);
	pair[0] = -1;
	assert_int_equal(proto_recv(pair[1], &msg, NULL, 0), 0);
	assert_int_equal(proto_send(pair[1], &msg, NULL, 0), -EPIPE);
}

/* The peer has died with our message unread: what it had sent is heard nevertheless. */
static void test_last_words(void **state)
{
	struct proto_msg msg = { .type = PROTO_READY };

	(void)state;
	assert_int_equal(proto_send(pair[0], &msg, NULL, 0), 0);
	msg.type = PROTO_DRAIN;
	assert_int_equal(proto_send(pair[1], &msg, NULL, 0), 0);
	cleanup_fd_fn(&pair[0]);
	pair[0] = -1;
	assert_int_equal(proto_recv(pair[1], &msg, NULL, 0), 1);
	assert_int_equal(msg.type, PROTO_READY);
	assert_int_equal(proto_recv(pair[1], &msg, NULL, 0), 0);
}

static void test_foreign_size(void **state)
{
	struct proto_msg msg;

	(void)state;
	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(proto_recv(pair[1], &msg, NULL, 0), -EPROTO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_message_and_descriptors),
		TEST(test_unwanted_descriptors_are_closed),
		TEST(test_error_travels),
		TEST(test_end_of_file),
		TEST(test_last_words),
		TEST(test_foreign_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
