/*
 * The two parsers of src/dns that read what others wrote. The first byte says which: even,
 * a child's query; odd, an upstream's answer. The second byte holds what the other side
 * would choose: EDNS, DO, a small or a large buffer, and what the gate keeps back. Names are
 * learned from each answer that is given.
 */
#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "dns/answer.h"
#include "dns/names.h"
#include "dns/octets.h"
#include "dns/svcb.h"
#include "fuzz.h"

static void check_well_formed(const uint8_t *msg, size_t len)
{
	struct answer_walk w;
	struct answer_record r;

	answer_walk_init(&w, msg, len);
	while (answer_walk_next(&w, &r))
		continue;
	CHECK(!w.malformed);
	CHECK(w.off == len);
}

static void check_name(const struct name *n)
{
	char text[NAME_TEXT_MAX];
	struct name again;

	CHECK(name_from_text(name_to_text(n, text), &again));
	CHECK(again.len == n->len && !memcmp(again.b, n->b, n->len));
}

static void check_query(const uint8_t *data, size_t size, uint8_t choice)
{
	struct msg_question q, again;
	enum msg_verdict v = msg_parse_query(data, size, &q);
	uint8_t query[MSG_QUERY_MAX], reply[MSG_UDP_PLAIN];
	uint64_t case_bits = choice * 0x0101010101010101u;
	size_t n;

	if (v == MSG_DROP)
		return;
	n = msg_reply(&q, v == MSG_PLAIN ? MSG_NOERROR : msg_verdict_rcode(v),
		      MSG_EDE_NETWORK_ERROR, reply, sizeof(reply));
	CHECK(n >= MSG_HEADER && octets_u16(reply) == octets_u16(data));
	if (q.asked.len) {
		check_well_formed(reply, n);
		check_name(&q.asked);
	}
	if (v != MSG_PLAIN)
		return;
	n = msg_build_query(&q, 1, case_bits, choice & 1, query);
	CHECK(msg_parse_query(query, n, &again) == MSG_PLAIN);
	CHECK(name_eq(&q.name, &again.name) && q.type == again.type &&
	      q.class == again.class && q.flags == again.flags &&
	      again.edns == (choice & 1));
	query[2] |= MSG_QR >> 8;
	CHECK(msg_match_answer(query, n, &q, 1, case_bits) == MSG_MATCH);
}

/* The first name in a record's data, where we know it; else no name. */
static struct name name_in(const struct answer_walk *w, const struct answer_record *r)
{
	size_t off = r->rdata;
	struct name n = { .len = 0 };

	if (r->type == 2 || r->type == MSG_TYPE_CNAME || r->type == MSG_TYPE_PTR ||
	    r->type == MSG_TYPE_DNAME || r->type == 47)
		CHECK(name_read(w->msg, w->len, &off, &n));
	return n;
}

static bool same_record(const struct answer_walk *w, const struct answer_record *r,
			const struct answer_walk *v, const struct answer_record *s)
{
	bool opaque = r->type == 16 || r->type > 47;
	struct name n, m;

	if (r->section != s->section || r->type != s->type || r->class != s->class ||
	    r->ttl_s != s->ttl_s || !name_eq(&r->owner, &s->owner))
		return false;
	if (opaque)
		return r->rdata_len == s->rdata_len &&
		       !memcmp(w->msg + r->rdata, v->msg + s->rdata, r->rdata_len);
	n = name_in(w, r);
	m = name_in(v, s);
	return name_eq(&n, &m);
}

/* Every record that we write is one of the upstream's, and in its order. */
static void check_content(const uint8_t *in, size_t in_len, const uint8_t *out,
			  size_t out_len)
{
	struct answer_walk w, v;
	struct answer_record r, s;

	answer_walk_init(&w, in, in_len);
	answer_walk_init(&v, out, out_len);
	while (answer_walk_next(&v, &s)) {
		if (s.type == MSG_TYPE_OPT)
			continue;
		do
			CHECK(answer_walk_next(&w, &r));
		while (!same_record(&w, &r, &v, &s));
	}
}

