/*
 * Theory of operation
 *
 * The child's bytes never go upstream and an upstream's never to the child. A query is taken
 * apart into struct msg_question, from which both the upstream query and every answer are
 * written; what the struct can't hold is not passed on. So a policy that looks at the struct
 * has seen all that an upstream will, and two parsers can't understand a query differently.
 *
 * Strict is the form: one question, no compression, nothing behind it but one OPT. Lenient
 * are header bits that mean nothing in a query (AA, TC, RA, Z, rcode): resolvers ignore
 * them, and so do we, because they are not passed on. Names are compared in wire form, and
 * their labels may hold any octet (RFC 2181 11) but two: what a dot or NUL in a label means
 * differs from one program to the next, and rules are text. No class but IN leads to an
 * address; CH asks who the host's resolver is.
 */
#include "dns/msg.h"

#include <string.h>

#include "base/util.h"
#include "dns/octets.h"
#include "dns/writer.h"

#define EDNS_VERSION 0
#define QUERY_FLAGS (MSG_RD | MSG_AD | MSG_CD)

enum {
	TYPE_META_FIRST = 249, /* TKEY, TSIG, IXFR, AXFR, MAILB, MAILA */
	TYPE_META_LAST = 254,
	OPT_TTL_DO = 0x8000,
};

/* Each option is code, length, data (RFC 6891 6.1.2); they must fill the data exactly. */
static bool options_fit(const uint8_t *data, size_t len)
{
	while (len) {
		size_t n;

		if (len < 4)
			return false;
		n = 4 + octets_u16(data + 2);
		if (n > len)
			return false;
		data += n;
		len -= n;
	}
	return true;
}

/* Reads the OPT record that fills the rest of the message (RFC 6891 6.1.2). */
static enum msg_verdict parse_opt(const uint8_t *opt, size_t len, struct msg_question *q)
{
	if (len < MSG_OPT || opt[0] || octets_u16(opt + 1) != MSG_TYPE_OPT ||
	    octets_u16(opt + 9) != len - MSG_OPT ||
	    !options_fit(opt + MSG_OPT, len - MSG_OPT))
		return MSG_ANSWER_FORMERR;
	q->edns = true;
	q->udp_size = octets_u16(opt + 3);
	q->dnssec_ok = octets_u16(opt + 7) & OPT_TTL_DO;
	return opt[6] == EDNS_VERSION ? MSG_PLAIN : MSG_ANSWER_BADVERS;
}

/* Whether text would show the name other than it is. */
static bool is_ambiguous(const struct name *n)
{
	for (size_t at = 0; n->b[at]; at += 1 + n->b[at])
		if (memchr(n->b + at + 1, '.', n->b[at]) ||
		    memchr(n->b + at + 1, '\0', n->b[at]))
			return true;
	return false;
}

/* Whether the question is of a kind that a resolver can be asked. */
static enum msg_verdict judge_question(const struct msg_question *q)
{
	if (q->type == 0 || q->type == MSG_TYPE_OPT)
		return MSG_ANSWER_FORMERR;
	if (q->type >= TYPE_META_FIRST && q->type <= TYPE_META_LAST)
		return MSG_ANSWER_NOTIMP;
	if (q->class != MSG_CLASS_IN)
		return MSG_ANSWER_NOTIMP;
	return is_ambiguous(&q->name) ? MSG_ANSWER_REFUSED : MSG_PLAIN;
}

enum msg_verdict msg_parse_query(const uint8_t *msg, size_t len, struct msg_question *q)
{
	size_t off = MSG_HEADER;
	enum msg_verdict v = MSG_PLAIN;
	uint16_t flags, extra;

	*q = (struct msg_question){ 0 };
	if (len < MSG_HEADER)
		return MSG_DROP;
	flags = octets_u16(msg + 2);
	if (flags & MSG_QR)
		return MSG_DROP;
	q->id = octets_u16(msg);
	q->flags = flags & (MSG_OPCODE_MASK | QUERY_FLAGS);
	if (flags & MSG_OPCODE_MASK)
		return MSG_ANSWER_NOTIMP;
	extra = octets_u16(msg + 10);
	if (octets_u16(msg + 4) != 1 || octets_u16(msg + 6) || octets_u16(msg + 8) ||
	    extra > 1)
		return MSG_ANSWER_FORMERR;
	if (!name_read_plain(msg, len, &off, &q->asked) || len - off < 4) {
		q->asked.len = 0;
		return MSG_ANSWER_FORMERR;
	}
	q->name = name_lower(&q->asked);
	q->type = octets_u16(msg + off);
	q->class = octets_u16(msg + off + 2);
	off += 4;
	if (extra)
		v = parse_opt(msg + off, len - off, q);
	else if (off != len)
		return MSG_ANSWER_FORMERR;
	return v == MSG_PLAIN ? judge_question(q) : v;
}

enum msg_rcode msg_verdict_rcode(enum msg_verdict v)
{
	static const enum msg_rcode rcodes[] = {
		[MSG_ANSWER_FORMERR] = MSG_FORMERR,
		[MSG_ANSWER_NOTIMP] = MSG_NOTIMP,
		[MSG_ANSWER_REFUSED] = MSG_REFUSED,
		[MSG_ANSWER_BADVERS] = MSG_BADVERS,
	};

