/* Every kind of event as its line, to the letter: readers elsewhere rely on it. */
#include "event/flowlog.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"

static struct {
	struct counters counters;
	struct logfile file;
	struct flowlog log;
	char line[8192];
} t;

static int setup(void **state)
{
	struct error err;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_true(fd >= 0);
	assert_int_equal(logfile_take(&t.file, fd, &t.counters, &err), 0);
	close(fd);
	return flowlog_init(&t.log, &t.file, "run", &err);
}

static int teardown(void **state)
{
	(void)state;
	flowlog_free(&t.log);
	logfile_close(&t.file);
	return 0;
}

/* The line that the event makes. */
static const char *written(struct event ev)
{
	off_t before = lseek(t.file.fd, 0, SEEK_END);
	ssize_t n;

	ev.time_ns = UINT64_C(1700000000123456789);
	t.log.sink.on_event(&t.log.sink, &ev);
	n = pread(t.file.fd, t.line, sizeof(t.line) - 1, before);
	assert_true(n > 0);
	t.line[n] = '\0';
	return t.line;
}

#define HEAD(event)                                                              \
	"{\"schema_version\":1,\"ts_ms\":1700000000123,\"event\":\"" event "\"," \
	"\"run_id\":\"run\","
#define NOBODY "\"pid\":null,\"comm\":null,\"exe\":null"

static struct endpoint at(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_true(addr_parse(addr, &e.addr));
	return e;
}

static void an_attempt(void **state)
{
	static const char *const names[] = { "a.example", "b.example" };
	const struct process curl = { 42, "curl", "/usr/bin/curl" };

	(void)state;
	assert_string_equal(
		written((struct event){ .kind = EVENT_CONNECT_ATTEMPT,
					.flow_id = 7,
					.protocol = IPPROTO_TCP,
					.child = at("10.0.0.2", 4000),
					.remote = at("192.0.2.7", 80),
					.names = names,
					.name_count = 2,
					.process = &curl }),
		HEAD("connect_attempt") "\"flow_id\":7,\"protocol\":\"tcp\","
					"\"remote_addr\":\"192.0.2.7:80\","
					"\"remote_ip\":\"192.0.2.7\",\"remote_port\":80,"
					"\"names\":[\"a.example\",\"b.example\"],"
					"\"child_addr\":\"10.0.0.2:4000\","
					"\"via_proxy\":false,\"pid\":42,\"comm\":"
					"\"curl\","
					"\"exe\":\"/usr/bin/curl\"}\n");
}

static void a_result(void **state)
{
	(void)state;
	assert_string_equal(
		written((struct event){
			.kind = EVENT_CONNECT_RESULT,
			.flow_id = 7,
			.protocol = IPPROTO_TCP,
			.child = at("fd00::2", 4000),
			.remote = at("2001:db8::7", 443),
			.name = "syn.example",
			.via_proxy = true,
			.connect_result = { .err = ECONNREFUSED,
					    .local = at("2001:db8::1", 5000),
					    .peer = at("2001:db8::9", 3128) } }),
		HEAD("connect_result") "\"flow_id\":7,\"protocol\":\"tcp\","
				       "\"remote_addr\":\"[2001:db8::7]:443\","
				       "\"remote_ip\":\"2001:db8::7\","
				       "\"remote_port\":443,\"name\":\"syn.example\","
				       "\"names\":[],\"child_addr\":\"[fd00::2]:4000\","
				       "\"via_proxy\":true," NOBODY
				       ",\"status\":\"error\","
				       "\"error\":\"Connection refused\",\"errno\":111,"
				       "\"host_addr\":\"[2001:db8::1]:5000\","
				       "\"peer_addr\":\"[2001:db8::9]:3128\"}\n");
}

static void a_flow_of_echoes(void **state)
{
	(void)state;
	assert_string_equal(
		written((struct event){ .kind = EVENT_FLOW_END,
					.flow_id = 9,
					.protocol = IPPROTO_ICMPV6,
					.child = at("fd00::2", 77),
					.remote = at("2001:db8::7", 0),
					.flow_end = { .bytes_up = 56,
						      .packets_up = 1,
						      .duration_ms = 5,
						      .reason = CLOSE_IDLE } }),
		HEAD("flow_end") "\"flow_id\":9,\"protocol\":\"icmpv6\","
				 "\"remote_addr\":\"2001:db8::7\","
				 "\"remote_ip\":\"2001:db8::7\",\"remote_port\":null,"
				 "\"names\":[],\"child_addr\":\"fd00::2\","
				 "\"via_proxy\":false," NOBODY
				 ",\"bytes_up\":56,\"bytes_down\":0,\"packets_up\":1,"
				 "\"packets_down\":0,\"duration_ms\":5,"
				 "\"close_reason\":\"idle\",\"error\":null}\n");
}