static bool admits(void *ctx, const struct addr *a)
{
	(void)ctx;
	return a->b[15] & 1;
}

static bool follows(void *ctx, const struct name *alias)
{
	(void)ctx;
	return alias->len != 7;
}

static void check_admitted(void *ctx, const struct addr *a)
{
	CHECK(admits(ctx, a));
}

static void learn(void *ctx, const struct answer_found *found)
{
	static uint64_t now_ms;
	const char *known[NAMES_PER_ADDRESS];
	char text[NAME_TEXT_MAX];
	size_t n;

	CHECK(admits(NULL, &found->addr));
	name_to_text(found->owner, text);
	now_ms += found->ttl_s;
	CHECK(names_learn(ctx, &found->addr, text, found->ttl_s, now_ms));
	CHECK(names_resolved(ctx, &found->addr, text, now_ms));
	n = names_of(ctx, &found->addr, now_ms, known);
	CHECK(n && n <= NAMES_PER_ADDRESS && !strcmp(known[n - 1], text));
	CHECK(names_count(ctx) <= 32);
}

static void check_gate(const struct msg_question *q, const uint8_t *data, size_t size,
		       uint8_t choice, size_t max)
{
	static uint8_t out[MSG_MAX], again[MSG_MAX];
	static struct names *names;
	struct answer_gate gate = { .admits = admits,
				    .follows = follows,
				    .hides_ech = choice & 8,
				    .answers_only = choice & 16 };
	ssize_t n = answer_reencode(q, data, size, &gate, out, max);
	struct answer_walk w;
	struct answer_record r;
	struct addr addr;

	if (n < 0)
		return;
	check_well_formed(out, n);
	answer_walk_init(&w, out, n);
	while (answer_walk_next(&w, &r)) {
		if (answer_address(&w, &r, &addr))
			CHECK(admits(NULL, &addr));
		if (r.class != MSG_CLASS_IN ||
		    (r.type != MSG_TYPE_SVCB && r.type != MSG_TYPE_HTTPS))
			continue;
		svcb_each_hint(out + r.rdata, r.rdata_len, check_admitted, NULL);
		CHECK(svcb_judge(out + r.rdata, r.rdata_len, &gate) == SVCB_WHOLE);
	}
	CHECK(answer_reencode(q, out, n, &gate, again, max) == n);
	CHECK(!memcmp(out, again, n));
	if (!names)
		names = names_new(32, 1);
	CHECK(names);
	answer_each_address(q, out, n, learn, names);
}

static void check_answer(const uint8_t *data, size_t size, uint8_t choice)
{
	static uint8_t out[MSG_MAX], again[MSG_MAX];
	size_t max = choice & 4 ? MSG_MAX : MSG_UDP_PLAIN, off = MSG_HEADER;
	struct msg_question q = { .edns = choice & 1, .dnssec_ok = choice & 2 };
	ssize_t n;

	/* The question is what the resolver would have compared with ours. */
	if (size < MSG_HEADER || !name_read_plain(data, size, &off, &q.asked) ||
	    size - off < 4)
		return;
	q.name = name_lower(&q.asked);
	q.type = octets_u16(data + off);
	q.class = octets_u16(data + off + 2);
	n = answer_reencode(&q, data, size, NULL, out, max);
	if (n < 0)
		return;
	CHECK((size_t)n <= max);
	check_well_formed(out, n);
	check_content(data, size, out, n);
	/* What we write needs no rewriting. */
	CHECK(answer_reencode(&q, out, n, NULL, again, max) == n);
	CHECK(!memcmp(out, again, n));
	check_gate(&q, data, size, choice, max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[0] & 1)
		check_answer(data + 2, size - 2, data[1]);
	else
		check_query(data + 2, size - 2, data[1]);
	return 0;
}
