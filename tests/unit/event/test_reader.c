#include "event/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "event/talks.h"
#include "event/view.h"

struct world {
	struct tally tally;
	struct reader *reader;
	struct error err;
};

static struct world world(void)
{
	struct world w = { .reader = NULL };

	assert_int_equal(tally_init_with_talks(&w.tally), 0);
	return w;
}

static int feed(struct world *w, const char *lines)
{
	int ret;

	w->reader = reader_new(&w->tally, false);
	ret = reader_lines(w->reader, lines, strlen(lines), "log", &w->err);
	reader_free(w->reader);
	return ret;
}

static void fed(struct world *w, const char *lines)
{
	if (feed(w, lines))
		fail_msg("%s", w->err.text);
}

static void refused(const char *lines, const char *why)
{
	struct world w = world();

	assert_int_equal(feed(&w, lines), -1);
	assert_string_equal(w.err.text, why);
	tally_free(&w.tally);
}

#define QUERY(name) \
	"{\"event\":\"dns_query\",\"qname\":\"" name "\",\"protocol\":\"udp\"}\n"
#define ANSWER(name, ips) \
	"{\"event\":\"dns_answer\",\"qname\":\"" name "\",\"answer_ips\":[" ips "]}\n"
#define ATTEMPT(addr)                                                                 \
	"{\"event\":\"connect_attempt\",\"protocol\":\"tcp\",\"remote_addr\":\"" addr \
	"\"}\n"
#define IN_RUN(run, rest) "{\"run_id\":\"" run "\"," rest "}\n"

static void a_fault_has_its_place(void **state)
{
	(void)state;
	refused(QUERY("a") "\n" QUERY("b"), "log:2: the line is blank");
	refused(QUERY("a") QUERY("b") "  \r\n", "log:3: the line is blank");
	refused("{\"event\":1}\n", "log:1: no \"event\" in it");
	refused("{}\n", "log:1: no \"event\" in it");
	refused(QUERY("a") "[]\n", "log:2: not a JSON object: not an object");
	refused(QUERY("a") "{\"event\":\"dns_query\"",
		"log:2: not a JSON object: the object has no end");
	refused("{\"event\":\"x\"}{\"event\":\"x\"}\n",
		"log:1: not a JSON object: more than one object on a line");
}

static void all_is_counted(void **state)
{
	struct world w = world();
	struct tally *t = &w.tally;
	struct tally_name *name;

	(void)state;
	fed(&w, QUERY("a.test") QUERY("a.test") ANSWER("a.test", "\"192.0.2.1\",\"::1\"")
			ATTEMPT("192.0.2.1:80") "{\"event\":\"strange\"}");
	assert_int_equal(t->total, 5);
	assert_int_equal(t->events[EVENT_DNS_QUERY], 2);
	assert_int_equal(t->unknown, 1);
	assert_int_equal(t->direct, 1);
	name = table_row(&t->names, table_find(&t->names, "a.test", 6));
	assert_int_equal(name->queries, 2);
	assert_int_equal(name->answers, 1);
	assert_int_equal(table_count(&t->answers), 3);
	tally_free(t);
}

static void strings_with_escapes_are_kept_apart(void **state)
{
	struct world w = world();

	(void)state;
	fed(&w, "{\"event\":\"dns_\\u0061nswer\",\"qname\":\"\\u0061.test\","
		"\"answer_ips\":[\"192.0.2.\\u0031\",\"192.0.2.\\u0032\",3,[\"x\"]]}");
	assert_int_equal(w.tally.events[EVENT_DNS_ANSWER], 1);
	assert_true(table_find(&w.tally.names, "a.test", 6));
	assert_true(table_find(&w.tally.ips, "192.0.2.1", 9));
	assert_true(table_find(&w.tally.ips, "192.0.2.2", 9));
	assert_int_equal(table_count(&w.tally.ips), 3);
	tally_free(&w.tally);
}

static void fields_of_another_type_are_none(void **state)
{
	struct world w = world();

	(void)state;
	fed(&w, "{\"event\":\"connect_attempt\",\"remote_addr\":5,\"via_proxy\":\"yes\","
		"\"protocol\":{\"event\":\"flow_end\"},\"schema_version\":\"1\"}\n");
	assert_int_equal(w.tally.direct, 1);
	assert_int_equal(table_count(&w.tally.targets), 1);
	assert_int_equal(table_count(&w.tally.counts[COUNT_SCHEMAS]), 1);
	tally_free(&w.tally);
}

