/* What a user reads of refusals, from a pipe in stderr's place. */
#include "event/notice.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "event/counters.h"

static struct {
	struct events events;
	struct notice_sink notice;
	int saved, pipe[2];
	char text[16384];
} t;

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	events_init(&t.events);
	notice_sink_init(&t.notice);
	event_sink_add(&t.events, &t.notice.sink);
	assert_int_equal(pipe2(t.pipe, O_NONBLOCK | O_CLOEXEC), 0);
	t.saved = dup(STDERR_FILENO);
	dup2(t.pipe[1], STDERR_FILENO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dup2(t.saved, STDERR_FILENO);
	close(t.saved);
	close(t.pipe[0]);
	close(t.pipe[1]);
	return 0;
}

static void violate(const char *addr, uint16_t port)
{
	struct target target = { .protocol = IPPROTO_TCP, .to.port = port };
	struct verdict verdict = { .reason = REASON_DEFAULT_DENY };
	struct event ev = {
		.kind = EVENT_POLICY_VIOLATION,
		.policy_violation = { .target = &target, .verdict = &verdict },
	};

	assert_true(addr_parse(addr, &target.to.addr));
	event_emit(&t.events, &ev);
}

static const char *said(void)
{
	ssize_t n = read(t.pipe[0], t.text, sizeof(t.text) - 1);

	t.text[n < 0 ? 0 : n] = '\0';
	return t.text;
}

#define LINE(what)                                                  \
	"childflow: warning: blocked tcp " what " (default-deny): " \
	"--allow-cidr " what " would allow it\n"

static void each_is_told_once(void **state)
{
	(void)state;
	violate("192.0.2.1", 80);
	violate("192.0.2.1", 80);
	violate("192.0.2.1", 81);
	violate("192.0.2.1", 80);
	assert_string_equal(said(), LINE("192.0.2.1:80") LINE("192.0.2.1:81"));
}

static void after_twenty_one_line_tells_of_the_rest(void **state)
{
	size_t lines = 0;
	const char *text;

	(void)state;
	for (int i = 0; i < 3 * NOTICE_LINES_MAX; i++)
		violate("192.0.2.1", 1000 + i);
	text = said();
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, NOTICE_LINES_MAX + 1);
	assert_non_null(strstr(text, "more was blocked; --summary"));
	violate("192.0.2.2", 1);
	assert_string_equal(said(), "");
}

static void what_was_let_pass_says_so(void **state)
{
	struct target target = { .dns_question = true, .name = "a.test" };
	struct verdict verdict = { .reason = REASON_OFFLINE };
	struct event ev = {
		.kind = EVENT_POLICY_VIOLATION,
		.policy_violation = { .target = &target,
				      .verdict = &verdict,
				      .audit = true },
	};

	(void)state;
	event_emit(&t.events, &ev);
	assert_string_equal(said(),
			    "childflow: warning: audit: would have blocked dns a.test "
			    "(offline): --offline forbids it\n");
}

static void an_answer_that_was_kept_back(void **state)
{
	struct target target = { .dns_question = true, .name = "a.test" };
	struct verdict verdict = { .reason = REASON_PRIVATE };
	struct addr addr;
	struct event ev = {
		.kind = EVENT_POLICY_VIOLATION,
		.policy_violation = { .target = &target,
				      .verdict = &verdict,
				      .stripped = &addr },
	};

	(void)state;
	assert_true(addr_parse("10.1.2.3", &addr));
	event_emit(&t.events, &ev);
	assert_string_equal(said(),
			    "childflow: warning: blocked dns a.test (private): its "
			    "answer 10.1.2.3 was kept back\n");
}

static void a_name_can_do_nothing_to_a_terminal(void **state)
{
	struct target target = { .dns_question = true, .name = "a.test" };
	struct verdict verdict = { .reason = REASON_OFFLINE };
	struct event ev = {
		.kind = EVENT_POLICY_VIOLATION,
		.policy_violation = { .target = &target,
				      .verdict = &verdict,
				      .alias = "\033[2Jb.test\n" },
	};

	(void)state;
	event_emit(&t.events, &ev);
	assert_null(strchr(said(), '\033'));
	assert_ptr_equal(strchr(t.text, '\n'), t.text + strlen(t.text) - 1);
}

static void other_events_are_no_news(void **state)
{
	(void)state;
	event_emit(&t.events, &(struct event){ .kind = EVENT_CONNECT_ATTEMPT });
	assert_string_equal(said(), "");
}

static void counters_count_each_kind(void **state)
{
	struct error err;
	struct counters *c = counters_new(&err);
	struct counter_sink sink;

	(void)state;
	assert_non_null(c);
	counter_sink_init(&sink, c);
	event_sink_add(&t.events, &sink.sink);
	event_emit(&t.events, &(struct event){ .kind = EVENT_CONNECT_ATTEMPT });
	violate("192.0.2.1", 80);
	violate("192.0.2.1", 80);
	assert_int_equal(c->events[EVENT_CONNECT_ATTEMPT], 1);
	assert_int_equal(c->events[EVENT_POLICY_VIOLATION], 2);
	assert_int_equal(c->events[EVENT_FLOW_END], 0);
	counters_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void fail_by_proxy(const char *error, bool via_proxy)
{
	struct event ev = { .kind = EVENT_CONNECT_RESULT,
			    .via_proxy = via_proxy,
			    .connect_result = { .err = 111, .error = error } };

	event_emit(&t.events, &ev);
}

static void proxies_failures_are_told_once(void **state)
{
	char line[30];

	(void)state;
	list_del(&t.notice.sink.node);
	notice_sink_init_proxies(&t.notice);
	event_sink_add(&t.events, &t.notice.sink);
	fail_by_proxy("proxy x: it is \x1b[1mill", true);
	fail_by_proxy("proxy x: it is \x1b[1mill", true);
	fail_by_proxy(NULL, true);
	fail_by_proxy("not by one", false);
	violate("203.0.113.9", 443);
	assert_string_equal(said(), "childflow: warning: proxy x: it is ?[1mill\n");
	for (int i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "proxy %d", i);
		fail_by_proxy(line, true);
	}
	assert_non_null(strstr(said(),
			       "proxy 18\nchildflow: warning: proxies have failed in "
			       "more ways; --summary or --flow-log tells all\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_is_told_once),
		T(after_twenty_one_line_tells_of_the_rest),
		T(what_was_let_pass_says_so),
		T(an_answer_that_was_kept_back),
		T(a_name_can_do_nothing_to_a_terminal),
		T(other_events_are_no_news),
		T(proxies_failures_are_told_once),
		T(counters_count_each_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
