/* Who asks whom, who waits, and what it may cost: with a fake for whoever sees processes. */
#include "flow/who.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ull

static struct {
	uv_loop_t loop;
	struct who *who;
	struct owner_question questions[OWNER_BATCH];
	size_t count;
	int sends, send_err, known;
	struct who_ask asks[100];
} t;

static int on_send(void *ctx, const struct owner_question *list, size_t count)
{
	(void)ctx;
	t.sends++;
	if (t.send_err)
		return -t.send_err;
	memcpy(t.questions, list, count * sizeof(*list));
	t.count = count;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	t.who = who_new(&(struct who_deps){ .loop = &t.loop, .send = on_send });
	return t.who ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100; i++)
		who_forget(&t.asks[i]);
	who_close(t.who);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	who_free(t.who);
	return uv_loop_close(&t.loop);
}

static void on_known(struct who_ask *ask)
{
	(void)ask;
	t.known++;
}

/* About an echo: it needs no look at the kernel's sockets. */
static bool ask(size_t i, void (*known)(struct who_ask *))
{
	struct who_key key = { .protocol = IPPROTO_ICMP, .child.port = i };

	return who_ask(t.who, &t.asks[i], &key, known);
}

static void answer(uint64_t owns, int pid, const char *comm, bool last, uint64_t cost_ns)
{
	struct owner_answer a = {
		.owns = owns, .pid = pid, .last = last, .cost_ns = cost_ns
	};

	memcpy(a.comm, comm, MIN(strlen(comm), sizeof(a.comm)));
	strcpy(a.exe, "/bin/x");
	who_answer(t.who, &a);
}

static void nobody_wants_to_know(void **state)
{
	struct who_ask a = { 0 };
	struct who_key key = { .protocol = IPPROTO_TCP };

	(void)state;
	assert_false(who_ask(NULL, &a, &key, on_known));
	assert_null(who_process(&a));
	who_forget(&a);
	who_flush(NULL);
	who_start(NULL, 3);
	who_close(NULL);
	who_free(NULL);
}

static void one_waits_until_it_is_known(void **state)
{
	(void)state;
	assert_true(ask(7, on_known));
	assert_int_equal(t.sends, 0);
	who_flush(t.who);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.questions[0].protocol, IPPROTO_ICMP);
	assert_int_equal(t.questions[0].port, 7);
	assert_int_equal(t.known, 0);
	answer(1, 42, "curl", true, 1000);
	assert_int_equal(t.known, 1);
	assert_int_equal(who_process(&t.asks[7])->pid, 42);
	assert_string_equal(who_process(&t.asks[7])->comm, "curl");
	assert_string_equal(who_process(&t.asks[7])->exe, "/bin/x");
}

static void answers_go_to_their_questions(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		ask(i, on_known);
	who_flush(t.who);
	assert_int_equal(t.count, 4);
	who_forget(&t.asks[3]);
	answer(5, 10, "sixteen-bytes-xx", false, 0);
	assert_int_equal(t.known, 2);
	answer(8 | 2, 11, "b", true, 0);
	assert_int_equal(t.known, 3);
	assert_int_equal(who_process(&t.asks[0])->pid, 10);
	assert_string_equal(who_process(&t.asks[0])->comm, "sixteen-bytes-xx");
	assert_int_equal(who_process(&t.asks[1])->pid, 11);
	assert_ptr_equal(who_process(&t.asks[0]), who_process(&t.asks[2]));
	assert_null(who_process(&t.asks[3]));
}

static void what_is_not_answered_is_unknown(void **state)
{
	(void)state;
	ask(0, on_known);
	ask(1, NULL);
	who_flush(t.who);
	answer(0, 0, "", true, 0);
	assert_int_equal(t.known, 1);
	assert_null(who_process(&t.asks[0]));
	/* One batch is over, the next may go. */
	ask(2, on_known);
	who_flush(t.who);
	assert_int_equal(t.sends, 2);
}

