/*
 * What the DNS service asks, what it answers without asking, and what it learns. Upstream is a
 * server in the test's own loop that counts; the rules are fakes.
 */
#include "flow/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "dns/answer.h"
#include "dns/octets.h"
#include "dns/writer.h"
#include "tests/unit/dns/queries.h"
#include "tests/unit/dns/world.h"

static struct {
	struct world *w;
	struct events events;
	struct nameserver_deps deps;
	struct nameserver *svc;
	struct endpoint ours, other;
	/* what was answered */
	int answers;
	uint8_t answer[MSG_MAX];
	size_t len;
	char told[256];
} t;

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

/* --- the world --- */

/* What each name, or what it is an alias of, has. */
static const struct {
	const char *name, *addrs[4], *alias;
} zone[] = {
	{ "public.example", { "93.184.216.34" }, NULL },
	{ "private.example", { "10.0.0.1" }, NULL },
	{ "loop.example", { "127.0.0.1", "224.0.0.1" }, NULL },
	{ "mixed.example", { "10.0.0.1", "93.184.216.34", "127.0.0.1" }, NULL },
	{ "www.example", { "93.184.216.35" }, "cdn.test" },
	{ "inside.example", { "10.0.0.2" }, "cdn.test" },
	{ "inner.example", { "10.0.0.3" }, "private.example" },
	{ "ads.example", { "93.184.216.36" }, "X.Denied.Test" },
};

static size_t write_answer(const struct upstream_query *query, size_t row, uint8_t *out)
{
	struct msg_question q = query->q;
	struct name owner = q.asked;
	struct writer w;
	uint16_t count = 0;
	size_t rdata;

	writer_init(&w, &q, MSG_RA, out, MSG_UDP_EDNS);
	if (zone[row].alias) {
		rdata = writer_record(&w, &owner, MSG_TYPE_CNAME, MSG_CLASS_IN, 300);
		assert_true(name_from_text(zone[row].alias, &owner));
		writer_name(&w, &owner);
		assert_true(writer_record_end(&w, rdata));
		count++;
	}
	for (int i = 0; zone[row].addrs[i]; i++) {
		struct addr a = addr_of(zone[row].addrs[i]);

		rdata = writer_record(&w, &owner, MSG_TYPE_A, MSG_CLASS_IN, 300);
		writer_octets(&w, a.b + 12, 4);
		assert_true(writer_record_end(&w, rdata));
		count++;
	}
	writer_set_count(&w, 1, count);
	return writer_finish(&w, &q, MSG_NOERROR, MSG_NO_EDE);
}

static size_t serve(struct upstream *u, const struct upstream_query *query, uint8_t *out)
{
	char name[NAME_TEXT_MAX];

	(void)u;
	name_to_text(&query->q.name, name);
	for (size_t i = 0; i < ARRAY_SIZE(zone); i++)
		if (!strcmp(zone[i].name, name))
			return write_answer(query, i, out);
	return msg_reply(&query->q, MSG_NXDOMAIN, MSG_NO_EDE, out, MSG_UDP_EDNS);
}

/* --- the rules --- */

static bool ends_with(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	return n >= d && !strcmp(name + n - d, domain);
}

static enum nameserver_standing standing(void *ctx, const char *name)
{
	(void)ctx;
	if (ends_with(name, "denied.test"))
		return NAMESERVER_DENIED;
	return ends_with(name, ".example") ? NAMESERVER_ALLOWED : NAMESERVER_UNNAMED;
}

static enum nameserver_class classify(void *ctx, const struct addr *a)
{
	(void)ctx;
	return a->b[12] == 10			  ? NAMESERVER_PRIVATE :
	       a->b[12] == 127 || a->b[12] == 224 ? NAMESERVER_NEVER :
						    NAMESERVER_PUBLIC;
}

static void on_refused(void *ctx, const struct nameserver_refused *r)
{
	static const char *const whys[] = { "offline", "denied", "unnamed", "address",
					    "alias" };
	char addr[ADDR_TEXT_MAX] = "", name[NAME_TEXT_MAX];

	(void)ctx;
	assert_true(r->who->child.port == 1234);
	if (r->addr)
		addr_format(r->addr, addr);
	snprintf(t.told + strlen(t.told), sizeof(t.told) - strlen(t.told), "%s%s %s%s%s",
		 *t.told ? ", " : "", whys[r->why], name_to_text(&r->q->name, name),
		 r->addr || r->alias ? " " : "", r->alias ? r->alias : addr);
}

