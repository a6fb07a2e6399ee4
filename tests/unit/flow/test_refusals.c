/* What is against the rules waits until its process is known; then it is told, and refused. */
#include "flow/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MS 1000000ull
#define WAITING_MAX 256

static struct {
	uv_loop_t loop;
	struct policy policy;
	struct events events;
	struct event_sink sink;
	struct guard guard;
	struct who *who;
	struct refusals refusals;
	struct refusal list[WAITING_MAX + 1];
	int told, refused, pid;
	enum reason reason;
} t;

static void on_event(struct event_sink *sink, const struct event *ev)
{
	(void)sink;
	assert_int_equal(ev->kind, EVENT_POLICY_VIOLATION);
	/* It is told before it is refused. */
	assert_int_equal(t.told, t.refused);
	t.told++;
	t.pid = ev->process ? ev->process->pid : 0;
	t.reason = ev->policy_violation.verdict->reason;
}

static int on_send(void *ctx, const struct owner_question *list, size_t count)
{
	(void)ctx;
	(void)list;
	(void)count;
	return 0;
}

static void on_told(struct refusal *r)
{
	(void)r;
	t.refused++;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	events_init(&t.events);
	t.sink.on_event = on_event;
	event_sink_add(&t.events, &t.sink);
	t.policy.offline = true;
	t.guard = (struct guard){ .policy = &t.policy,
				  .events = &t.events,
				  .loop = &t.loop };
	t.who = who_new(&(struct who_deps){ .loop = &t.loop, .send = on_send });
	refusals_init(&t.refusals, &t.guard, t.who);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	refusals_end(&t.refusals);
	assert_int_equal(t.refusals.count, 0);
	who_close(t.who);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	who_free(t.who);
	return uv_loop_close(&t.loop);
}

/* An echo's, which needs no look at the kernel's sockets. */
static bool add(size_t i)
{
	struct endpoint child = { .port = i };
	struct inquiry q = { .target.protocol = IPPROTO_ICMP };

	addr_parse("9.9.9.9", &q.target.to.addr);
	guard_judge(&t.guard, &q);
	assert_true(guard_objects(&q));
	return refusals_add(&t.refusals, &t.list[i], &child, &q, on_told);
}

static void it_is_told_with_its_process(void **state)
{
	(void)state;
	assert_true(add(0));
	who_flush(t.who);
	assert_int_equal(t.told, 0);
	who_answer(t.who, &(struct owner_answer){ .owns = 1, .pid = 42, .last = true });
	assert_int_equal(t.told, 1);
	assert_int_equal(t.refused, 1);
	assert_int_equal(t.pid, 42);
	assert_int_equal(t.reason, REASON_OFFLINE);
}

static void whose_it_is_may_stay_unknown(void **state)
{
	(void)state;
	assert_true(add(0));
	who_flush(t.who);
	who_answer(t.who, &(struct owner_answer){ .last = true });
	assert_int_equal(t.told, 1);
	assert_int_equal(t.refused, 1);
	assert_int_equal(t.pid, 0);
}

/* As a name would, that is learned while it waits. */
static void what_would_be_allowed_by_now_is_told(void **state)
{
	(void)state;
	assert_true(add(0));
	t.policy.offline = false;
	who_flush(t.who);
	who_answer(t.who, &(struct owner_answer){ .last = true });
	assert_int_equal(t.told, 1);
	assert_int_equal(t.refused, 1);
	assert_int_equal(t.reason, REASON_OFFLINE);
}

static void nobody_wants_to_know(void **state)
{
	(void)state;
	refusals_init(&t.refusals, &t.guard, NULL);
	assert_false(add(0));
	assert_int_equal(t.told + t.refused, 0);
}

static void it_does_not_wait_when_the_time_is_spent(void **state)
{
	(void)state;
	assert_true(add(0));
	who_flush(t.who);
	who_answer(t.who, &(struct owner_answer){ .last = true, .cost_ns = 1000 * MS });
	assert_false(add(1));
}

static void so_many_wait_and_no_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < WAITING_MAX; i++)
		assert_true(add(i));
	assert_false(add(WAITING_MAX));
}

static void at_the_end_all_are_told(void **state)
{
	(void)state;
	assert_true(add(0));
	assert_true(add(1));
	refusals_end(&t.refusals);
	assert_int_equal(t.told, 2);
	assert_int_equal(t.refused, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(it_is_told_with_its_process),
		T(whose_it_is_may_stay_unknown),
		T(what_would_be_allowed_by_now_is_told),
		T(nobody_wants_to_know),
		T(it_does_not_wait_when_the_time_is_spent),
		T(so_many_wait_and_no_more),
		T(at_the_end_all_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