static void a_question_and_its_answer(void **state)
{
	struct addr addrs[] = { at("192.0.2.1", 0).addr, at("2001:db8::1", 0).addr };
	struct event ev = { .kind = EVENT_DNS_QUERY,
			    .protocol = IPPROTO_UDP,
			    .child = at("10.0.0.2", 4000),
			    .dns = { .name = "WWW.Example.",
				     .type = 28,
				     .server = at("2001:db8::53", 53) } };

	(void)state;
#define QUESTION                                                            \
	"\"protocol\":\"udp\",\"server\":\"[2001:db8::53]:53\","            \
	"\"server_ip\":\"2001:db8::53\",\"server_port\":53,"                \
	"\"qname\":\"www.example\",\"qtype\":\"AAAA\",\"qtype_number\":28," \
	"\"child_addr\":\"10.0.0.2:4000\"," NOBODY
	assert_string_equal(written(ev), HEAD("dns_query") QUESTION "}\n");
	ev.kind = EVENT_DNS_ANSWER;
	ev.dns.bytes = 100;
	ev.dns.ede = -1;
	ev.dns.addrs = addrs;
	ev.dns.addr_count = 2;
	assert_string_equal(written(ev), HEAD("dns_answer") QUESTION
			    ",\"mode\":\"relayed\",\"bytes\":100,\"rcode\":0,"
			    "\"answer_ips\":[\"192.0.2.1\",\"2001:db8::1\"]}\n");
}

static void names_that_are_none(void **state)
{
	struct event ev = { .kind = EVENT_DNS_QUERY,
			    .protocol = IPPROTO_TCP,
			    .dns = { .name = ".", .type = 2 } };

	(void)state;
	assert_non_null(strstr(written(ev), "\"qname\":null,\"qtype\":\"other\""));
	ev.dns.name = NULL;
	assert_non_null(strstr(written(ev), "\"qname\":null,\"qtype\":\"unknown\""));
	assert_non_null(strstr(t.line, "\"protocol\":\"tcp\""));
}

static void a_violation_by_an_address(void **state)
{
	struct rule rule = { .kind = RULE_CIDR, .text = (char *)"192.0.2.0/24" };
	struct target target = { .protocol = IPPROTO_TCP, .to = at("192.0.2.7", 80) };
	struct verdict v = { .reason = REASON_DENY_CIDR,
			     .list = POLICY_DENY_CIDR,
			     .rule = &rule };
	struct event ev = { .kind = EVENT_POLICY_VIOLATION,
			    .protocol = IPPROTO_TCP,
			    .remote = target.to,
			    .policy_violation = { .target = &target, .verdict = &v } };

	(void)state;
	written(ev);
	assert_non_null(strstr(t.line,
			       "\"protocol\":\"tcp\",\"remote\":\"192.0.2.7:80\","
			       "\"remote_ip\":\"192.0.2.7\",\"remote_port\":80,"));
	assert_non_null(strstr(t.line,
			       "\"action\":\"deny\",\"reason_code\":\"deny_cidr\","
			       "\"control\":\"--deny-cidr\","
			       "\"matched_cidr\":\"192.0.2.0/24\","
			       "\"matched_domain\":null,"
			       "\"reason\":\"blocked by `--deny-cidr 192.0.2.0/24`\","));
	ev.policy_violation.audit = true;
	assert_non_null(strstr(written(ev), "\"action\":\"audit\""));
}

static void a_violation_by_a_name(void **state)
{
	struct rule rule = { .kind = RULE_DOMAIN, .text = (char *)"blocked.test" };
	struct target target = { .protocol = IPPROTO_UDP,
				 .to = at("10.0.0.1", 53),
				 .name = "API.blocked.test",
				 .dns_question = true };
	struct verdict v = { .reason = REASON_DENY_DOMAIN,
			     .list = POLICY_DENY_DOMAIN,
			     .rule = &rule };

	(void)state;
	written((struct event){
		.kind = EVENT_POLICY_VIOLATION,
		.protocol = IPPROTO_UDP,
		.remote = target.to,
		.policy_violation = { .target = &target, .verdict = &v } });
	assert_non_null(strstr(t.line,
			       "\"protocol\":\"dns\",\"remote\":\"api.blocked.test\","
			       "\"remote_ip\":null,\"remote_port\":null,"));
	assert_non_null(strstr(t.line, "\"matched_cidr\":null,"
				       "\"matched_domain\":\"blocked.test\","));
}

