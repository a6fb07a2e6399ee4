/* Datagrams of the child on their way to a proxy's relay, and back: whose they are. */
#include "flow/udp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

#define RELAYS_MAX 8

struct relay {
	const struct relay_up *up;
	void *ctx;
	bool closed;
	int sends;
	struct relay_peer to; /* of the last datagram */
	char name[256], data[64];
};

static struct {
	uv_loop_t loop;
	struct policy policy;
	struct guard guard;
	struct events events;
	struct event_sink sink;
	struct poller poller;
	struct pool *pool;
	struct relayer relayer;
	struct dialers dialers;
	struct sessions *table;
	struct dgram_port port;
	/* what the fakes saw */
	struct relay relays[RELAYS_MAX];
	int opens, send_err;
	bool full;
	int sends, errors, refuses, refuse_err, port_closes;
	struct endpoint from, error_about;
	char got[64];
	int starts, ends, no_datagrams;
	struct event last;
} t;

/* --- fakes --- */

static struct relay *re_open(struct relayer *r, const struct relay_up *up, void *ctx)
{
	struct relay *relay = &t.relays[t.opens];

	(void)r;
	if (t.full)
		return NULL;
	assert_true(t.opens < RELAYS_MAX);
	t.opens++;
	*relay = (struct relay){ .up = up, .ctx = ctx };
	return relay;
}

static int re_send(struct relay *r, const struct relay_peer *to, const void *data,
		   size_t len)
{
	assert_false(r->closed);
	r->sends++;
	r->to = *to;
	snprintf(r->name, sizeof(r->name), "%s", to->name ? to->name : "");
	snprintf(r->data, sizeof(r->data), "%.*s", (int)len, (const char *)data);
	return -t.send_err;
}

static bool re_endpoints(struct relay *r, struct endpoint *local, struct endpoint *peer)
{
	(void)r;
	(void)local;
	(void)peer;
	return false;
}

static void re_close(struct relay *r)
{
	assert_false(r->closed);
	r->closed = true;
}

static const struct relayer_ops re_ops = { re_open, re_send, re_endpoints, re_close };

static int po_send(struct dgram_port *p, const struct endpoint *from,
		   const struct iovec *iov, int n)
{
	(void)p;
	assert_int_equal(n, 1);
	t.sends++;
	t.from = *from;
	snprintf(t.got, sizeof(t.got), "%.*s", (int)iov->iov_len, (char *)iov->iov_base);
	return 0;
}

static void po_refuse(struct dgram_port *p, int err, uint32_t mtu)
{
	(void)p;
	(void)mtu;
	t.refuses++;
	t.refuse_err = err;
}

static void po_error(struct dgram_port *p, const struct dgram *d, const void *data,
		     size_t n, const struct neterror *e)
{
	(void)p;
	(void)data;
	assert_int_equal(n, 0);
	assert_int_equal(e->err, ECONNREFUSED);
	t.errors++;
	t.error_about = d->to;
}

static void po_close(struct dgram_port *p)
{
	p->owner = NULL;
	t.port_closes++;
}

static const struct dgram_port_ops po_ops = { po_send, po_refuse, po_error, po_close };

static void on_event(struct event_sink *sink, const struct event *ev)
{
	(void)sink;
	t.starts += ev->kind == EVENT_FLOW_START;
	t.ends += ev->kind == EVENT_FLOW_END;
	t.last = *ev;
}

static void on_no_datagrams(void *ctx, enum route route, const char *why)
{
	struct policy *policy = ctx;

	(void)why;
	t.no_datagrams++;
	policy->udp_routes &= ~(1ull << route);
}

/* --- the world --- */

static struct endpoint at(const char *text, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_true(addr_parse(text, &e.addr));
	return e;
}

static void child_sends(const char *to, uint16_t port, const char *text)
{
	struct dgram d = { .to = at(to, port), .data = text, .len = strlen(text) };

	sessions_dgram(t.table, &t.port, &d);
}

static void proxy_sends(int relay, const char *name, const char *addr, uint16_t port,
			const char *text)
{
	struct relay *r = &t.relays[relay];
	struct relay_peer from = { name, at(addr, port) };

	r->up->on_datagram(r->ctx, &from, text, strlen(text));
}

static void assert_came(const char *from, uint16_t port, const char *text)
{
	struct endpoint e = at(from, port);

	assert_true(endpoint_eq(&t.from, &e));
	assert_string_equal(t.got, text);
}