	assert(v >= MSG_ANSWER_FORMERR && v < ARRAY_SIZE(rcodes));
	return rcodes[v];
}

size_t msg_udp_limit(const struct msg_question *q)
{
	if (!q->edns)
		return MSG_UDP_PLAIN;
	return MIN(MAX(q->udp_size, MSG_UDP_PLAIN), MSG_UDP_EDNS);
}

/* The n-th octet of the name as it is spelt upstream. */
static uint8_t cased_octet(const struct name *name, size_t n, uint64_t case_bits)
{
	uint8_t c = name->b[n];

	return name_is_letter(c) && case_bits >> (n % 64) & 1 ? c & ~0x20 : c;
}

size_t msg_build_query(const struct msg_question *q, uint16_t id, uint64_t case_bits,
		       bool edns, uint8_t out[static MSG_QUERY_MAX])
{
	uint8_t *b = octets_put_u16(out, id);

	b = octets_put_u16(b, q->flags & QUERY_FLAGS);
	b = octets_put_u16(b, 1);
	b = octets_put_u16(b, 0);
	b = octets_put_u16(b, 0);
	b = octets_put_u16(b, edns);
	for (size_t i = 0; i < q->name.len; i++)
		*b++ = cased_octet(&q->name, i, case_bits);
	b = octets_put_u16(b, q->type);
	b = octets_put_u16(b, q->class);
	if (edns) {
		*b++ = 0; /* the root */
		b = octets_put_u16(b, MSG_TYPE_OPT);
		b = octets_put_u16(b, MSG_UDP_EDNS);
		b = octets_put_u16(b, EDNS_VERSION);
		b = octets_put_u16(b, q->dnssec_ok ? OPT_TTL_DO : 0);
		b = octets_put_u16(b, 0);
	}
	return b - out;
}

enum msg_match msg_match_answer(const uint8_t *msg, size_t len,
				const struct msg_question *q, uint16_t id,
				uint64_t case_bits)
{
	const uint8_t *name = msg + MSG_HEADER;
	enum msg_match match = MSG_MATCH;

	if (len < MSG_HEADER + q->name.len + 4u || octets_u16(msg) != id ||
	    (octets_u16(msg + 2) & (MSG_QR | MSG_OPCODE_MASK)) != MSG_QR ||
	    octets_u16(msg + 4) != 1)
		return MSG_MISMATCH;
	for (size_t i = 0; i < q->name.len; i++) {
		if (ascii_lower(name[i]) != q->name.b[i])
			return MSG_MISMATCH;
		if (name[i] != cased_octet(&q->name, i, case_bits))
			match = MSG_MATCH_CASE;
	}
	if (octets_u16(name + q->name.len) != q->type ||
	    octets_u16(name + q->name.len + 2) != q->class)
		return MSG_MISMATCH;
	return match;
}

enum msg_rcode msg_header_rcode(const uint8_t *msg)
{
	return msg[3] & MSG_RCODE_MASK;
}

size_t msg_reply(const struct msg_question *q, enum msg_rcode rcode, int ede,
		 uint8_t *out, size_t max)
{
	struct writer w;

	writer_init(&w, q, MSG_RA, out, max);
	return writer_finish(&w, q, rcode, ede);
}

static bool is_asked_for(const struct msg_question *q, const struct addr *a)
{
	return q->type == MSG_TYPE_ANY ||
	       q->type == (addr_is_v4(a) ? MSG_TYPE_A : MSG_TYPE_AAAA);
}

size_t msg_reply_addrs(const struct msg_question *q, const struct addr *addrs, size_t n,
		       uint32_t ttl_s, uint8_t *out, size_t max)
{
	struct writer w;
	uint16_t count = 0;

	writer_init(&w, q, MSG_RA, out, max);
	for (size_t i = 0; i < n; i++) {
		bool v4 = addr_is_v4(&addrs[i]);
		size_t start = w.len, rdata;

		if (!is_asked_for(q, &addrs[i]))
			continue;
		rdata = writer_record(&w, &q->asked, v4 ? MSG_TYPE_A : MSG_TYPE_AAAA,
				      MSG_CLASS_IN, ttl_s);
		writer_octets(&w, addrs[i].b + (v4 ? 12 : 0), v4 ? 4 : 16);
		if (!writer_record_end(&w, rdata)) {
			writer_cut(&w, start);
			writer_set_flag(&w, MSG_TC);
			break;
		}
		writer_set_count(&w, 1, ++count);
	}
	return writer_finish(&w, q, MSG_NOERROR, MSG_NO_EDE);
}

size_t msg_reply_ptr(const struct msg_question *q, const struct name *target,
		     uint32_t ttl_s, uint8_t *out, size_t max)
{
	struct writer w;
	size_t start, rdata;

	writer_init(&w, q, MSG_RA, out, max);
	start = w.len;
	rdata = writer_record(&w, &q->asked, MSG_TYPE_PTR, MSG_CLASS_IN, ttl_s);
	writer_name_compressed(&w, target);
	if (writer_record_end(&w, rdata)) {
		writer_set_count(&w, 1, 1);
	} else {
		writer_cut(&w, start);
		writer_set_flag(&w, MSG_TC);
	}
	return writer_finish(&w, q, MSG_NOERROR, MSG_NO_EDE);
}