/* Reason by reason: what the documented controls are, and that none lacks one. */
static void every_reason_has_a_control(void **state)
{
	static const char *const known[REASON_COUNT] = {
		[REASON_OFFLINE] = "--offline",
		[REASON_METADATA] = "--block-metadata",
		[REASON_PRIVATE] = "--block-private",
		[REASON_PROXY_ONLY] = "--proxy-only",
		[REASON_DEFAULT_DENY] = "--default-policy",
		[REASON_MARTIAN] = "built-in",
	};
	struct target target = { .protocol = IPPROTO_TCP, .to = at("192.0.2.7", 80) };

	(void)state;
	for (int k = 0; k < REASON_COUNT; k++) {
		struct verdict v = { .reason = k };
		char expected[64];

		written((struct event){
			.kind = EVENT_POLICY_VIOLATION,
			.protocol = IPPROTO_TCP,
			.remote = target.to,
			.policy_violation = { .target = &target, .verdict = &v } });
		assert_non_null(strstr(t.line, "\"control\":\""));
		snprintf(expected, sizeof(expected), "\"control\":\"%s\"",
			 known[k] ? known[k] : "");
		if (known[k])
			assert_non_null(strstr(t.line, expected));
	}
	assert_null(strstr(t.line, "deny`"));
}

static void a_failure_and_the_end(void **state)
{
	uint64_t events[EVENT_COUNT] = { [EVENT_FLOW_END] = 3 };

	(void)state;
	assert_string_equal(
		written((struct event){
			.kind = EVENT_RUNTIME_FAILURE,
			.runtime_failure = { .phase = "preflight",
					     .reason_code = "x",
					     .detail = "it \"broke\"" } }),
		HEAD("runtime_failure") "\"phase\":\"preflight\",\"reason_code\":\"x\","
					"\"detail\":\"it \\\"broke\\\"\"}\n");
	written((struct event){
		.kind = EVENT_RUN_END,
		.run_end = { .exit_code = 7, .events = events, .lost_records = 2 } });
	assert_non_null(strstr(t.line, "\"exit_code\":7,\"events\":{\"run_start\":0,"));
	assert_non_null(strstr(t.line, "\"flow_end\":3"));
	assert_non_null(strstr(t.line, "\"lost_records\":2}"));
}

static void bytes_that_are_no_text(void **state)
{
	const struct process odd = { 1, "\xff", "/x\xfe" };
	const char *const command[] = { "echo", "a\xff", NULL }, *const none[] = { NULL };

	(void)state;
	written((struct event){
		.kind = EVENT_FLOW_START, .protocol = IPPROTO_UDP, .process = &odd });
	assert_non_null(strstr(t.line, "\"comm\":\"\xef\xbf\xbd\",\"comm_b64\":\"/w==\","
				       "\"exe\":\"/x\xef\xbf\xbd\","
				       "\"exe_b64\":\"L3j+\""));
	written((struct event){
		.kind = EVENT_RUN_START,
		.run_start = { .command = command, .hidden_sockets = none } });
	assert_non_null(strstr(t.line, "\"command\":[\"echo\",\"a\xef\xbf\xbd\"],"
				       "\"command_words\":[{\"word\":\"echo\"},"
				       "{\"word\":\"a\xef\xbf\xbd\","
				       "\"word_b64\":\"Yf8=\"}]"));
	assert_non_null(strstr(t.line, "\"policy\":null,\"policy_sha256\":null,"
				       "\"hidden_sockets\":[]}"));
}

static void every_kind_is_one_line(void **state)
{
	struct target target = { .protocol = IPPROTO_TCP };
	struct verdict v = { .reason = REASON_OFFLINE };

	(void)state;
	for (int k = 0; k < EVENT_COUNT; k++) {
		struct event ev = { .kind = k };

		if (k == EVENT_POLICY_VIOLATION) {
			ev.policy_violation.target = &target;
			ev.policy_violation.verdict = &v;
		}
		written(ev);
		assert_ptr_equal(strchr(t.line, '\n'), t.line + strlen(t.line) - 1);
		assert_non_null(strstr(t.line, event_name(k)));
	}
	assert_int_equal(t.counters.lost_records, 0);
}

int main(void)
{
#define WITH_LOG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_LOG(an_attempt),
		WITH_LOG(a_result),
		WITH_LOG(a_flow_of_echoes),
		WITH_LOG(a_question_and_its_answer),
		WITH_LOG(names_that_are_none),
		WITH_LOG(a_violation_by_an_address),
		WITH_LOG(a_violation_by_a_name),
		WITH_LOG(every_reason_has_a_control),
		WITH_LOG(a_failure_and_the_end),
		WITH_LOG(bytes_that_are_no_text),
		WITH_LOG(every_kind_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