static void name(const char *text, const char *addr)
{
	struct pool_addrs got;
	struct endpoint e = at(addr, 0);

	assert_true(pool_give(t.pool, text, &got));
	assert_true(addr_eq(&got.v4, &e.addr));
}

static int setup(void **state)
{
	struct pool_range v4 = { at("198.18.0.0", 0).addr, 96 + 15 };
	struct pool_range v6 = { at("fdcf::", 0).addr, 64 };
	struct sessions_deps deps = { .loop = &t.loop,
				      .guard = &t.guard,
				      .poller = &t.poller,
				      .dialers = &t.dialers,
				      .no_datagrams = on_no_datagrams,
				      .ctx = &t.policy,
				      .capacity = 1 };

	(void)state;
	memset(&t, 0, sizeof(t));
	uv_loop_init(&t.loop);
	assert_int_equal(poller_init(&t.poller, &t.loop), 0);
	events_init(&t.events);
	t.sink.on_event = on_event;
	event_sink_add(&t.events, &t.sink);
	t.pool = pool_new(&v4, &v6, 1);
	t.policy.proxy = true;
	t.policy.udp_routes = 1 << ROUTE_PROXY;
	t.guard = (struct guard){
		.policy = &t.policy, .events = &t.events, .pool = t.pool, .loop = &t.loop
	};
	t.relayer.ops = &re_ops;
	t.dialers.relayers[ROUTE_PROXY] = &t.relayer;
	t.port.ops = &po_ops;
	t.port.child = at("10.240.0.2", 5000);
	t.table = sessions_new(&deps);
	assert_non_null(t.table);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sessions_close(t.table);
	for (int i = 0; i < t.opens; i++)
		assert_true(t.relays[i].closed);
	assert_int_equal(t.starts, t.ends);
	poller_close(&t.poller);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	sessions_free(t.table);
	pool_free(t.pool);
	assert_int_equal(uv_loop_close(&t.loop), 0);
	return 0;
}

/* --- tests --- */

static void one_relay_for_all_addresses(void **state)
{
	(void)state;
	child_sends("192.0.2.1", 123, "a");
	child_sends("192.0.2.2", 123, "b");
	child_sends("192.0.2.1", 123, "c");
	assert_int_equal(t.opens, 1);
	assert_int_equal(t.relays[0].sends, 3);
	assert_string_equal(t.relays[0].data, "c");
	assert_null(t.relays[0].to.name);
	assert_int_equal(t.starts, 2);
	assert_true(t.last.via_proxy);
	proxy_sends(0, NULL, "192.0.2.2", 123, "from b");
	assert_came("192.0.2.2", 123, "from b");
	proxy_sends(0, NULL, "192.0.2.1", 123, "from a");
	assert_came("192.0.2.1", 123, "from a");
	/* Whom the child has not written to. */
	proxy_sends(0, NULL, "192.0.2.3", 123, "x");
	proxy_sends(0, NULL, "192.0.2.1", 124, "x");
	proxy_sends(0, "a.example", "0.0.0.0", 123, "x");
	assert_int_equal(t.sends, 2);
}

static void names_have_answers_of_their_own(void **state)
{
	(void)state;
	name("a.example", "198.18.0.1");
	name("b.example", "198.18.0.2");
	child_sends("198.18.0.1", 123, "a");
	assert_string_equal(t.relays[0].name, "a.example");
	assert_int_equal(t.relays[0].to.at.port, 123);
	assert_string_equal(t.last.name, "a.example");
	child_sends("198.18.0.1", 124, "a4"); /* another port: no doubt who answers */
	child_sends("192.0.2.7", 123, "addr");
	assert_int_equal(t.opens, 1);
	child_sends("198.18.0.2", 123, "b");
	assert_int_equal(t.opens, 2);
	assert_string_equal(t.relays[1].name, "b.example");
	/* By what the proxy has resolved them to, or by name. */
	proxy_sends(0, NULL, "203.0.113.9", 123, "1");
	assert_came("198.18.0.1", 123, "1");
	proxy_sends(0, NULL, "203.0.113.9", 124, "2");
	assert_came("198.18.0.1", 124, "2");
	proxy_sends(1, NULL, "203.0.113.9", 123, "3");
	assert_came("198.18.0.2", 123, "3");
	proxy_sends(1, "b.example", "0.0.0.0", 123, "4");
	assert_came("198.18.0.2", 123, "4");
	proxy_sends(0, NULL, "192.0.2.7", 123, "5");
	assert_came("192.0.2.7", 123, "5");
	assert_int_equal(t.sends, 5);
	/* A name of the other relay; a synthetic address isn't the proxy's to use. */
	proxy_sends(0, "b.example", "0.0.0.0", 123, "x");
	proxy_sends(1, NULL, "192.0.2.7", 124, "x");
	assert_int_equal(t.sends, 5);
	proxy_sends(1, NULL, "198.18.0.1", 123, "6");
	assert_came("198.18.0.2", 123, "6");
}