static void one_batch_at_a_time(void **state)
{
	(void)state;
	for (int i = 0; i < 70; i++)
		ask(i, on_known);
	who_flush(t.who);
	assert_int_equal(t.count, OWNER_BATCH);
	who_flush(t.who);
	assert_int_equal(t.sends, 1);
	answer(~0ull, 1, "x", true, 0);
	assert_int_equal(t.known, OWNER_BATCH);
	who_flush(t.who);
	assert_int_equal(t.count, 70 - OWNER_BATCH);
}

static void nobody_waits_when_the_time_is_spent(void **state)
{
	(void)state;
	assert_true(ask(0, on_known));
	who_flush(t.who);
	answer(1, 1, "x", true, 1000 * MS);
	/* Nor is anybody asked. */
	assert_false(ask(1, on_known));
	who_flush(t.who);
	assert_int_equal(t.sends, 1);
	assert_int_equal(t.known, 1);
}

static void who_waits_may_be_told_late(void **state)
{
	(void)state;
	assert_true(ask(0, on_known));
	who_flush(t.who);
	while (t.known == 0)
		uv_run(&t.loop, UV_RUN_ONCE);
	assert_null(who_process(&t.asks[0]));
	/* Nobody else waits before there is an answer. */
	assert_false(ask(1, on_known));
	answer(1, 5, "late", true, 0);
	assert_int_equal(t.known, 1);
	assert_int_equal(who_process(&t.asks[0])->pid, 5);
	assert_true(ask(2, on_known));
}

static void nobody_waits_for_a_second_search(void **state)
{
	struct owner_answer cut = { .last = true, .cut = true };

	(void)state;
	assert_true(ask(0, on_known));
	who_flush(t.who);
	who_answer(t.who, &cut);
	assert_int_equal(t.known, 1);
	who_flush(t.who);
	assert_int_equal(t.sends, 2);
	answer(1, 5, "late", true, 0);
	assert_int_equal(t.known, 1);
	assert_int_equal(who_process(&t.asks[0])->pid, 5);
}

static void nobody_is_there_to_be_asked(void **state)
{
	(void)state;
	t.send_err = EPIPE;
	ask(0, on_known);
	who_flush(t.who);
	assert_int_equal(t.known, 1);
	assert_null(who_process(&t.asks[0]));
}

/* Without a socket of the kernel's to ask: its process is unknown, and told so at once. */
static void a_socket_that_is_none(void **state)
{
	struct who_key key = { .protocol = IPPROTO_TCP };

	(void)state;
	assert_true(who_ask(t.who, &t.asks[0], &key, on_known));
	who_flush(t.who);
	assert_int_equal(t.sends, 0);
	assert_int_equal(t.known, 1);
	/* Beside one that is: with it. */
	assert_true(who_ask(t.who, &t.asks[0], &key, on_known));
	ask(1, on_known);
	who_flush(t.who);
	assert_int_equal(t.count, 1);
	answer(1, 9, "x", true, 0);
	assert_int_equal(t.known, 3);
	assert_null(who_process(&t.asks[0]));
	assert_int_equal(who_process(&t.asks[1])->pid, 9);
}

static void forget_the_other(struct who_ask *a)
{
	t.known++;
	who_forget(a == &t.asks[0] ? &t.asks[1] : &t.asks[0]);
}

static void one_that_is_told_may_end_another(void **state)
{
	(void)state;
	ask(0, forget_the_other);
	ask(1, forget_the_other);
	who_flush(t.who);
	answer(3, 1, "x", true, 0);
	assert_int_equal(t.known, 1);
}

int main(void)
{
#define WITH_WHO(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_wants_to_know),
		WITH_WHO(one_waits_until_it_is_known),
		WITH_WHO(answers_go_to_their_questions),
		WITH_WHO(what_is_not_answered_is_unknown),
		WITH_WHO(one_batch_at_a_time),
		WITH_WHO(nobody_waits_when_the_time_is_spent),
		WITH_WHO(who_waits_may_be_told_late),
		WITH_WHO(nobody_waits_for_a_second_search),
		WITH_WHO(nobody_is_there_to_be_asked),
		WITH_WHO(a_socket_that_is_none),
		WITH_WHO(one_that_is_told_may_end_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