/* --- asking --- */

static void on_answer(void *ctx, const uint8_t *answer, size_t len)
{
	(void)ctx;
	t.answers++;
	t.len = len;
	if (len)
		memcpy(t.answer, answer, len);
}

static void start(void)
{
	if (t.svc)
		nameserver_free(t.svc);
	t.svc = nameserver_new(&t.deps);
	assert_non_null(t.svc);
}

static void send_query(const struct endpoint *to, uint8_t protocol, const void *query,
		       size_t len)
{
	struct nameserver_client who = { .protocol = protocol,
					 .child = { addr_of("10.240.0.2"), 1234 },
					 .to = *to };
	struct nameserver_ask *ask;

	t.answers = 0;
	t.told[0] = '\0';
	ask = nameserver_ask(t.svc, &who, query, len, on_answer, NULL);
	assert_int_equal(t.answers, ask ? 0 : 1);
	if (ask)
		world_run_until(t.w, &t.answers);
}

static void ask_at(const struct endpoint *to, const char *name)
{
	struct msg_question q = world_question(name);
	uint8_t query[MSG_QUERY_MAX];
	size_t n = msg_build_query(&q, 0x1234, 0, true, query);

	send_query(to, IPPROTO_UDP, query, n);
	assert_int_equal(octets_u16(t.answer), 0x1234);
}

static void ask(const char *name)
{
	ask_at(&t.ours, name);
}

static unsigned asked_upstream(void)
{
	return t.w->up[0].udp_count + t.w->up[0].tcp_count + t.w->up[1].udp_count +
	       t.w->up[1].tcp_count;
}

/* The answer's rcode, error and addresses. */
static const char *answered(void)
{
	static char out[256];
	struct answer_walk w;
	struct answer_record r;
	struct addr a;
	char *to = out + sprintf(out, "%u", msg_header_rcode(t.answer));

	answer_walk_init(&w, t.answer, t.len);
	while (answer_walk_next(&w, &r)) {
		if (r.type == MSG_TYPE_OPT && r.rdata_len)
			to += sprintf(to, " ede %u", octets_u16(t.answer + r.rdata + 4));
		if (answer_address(&w, &r, &a)) {
			*to++ = ' ';
			addr_format(&a, to);
			to += strlen(to);
		}
	}
	assert_false(w.malformed);
	return out;
}

static bool knows(const char *name, const char *addr)
{
	struct addr a = addr_of(addr);

	return names_resolved(t.deps.names, &a, name, uv_now(&t.w->loop));
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.w = world_new(serve, serve);
	/* The second is a stranger's. */
	resolver_set_servers(t.w->r, &t.w->up[0].at, 1);
	t.ours = (struct endpoint){ addr_of("10.240.0.1"), 53 };
	t.other = t.w->up[1].at;
	events_init(&t.events);
	t.deps = (struct nameserver_deps){
		.loop = &t.w->loop,
		.events = &t.events,
		.resolver = t.w->r,
		.own = { t.ours.addr, t.ours.addr },
		.names = names_new(64, 1),
	};
	start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nameserver_close(t.svc);
	nameserver_free(t.svc);
	names_free(t.deps.names);
	world_free(t.w);
	return 0;
}

static void with_rules(struct nameserver_rules rules)
{
	rules.standing = standing;
	rules.classify = classify;
	rules.refused = on_refused;
	t.deps.rules = rules;
	start();
}

/* --- questions --- */

static void without_rules_everything_is_asked_and_given(void **state)
{
	(void)state;
	ask("mixed.example");
	assert_string_equal(answered(), "0 10.0.0.1 93.184.216.34 127.0.0.1");
	ask("ads.example");
	assert_string_equal(answered(), "0 93.184.216.36");
	assert_int_equal(asked_upstream(), 2);
}

