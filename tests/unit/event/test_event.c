#include "event/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct counter {
	struct event_sink sink;
	int seen;
	enum event_kind last;
};

static void count(struct event_sink *sink, const struct event *ev)
{
	struct counter *c = container_of(sink, struct counter, sink);

	c->seen++;
	c->last = ev->kind;
}

static void every_sink_sees_every_event(void **state)
{
	struct counter a = { .sink.on_event = count }, b = { .sink.on_event = count };
	struct events events;

	(void)state;
	events_init(&events);
	assert_false(events_wanted(&events));
	event_emit(&events, &(struct event){ .kind = EVENT_FLOW_END });
	event_sink_add(&events, &a.sink);
	event_sink_add(&events, &b.sink);
	assert_true(events_wanted(&events));
	for (int k = 0; k < EVENT_COUNT; k++)
		event_emit(&events, &(struct event){ .kind = k });
	assert_int_equal(a.seen, EVENT_COUNT);
	assert_int_equal(b.seen, EVENT_COUNT);
	assert_int_equal(b.last, EVENT_COUNT - 1);
}

static void every_kind_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int k = 0; k < EVENT_COUNT; k++)
		for (int other = 0; other < k; other++)
			assert_string_not_equal(event_name(k), event_name(other));
}

static void every_reason_and_mode_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int k = 0; k < CLOSE_COUNT; k++)
		for (int other = 0; other < k; other++)
			assert_string_not_equal(close_reason_name(k),
						close_reason_name(other));
	for (int k = 0; k < ANSWERED_COUNT; k++)
		for (int other = 0; other < k; other++)
			assert_string_not_equal(answered_mode_name(k),
						answered_mode_name(other));
}

static void an_event_has_its_time(void **state)
{
	struct counter c = { .sink.on_event = count };
	struct event ev = { .kind = EVENT_FLOW_END };
	struct events events;
	uint64_t now = time(NULL);

	(void)state;
	events_init(&events);
	event_sink_add(&events, &c.sink);
	event_emit(&events, &ev);
	assert_in_range(ev.time_ns / 1000000000, now, now + 10);
}

static void flow_ids_begin_at_one(void **state)
{
	struct events events;

	(void)state;
	events_init(&events);
	assert_int_equal(event_flow_id(&events), 1);
	assert_int_equal(event_flow_id(&events), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sink_sees_every_event),
		cmocka_unit_test(every_kind_has_a_name_of_its_own),
		cmocka_unit_test(every_reason_and_mode_has_a_name_of_its_own),
		cmocka_unit_test(an_event_has_its_time),
		cmocka_unit_test(flow_ids_begin_at_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