/* Names and targets belong together in one run, not across runs. */
static void runs_are_kept_apart(void **state)
{
	struct world w = world();
	struct view *v;

	(void)state;
	fed(&w, IN_RUN("one", "\"event\":\"dns_answer\",\"qname\":\"a.test\","
			      "\"answer_ips\":[\"192.0.2.1\"]")
			IN_RUN("two", "\"event\":\"dns_answer\",\"qname\":\"b.test\","
				      "\"answer_ips\":[\"192.0.2.1\"]")
				IN_RUN("two", "\"event\":\"connect_attempt\","
					      "\"remote_addr\":\"192.0.2.1:80\""));
	v = view_new(&w.tally);
	assert_int_equal(v->name_count, 2);
	assert_string_equal(v->names[0].name.s, "a.test");
	assert_int_equal(v->names[0].target_count, 0);
	assert_int_equal(v->names[1].target_count, 1);
	assert_int_equal(v->targets[0].names.count, 1);
	assert_string_equal(v->targets[0].names.items[0].s, "b.test");
	view_free(v);
	tally_free(&w.tally);
}

/* Two logs without a run_id are two runs, and one of them is no run of a log that has one. */
static void logs_without_a_run_are_one_each(void **state)
{
	struct world w = world();
	struct view *v;

	(void)state;
	fed(&w, ANSWER("a.test", "\"192.0.2.1\""));
	fed(&w, ATTEMPT("192.0.2.1:80"));
	v = view_new(&w.tally);
	assert_int_equal(v->names[0].target_count, 0);
	view_free(v);
	fed(&w, ANSWER("a.test", "\"192.0.2.1\"") ATTEMPT("192.0.2.1:80"));
	v = view_new(&w.tally);
	assert_int_equal(v->names[0].target_count, 1);
	assert_int_equal(v->names[0].targets[0].connects.attempts, 1);
	assert_int_equal(v->targets[0].connects.attempts, 2);
	view_free(v);
	tally_free(&w.tally);
}

#define FLOW(event, id, rest) \
	"{\"event\":\"" event "\",\"flow_id\":" id ",\"run_id\":\"r\"," rest "}\n"

static void flows_are_joined_by_their_id(void **state)
{
	struct world w = world();
	struct talks_link *talk;

	(void)state;
	fed(&w,
	    FLOW("connect_attempt", "1",
		 "\"remote_addr\":\"192.0.2.1:80\",\"protocol\":\"tcp\",\"ts_ms\":100,"
		 "\"names\":[\"old.test\",\"new.test\"]")
		    FLOW("connect_attempt", "2",
			 "\"remote_addr\":\"192.0.2.2:80\",\"protocol\":\"tcp\",\"ts_"
			 "ms\":110") FLOW("connect_result", "2",
					  "\"status\":\"error\",\"error\":\"x\"")
			    FLOW("connect_result", "1",
				 "\"status\":\"ok\",\"comm\":\"curl\"")
				    FLOW("flow_end", "1",
					 "\"bytes_up\":5,\"bytes_down\":7,"
					 "\"duration_ms\":30,\"ts_ms\":130"));
	tally_finish(&w.tally);
	assert_int_equal(w.tally.talks->ended, 2);
	assert_int_equal(table_count(&w.tally.talks->links), 3);
	talk = table_row(&w.tally.talks->links, 1);
	assert_int_equal(talk->up, 5);
	assert_int_equal(talk->down, 7);
	assert_int_equal(talk->errors, 0);
	assert_int_equal(talk->first_ms, 100);
	assert_true(talk->process);
	assert_string_equal(talks_text(w.tally.talks, talk->name).s, "new.test");
	talk = table_row(&w.tally.talks->links, 2);
	assert_int_equal(talk->errors, 1);
	assert_int_equal(table_count(&w.tally.talks->reaches), 3);
	tally_free(&w.tally);
}