static void a_denied_name_is_not_asked(void **state)
{
	(void)state;
	with_rules((struct nameserver_rules){ 0 });
	ask("Denied.Test");
	assert_string_equal(answered(), "0 ede 15");
	assert_string_equal(t.told, "denied denied.test");
	ask_at(&t.other, "denied.test");
	assert_string_equal(answered(), "0 ede 15");
	assert_int_equal(asked_upstream(), 0);
	ask("unnamed.test");
	assert_string_equal(answered(), "3");
	assert_int_equal(asked_upstream(), 1);
}

static void only_allowed_names_are_asked(void **state)
{
	(void)state;
	with_rules((struct nameserver_rules){ .only_allowed_asked = true });
	ask("unnamed.test");
	assert_string_equal(answered(), "0 ede 18");
	assert_string_equal(t.told, "unnamed unnamed.test");
	ask("denied.test");
	assert_string_equal(answered(), "0 ede 15");
	assert_int_equal(asked_upstream(), 0);
	ask("public.example");
	assert_string_equal(answered(), "0 93.184.216.34");
	assert_string_equal(t.told, "");
	/* An alias need not be allowed. */
	ask("www.example");
	assert_string_equal(answered(), "0 93.184.216.35");
}

static void offline_asks_nothing(void **state)
{
	(void)state;
	with_rules((struct nameserver_rules){ .offline = true });
	ask("public.example");
	assert_string_equal(answered(), "0 ede 18");
	assert_string_equal(t.told, "offline public.example");
	ask_at(&t.other, "public.example");
	assert_string_equal(t.told, "offline public.example");
	assert_int_equal(asked_upstream(), 0);
}

static void rules_come_before_the_hosts_file(void **state)
{
	static const char text[] = "1.2.3.4 denied.test\n1.2.3.4 fixed.test\n";
	struct hosts_bad bad;
	struct error err;
	struct hosts *hosts = hosts_parse(text, sizeof(text) - 1, &bad, &err);

	(void)state;
	assert_non_null(hosts);
	t.deps.hosts = hosts;
	with_rules((struct nameserver_rules){ 0 });
	ask("denied.test");
	assert_string_equal(answered(), "0 ede 15");
	ask("fixed.test");
	assert_string_equal(answered(), "0 1.2.3.4");
	assert_false(knows("fixed.test", "1.2.3.4"));
	assert_int_equal(asked_upstream(), 0);
	hosts_free(hosts);
}

static void odd_queries_are_not_asked(void **state)
{
	int odd = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP };
		const struct query *query = &queries[i];

		if (query->verdict == MSG_PLAIN)
			continue;
		odd++;
		for (size_t k = 0; k < ARRAY_SIZE(protocols); k++) {
			const struct endpoint *to = k ? &t.other : &t.ours;

			/* Answered at once: send_query() runs no loop, so nothing can leave. */
			send_query(to, protocols[k], query->msg, query->len);
			if (asked_upstream())
				fail_msg("%s: was asked upstream", query->what);
			if (query->verdict == MSG_DROP)
				assert_int_equal(t.len, 0);
			else if (msg_header_rcode(t.answer) !=
				 (msg_verdict_rcode(query->verdict) & 15))
				fail_msg("%s: rcode %u", query->what,
					 msg_header_rcode(t.answer));
		}
	}
	assert_true(odd >= 30);
	/* Whatever they have left in the loop: it was no question. */
	ask("public.example");
	assert_int_equal(asked_upstream(), 1);
}

/* --- answers --- */

static void addresses_that_nobody_may_have(void **state)
{
	(void)state;
	with_rules((struct nameserver_rules){ 0 });
	ask("loop.example");
	assert_string_equal(answered(), "0 ede 15");
	assert_string_equal(t.told, "address loop.example 127.0.0.1, "
				    "address loop.example 224.0.0.1");
	assert_false(knows("loop.example", "127.0.0.1"));
	ask("mixed.example");
	assert_string_equal(answered(), "0 10.0.0.1 93.184.216.34");
	/* Whoever was asked. */
	ask_at(&t.other, "loop.example");
	assert_string_equal(answered(), "0 ede 15");
}