/* Held as long as the flow, so that an answer doesn't come from somebody else. */
static void a_flow_holds_its_name(void **state)
{
	struct pool_addrs got;
	char text[32];

	(void)state;
	name("a.example", "198.18.0.1");
	child_sends("198.18.0.1", 123, "a");
	for (size_t i = 0; i < pool_capacity(t.pool); i++) {
		sprintf(text, "n%zu.example", i);
		pool_give(t.pool, text, &got);
	}
	child_sends("198.18.0.1", 123, "again");
	assert_string_equal(t.relays[0].name, "a.example");
}

static void lost_and_opened_anew(void **state)
{
	struct relay *r = &t.relays[0];

	(void)state;
	child_sends("192.0.2.1", 123, "a");
	child_sends("192.0.2.2", 123, "b");
	r->up->on_gone(r->ctx, false, "it is gone");
	assert_true(r->closed);
	assert_int_equal(t.errors, 2);
	assert_int_equal(t.error_about.port, 123);
	assert_int_equal(t.ends, 0);
	child_sends("192.0.2.1", 123, "c");
	assert_int_equal(t.opens, 2);
	assert_string_equal(t.relays[1].data, "c");
	assert_int_equal(t.starts, 2);
	proxy_sends(1, NULL, "192.0.2.1", 123, "d");
	assert_came("192.0.2.1", 123, "d");
	/* The other one has not written since. */
	proxy_sends(1, NULL, "192.0.2.2", 123, "x");
	assert_int_equal(t.sends, 1);
}

static void a_proxy_that_carries_none(void **state)
{
	struct relay *r = &t.relays[0];

	(void)state;
	child_sends("192.0.2.1", 123, "a");
	child_sends("192.0.2.2", 123, "b");
	r->up->on_gone(r->ctx, true, "it carries no datagrams");
	assert_int_equal(t.no_datagrams, 1);
	assert_int_equal(t.errors, 2);
	assert_int_equal(t.ends, 2);
	assert_int_equal(t.port_closes, 1);
	/* Judged anew: refused. */
	child_sends("192.0.2.1", 123, "a");
	assert_int_equal(t.opens, 1);
	assert_int_equal(t.refuses, 1);
	assert_int_equal(t.refuse_err, EACCES);
	assert_int_equal(t.last.policy_violation.verdict->reason, REASON_NOT_PROXIED);
}

static void what_cannot_be_sent(void **state)
{
	(void)state;
	t.full = true;
	child_sends("192.0.2.1", 123, "a");
	assert_int_equal(t.refuse_err, EACCES);
	assert_int_equal(t.port_closes, 1);
	t.full = false;
	t.send_err = EMSGSIZE;
	child_sends("192.0.2.1", 123, "a");
	assert_int_equal(t.refuse_err, EMSGSIZE);
	t.send_err = EHOSTUNREACH;
	child_sends("192.0.2.1", 123, "a");
	assert_int_equal(t.refuse_err, EHOSTUNREACH);
	assert_int_equal(t.starts, 0);
	/* An open flow goes on after it. */
	t.send_err = 0;
	child_sends("192.0.2.1", 123, "a");
	t.send_err = EMSGSIZE;
	child_sends("192.0.2.1", 123, "a");
	assert_int_equal(t.starts, 1);
	assert_int_equal(t.ends, 0);
	assert_int_equal(t.refuses, 4);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_relay_for_all_addresses), CASE(names_have_answers_of_their_own),
		CASE(a_flow_holds_its_name),	   CASE(lost_and_opened_anew),
		CASE(a_proxy_that_carries_none),   CASE(what_cannot_be_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