/* More flows without an end than there are places; nothing is lost but their beginnings. */
static void many_flows_without_an_end(void **state)
{
	struct world w = world();
	const uint64_t n = TALKS_OPEN_MAX + 5000;
	char line[256];

	(void)state;
	w.reader = reader_new(&w.tally, false);
	for (uint64_t i = 0; i < 2 * n; i++) {
		bool begins = i < n;
		int len = snprintf(line, sizeof(line),
				   "{\"event\":\"%s\",\"flow_id\":%llu,\"run_id\":\"r\","
				   "\"remote_addr\":\"192.0.2.1:80\",\"bytes_up\":%d}\n",
				   begins ? "connect_attempt" : "flow_end",
				   (unsigned long long)(i % n), !begins);

		assert_int_equal(reader_lines(w.reader, line, len, "log", &w.err), 0);
		assert_true(w.tally.talks->open_count <= TALKS_OPEN_MAX);
	}
	tally_finish(&w.tally);
	assert_int_equal(w.tally.talks->ended, n);
	assert_int_equal(w.tally.talks->up, n);
	assert_int_equal(w.tally.talks->kept_count, TALKS_KEPT_MAX);
	reader_free(w.reader);
	tally_free(&w.tally);
}

static void the_timeline_keeps_what_moved_most(void **state)
{
	struct world w = world();
	const unsigned n = TALKS_KEPT_MAX + 100;
	char line[256];

	(void)state;
	w.reader = reader_new(&w.tally, false);
	for (unsigned i = 0; i < n; i++) {
		int len = snprintf(
			line, sizeof(line),
			"{\"event\":\"flow_end\",\"flow_id\":%u,\"run_id\":\"r\","
			"\"bytes_up\":%u}\n",
			i + 1, i * 7919 % n);

		assert_int_equal(reader_lines(w.reader, line, len, "log", &w.err), 0);
	}
	assert_int_equal(w.tally.talks->kept_count, TALKS_KEPT_MAX);
	for (unsigned i = 0; i < TALKS_KEPT_MAX; i++)
		assert_true(w.tally.talks->kept[i].up >= 100);
	reader_free(w.reader);
	tally_free(&w.tally);
}

static uint64_t any_id(uint64_t i)
{
	i = (i ^ i >> 15) * 0x2c1b3c6d;
	return (i ^ i >> 12) * 0x297a2d39 & INT64_MAX;
}

/* Their places collide: one that goes must not hide another. */
static void flows_of_any_number_are_found(void **state)
{
	struct world w = world();
	char line[256];

	(void)state;
	w.reader = reader_new(&w.tally, false);
	for (uint64_t i = 0; i < 80000; i++) {
		bool begins = i < 40000;
		int len = snprintf(
			line, sizeof(line),
			"{\"event\":\"%s\",\"flow_id\":%llu,\"run_id\":\"r\"}\n",
			begins ? "connect_attempt" : "flow_end",
			(unsigned long long)any_id(i % 40000 + 1));

		assert_int_equal(reader_lines(w.reader, line, len, "log", &w.err), 0);
	}
	assert_int_equal(w.tally.talks->open_count, 0);
	assert_int_equal(w.tally.talks->ended, 40000);
	reader_free(w.reader);
	tally_free(&w.tally);
}

/* Chunks end within lines, and a line may be as long as the buffer. */
static void a_file_is_read_in_pieces(void **state)
{
	struct world w = world();
	size_t size = READER_LINE_MAX, lines = 30000;
	char *line = malloc(size + 2), path[] = "/tmp/childflow-reader-XXXXXX";
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "w+");

	(void)state;
	for (size_t i = 0; i < lines; i++)
		fprintf(out, QUERY("n%zu.test"), i);
	memset(line, ' ', size);
	memcpy(line, "{\"event\":\"x\"", 12);
	memcpy(line + size - 1, "}\n", 3);
	fputs(line, out);
	fputs("{\"event\":\"last\"}", out);
	fflush(out);
	w.reader = reader_new(&w.tally, false);
	assert_int_equal(reader_file(w.reader, path, &w.err), 0);
	assert_int_equal(w.tally.total, lines + 2);
	fputs(line, out);
	fseek(out, -2, SEEK_END);
	fputs(" }\n", out);
	fflush(out);
	assert_int_equal(reader_file(w.reader, path, &w.err), -1);
	assert_non_null(strstr(w.err.text, ":30002: "));
	reader_free(w.reader);
	fclose(out);
	unlink(path);
	free(line);
	tally_free(&w.tally);
}