static void private_addresses(void **state)
{
	(void)state;
	with_rules((struct nameserver_rules){ 0 });
	ask("private.example");
	assert_string_equal(answered(), "0 10.0.0.1");
	assert_true(knows("private.example", "10.0.0.1"));
	with_rules((struct nameserver_rules){ .strips_private = true });
	ask("inside.example");
	assert_string_equal(answered(), "0 ede 15");
	assert_string_equal(t.told, "address inside.example 10.0.0.2");
	assert_false(knows("inside.example", "10.0.0.2"));
}

static void an_alias_that_is_denied(void **state)
{
	(void)state;
	with_rules((struct nameserver_rules){ 0 });
	ask("ads.example");
	assert_string_equal(answered(), "0 ede 15");
	assert_string_equal(t.told, "alias ads.example X.Denied.Test");
	assert_false(knows("ads.example", "93.184.216.36"));
}

/* Told as if it were refused, and done all the same; but nobody is led to what is never his. */
static void audit_refuses_nothing(void **state)
{
	struct nameserver_rules rules = { .audit = true,
					  .only_allowed_asked = true,
					  .strips_private = true };

	(void)state;
	with_rules(rules);
	ask("denied.test");
	assert_string_equal(answered(), "3");
	assert_string_equal(t.told, "denied denied.test");
	ask("unnamed.test");
	assert_string_equal(answered(), "3");
	assert_string_equal(t.told, "unnamed unnamed.test");
	ask("ads.example");
	assert_string_equal(answered(), "0 93.184.216.36");
	assert_string_equal(t.told, "alias ads.example X.Denied.Test");
	ask("mixed.example");
	assert_string_equal(answered(), "0 10.0.0.1 93.184.216.34");
	assert_string_equal(t.told, "address mixed.example 10.0.0.1, "
				    "address mixed.example 127.0.0.1");
	assert_true(knows("mixed.example", "10.0.0.1"));
	assert_false(knows("mixed.example", "127.0.0.1"));
	rules.offline = true;
	with_rules(rules);
	ask("public.example");
	assert_string_equal(answered(), "0 93.184.216.34");
	assert_string_equal(t.told, "offline public.example");
}

/* --- names --- */

static void names_are_learned_for_the_name_that_was_asked(void **state)
{
	(void)state;
	ask("WWW.example");
	assert_true(knows("www.example", "93.184.216.35"));
	assert_false(knows("cdn.test", "93.184.216.35"));
	assert_int_equal(names_count(t.deps.names), 1);
}

static void a_server_that_the_child_chose_teaches_nothing(void **state)
{
	(void)state;
	ask_at(&t.other, "public.example");
	assert_string_equal(answered(), "0 93.184.216.34");
	assert_int_equal(t.w->up[1].udp_count, 1);
	assert_int_equal(names_count(t.deps.names), 0);
	/* Unless ours are asked in its place. */
	t.deps.ask_only_ours = true;
	start();
	ask_at(&t.other, "public.example");
	assert_int_equal(t.w->up[1].udp_count, 1);
	assert_true(knows("public.example", "93.184.216.34"));
}

static void a_strangers_alias_teaches_no_private_address(void **state)
{
	(void)state;
	with_rules((struct nameserver_rules){ .only_allowed_asked = true,
					      .only_allowed_private = true });
	ask("inside.example"); /* an alias of cdn.test */
	assert_string_equal(answered(), "0 10.0.0.2");
	assert_false(knows("inside.example", "10.0.0.2"));
	ask("inner.example"); /* one of private.example, which is allowed itself */
	assert_true(knows("inner.example", "10.0.0.3"));
	ask("private.example");
	assert_true(knows("private.example", "10.0.0.1"));
	ask("www.example");
	assert_true(knows("www.example", "93.184.216.35"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_rules_everything_is_asked_and_given),
		TEST(a_denied_name_is_not_asked),
		TEST(only_allowed_names_are_asked),
		TEST(offline_asks_nothing),
		TEST(rules_come_before_the_hosts_file),
		TEST(odd_queries_are_not_asked),
		TEST(addresses_that_nobody_may_have),
		TEST(private_addresses),
		TEST(an_alias_that_is_denied),
		TEST(audit_refuses_nothing),
		TEST(names_are_learned_for_the_name_that_was_asked),
		TEST(a_server_that_the_child_chose_teaches_nothing),
		TEST(a_strangers_alias_teaches_no_private_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