/* A line whose end isn't there yet waits for it. */
static void a_log_is_read_while_it_grows(void **state)
{
	struct world w = world();
	FILE *log = tmpfile();
	int fd = dup(fileno(log));

	(void)state;
	w.reader = reader_new(&w.tally, false);
	reader_begin(w.reader, "log");
	assert_int_equal(reader_some(w.reader, fd, 1, &w.err), 0);
	dprintf(fd, "%s", QUERY("a.test") "{\"event\":\"dns_");
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(reader_some(w.reader, fd, 1, &w.err), 1);
	assert_int_equal(reader_some(w.reader, fd, 1, &w.err), 0);
	assert_int_equal(w.tally.total, 1);
	assert_int_equal(pwrite(fd, "query\"}\n{}", 10, lseek(fd, 0, SEEK_CUR)), 10);
	assert_int_equal(reader_some(w.reader, fd, SIZE_MAX, &w.err), 0);
	assert_int_equal(w.tally.events[EVENT_DNS_QUERY], 2);
	assert_int_equal(reader_end(w.reader, &w.err), -1);
	assert_string_equal(w.err.text, "log:3: no \"event\" in it");
	assert_int_equal(reader_end(w.reader, &w.err), 0);
	reader_free(w.reader);
	tally_free(&w.tally);
	close(fd);
	fclose(log);
}

static void a_line_has_a_longest(void **state)
{
	struct world w = world();
	char path[] = "/tmp/childflow-reader-XXXXXX", expected[128];
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "w");

	(void)state;
	fputs("{\"event\":\"x\"}\n", out);
	for (size_t i = 0; i <= READER_LINE_MAX; i++)
		fputc(' ', out);
	fclose(out);
	w.reader = reader_new(&w.tally, false);
	assert_int_equal(reader_file(w.reader, path, &w.err), -1);
	snprintf(expected, sizeof(expected),
		 "%s:2: the line is longer than 1048576 bytes", path);
	assert_string_equal(w.err.text, expected);
	reader_free(w.reader);
	unlink(path);
	assert_int_equal(access(path, F_OK), -1);
	tally_free(&w.tally);
}

static void a_missing_file_has_a_sentence(void **state)
{
	struct world w = world();

	(void)state;
	w.reader = reader_new(&w.tally, false);
	assert_int_equal(reader_file(w.reader, "/nonexistent", &w.err), -1);
	assert_string_equal(w.err.text, "open /nonexistent: No such file or directory");
	reader_free(w.reader);
	tally_free(&w.tally);
}

static void activity_finds_its_bins(void **state)
{
	static const uint64_t times[] = { 1000000, 1000005, 1009999, 500, 90000000, 1 };
	struct world w = world();
	struct activity *a = &w.tally.talks->activity;
	uint64_t sum = 0;
	char line[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		snprintf(line, sizeof(line), "{\"event\":\"dns_query\",\"ts_ms\":%llu}\n",
			 (unsigned long long)times[i]);
		fed(&w, line);
	}
	for (size_t i = 0; i < ACTIVITY_BINS; i++)
		sum += a->bins[i].queries;
	assert_int_equal(sum, ARRAY_SIZE(times));
	assert_int_equal(a->first_ms, 1);
	assert_int_equal(a->last_ms, 90000000);
	assert_true(a->start_ms <= 1);
	assert_true(a->start_ms + a->bin_ms * ACTIVITY_BINS > 90000000);
	tally_free(&w.tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_has_its_place),
		cmocka_unit_test(all_is_counted),
		cmocka_unit_test(strings_with_escapes_are_kept_apart),
		cmocka_unit_test(fields_of_another_type_are_none),
		cmocka_unit_test(runs_are_kept_apart),
		cmocka_unit_test(logs_without_a_run_are_one_each),
		cmocka_unit_test(flows_are_joined_by_their_id),
		cmocka_unit_test(many_flows_without_an_end),
		cmocka_unit_test(the_timeline_keeps_what_moved_most),
		cmocka_unit_test(flows_of_any_number_are_found),
		cmocka_unit_test(a_file_is_read_in_pieces),
		cmocka_unit_test(a_log_is_read_while_it_grows),
		cmocka_unit_test(a_line_has_a_longest),
		cmocka_unit_test(a_missing_file_has_a_sentence),
		cmocka_unit_test(activity_finds_its_bins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
