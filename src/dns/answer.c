/*
 * Theory of operation
 *
 * An upstream's message is read record by record and written anew. Names are taken out of
 * their compression and compressed again, also those inside the data of the record types
 * that may hold compressed names; so no pointer of the upstream's reaches the child, and a
 * message that can't be understood whole is not passed on at all.
 *
 * Which types hold names is said by a table. RFC 3597 4 closes the list: a type that isn't
 * in it has data that mean the same wherever they stand, and they are copied. Only the types
 * of RFC 1035 are compressed when written.
 *
 * In the answer section a record must belong to the name that was asked, or to one that its
 * CNAMEs lead to in the order in which they stand (stub resolvers read them so): what an
 * upstream volunteers about other names is none of the child's business, and names must not
 * be learned from it.
 *
 * What the child must not have is kept back on the way (struct answer_gate), so there is no
 * second parser that could see another message. Addresses stand in A and AAAA records of all
 * sections and in the hints of service bindings. What is left no longer carries AD: it isn't
 * what was signed. Names are learned from the message that has been written, which is the one
 * the child sees.
 *
 * Cost is linear in the message: hostile answers of 64 KiB take some milliseconds.
 */
#include "dns/answer.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "dns/octets.h"
#include "dns/svcb.h"
#include "dns/writer.h"

#define RECORD_FIXED 10 /* type, class, TTL, data length: RFC 1035 3.2.1 */
#define CHAIN_MAX 17	/* the name asked and 16 aliases, as resolvers follow them */

/*
 * The data of the types that hold names: a digit is so many octets, 'N' a name that may be
 * compressed, 'n' one that is written whole, 's' a string with its length in front, '*' the
 * rest. Class 0 is any.
 */
static const struct layout {
	uint16_t type, class;
	const char *data;
} layouts[] = {
	{ MSG_TYPE_A, MSG_CLASS_IN, "4" },     /* RFC 1035 3.4.1 */
	{ MSG_TYPE_A, MSG_CLASS_CH, "n2" },    /* Chaosnet: domain and address */
	{ 2, 0, "N" },			       /* NS, RFC 1035 3.3.11 */
	{ 3, 0, "N" },			       /* MD, 3.3.4 */
	{ 4, 0, "N" },			       /* MF, 3.3.5 */
	{ MSG_TYPE_CNAME, 0, "N" },	       /* 3.3.1 */
	{ MSG_TYPE_SOA, 0, "NN992" },	       /* 3.3.13 */
	{ 7, 0, "N" },			       /* MB, 3.3.3 */
	{ 8, 0, "N" },			       /* MG, 3.3.6 */
	{ 9, 0, "N" },			       /* MR, 3.3.8 */
	{ MSG_TYPE_PTR, 0, "N" },	       /* 3.3.12 */
	{ 14, 0, "NN" },		       /* MINFO, 3.3.7 */
	{ 15, 0, "2N" },		       /* MX, 3.3.9 */
	{ 17, 0, "nn" },		       /* RP, RFC 1183 2.2 */
	{ 18, 0, "2n" },		       /* AFSDB, 1 */
	{ 21, 0, "2n" },		       /* RT, 3.3 */
	{ 24, 0, "99n*" },		       /* SIG, RFC 2535 4.1 */
	{ 26, 0, "2nn" },		       /* PX, RFC 2163 4 */
	{ MSG_TYPE_AAAA, MSG_CLASS_IN, "88" }, /* RFC 3596 2.2 */
	{ 30, 0, "n*" },		       /* NXT, RFC 2535 5.2 */
	{ 33, 0, "6n" },		       /* SRV, RFC 2782 */
	{ 35, 0, "4sssn" },		       /* NAPTR, RFC 3403 4.1 */
	{ 36, 0, "2n" },		       /* KX, RFC 2230 3.1 */
	{ MSG_TYPE_DNAME, 0, "n" },	       /* RFC 6672 2.1 */
	{ MSG_TYPE_RRSIG, 0, "99n*" },	       /* RFC 4034 3.1 */
	{ MSG_TYPE_NSEC, 0, "n*" },	       /* RFC 4034 4.1 */
};

void answer_walk_init(struct answer_walk *w, const uint8_t *msg, size_t len)
{
	struct name question;

	*w = (struct answer_walk){ .msg = msg, .len = len, .off = MSG_HEADER };
	if (len < MSG_HEADER || octets_u16(msg + 4) != 1 ||
	    !name_read_plain(msg, len, &w->off, &question) || len - w->off < 4) {
		w->malformed = true;
		return;
	}
	w->off += 4;
	for (int i = 0; i < ANSWER_SECTIONS; i++)
		w->left[i] = octets_u16(msg + 6 + 2 * i);
}

bool answer_walk_next(struct answer_walk *w, struct answer_record *r)
{
	const uint8_t *fixed;
	int section = 0;

	while (section < ANSWER_SECTIONS && !w->left[section])
		section++;
	if (w->malformed || section == ANSWER_SECTIONS)
		return false;
	w->malformed = true;
	if (!name_read(w->msg, w->len, &w->off, &r->owner) ||
	    w->len - w->off < RECORD_FIXED)
		return false;
	fixed = w->msg + w->off;
	r->section = section;
	r->type = octets_u16(fixed);
	r->class = octets_u16(fixed + 2);
	r->ttl_s = octets_u32(fixed + 4);
	r->rdata_len = octets_u16(fixed + 8);
	r->rdata = w->off + RECORD_FIXED;
	if (r->rdata_len > w->len - r->rdata)
		return false;
	w->off = r->rdata + r->rdata_len;
	w->left[section]--;
	w->malformed = false;
	return true;
}

bool answer_address(const struct answer_walk *w, const struct answer_record *r,
		    struct addr *out)
{
	if (r->class != MSG_CLASS_IN)
		return false;
	if (r->type == MSG_TYPE_A && r->rdata_len == 4)
		*out = addr_from_v4(w->msg + r->rdata);
	else if (r->type == MSG_TYPE_AAAA && r->rdata_len == 16)
		*out = addr_from_v6(w->msg + r->rdata);
	else
		return false;
	return true;
}

bool answer_cname(const struct answer_walk *w, const struct answer_record *r,
		  struct name *out)
{
	size_t off = r->rdata, end = r->rdata + r->rdata_len;

	return r->type == MSG_TYPE_CNAME && name_read(w->msg, end, &off, out) &&
	       off == end;
}

bool answer_lacks_opt(const uint8_t *msg, size_t len)
{
	struct answer_walk w;
	struct answer_record r;

	answer_walk_init(&w, msg, len);
	while (answer_walk_next(&w, &r))
		if (r.type == MSG_TYPE_OPT)
			return false;
	return !w.malformed;
}

/* The name asked for and where its CNAMEs lead. */
struct chain {
	struct name names[CHAIN_MAX];
	uint32_t ttl_s[CHAIN_MAX]; /* of the aliases up to it, the least */
	int count;
};

static void chain_follow(struct chain *c, const struct msg_question *q,
			 const uint8_t *msg, size_t len)
{
	struct answer_walk w;
	struct answer_record r;

	c->names[0] = q->name;
	c->ttl_s[0] = UINT32_MAX;
	c->count = 1;
	answer_walk_init(&w, msg, len);
	while (c->count < CHAIN_MAX && answer_walk_next(&w, &r) &&
	       r.section == ANSWER_ANSWER)
		if (name_eq(&r.owner, &c->names[c->count - 1]) &&
		    answer_cname(&w, &r, &c->names[c->count])) {
			c->ttl_s[c->count] = MIN(c->ttl_s[c->count - 1], r.ttl_s);
			c->count++;
		}
}

static bool chain_owns(const struct chain *c, const struct answer_record *r)
{
	/* A DNAME stands above the names that it redirects, and so does its signature. */
	bool above = r->type == MSG_TYPE_DNAME || r->type == MSG_TYPE_RRSIG;

	for (int i = 0; i < c->count; i++)
		if (name_eq(&r->owner, &c->names[i]) ||
		    (above && name_is_below(&c->names[i], &r->owner)))
			return true;
	return false;
}

static const char *layout_of(const struct answer_record *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (layouts[i].type == r->type &&
		    (!layouts[i].class || layouts[i].class == r->class))
			return layouts[i].data;
	return "*";
}

/* Copies one part of a record's data. False when it reaches beyond `end`. */
static bool copy_part(struct writer *out, char part, const uint8_t *msg, size_t *off,
		      size_t end)
{
	struct name name;
	size_t n;

	if (part == 'N' || part == 'n') {
		if (!name_read(msg, end, off, &name))
			return false;
		(part == 'N' ? writer_name_compressed : writer_name)(out, &name);
		return true;
	}
	if (part == '*')
		n = end - *off;
	else if (part == 's')
		n = *off < end ? 1 + msg[*off] : 1;
	else
		n = part - '0';
	if (n > end - *off)
		return false;
	writer_octets(out, msg + *off, n);
	*off += n;
	return true;
}

/* Writes one record. False when it is malformed; one that doesn't fit leaves `out` full. */
static bool copy_record(struct writer *out, const struct answer_walk *w,
			const struct answer_record *r)
{
	size_t off = r->rdata, end = r->rdata + r->rdata_len;
	size_t rdata = writer_record(out, &r->owner, r->type, r->class, r->ttl_s);

	for (const char *part = layout_of(r); *part; part++)
		if (!copy_part(out, *part, w->msg, &off, end))
			return false;
	if (!writer_record_end(out, rdata))
		out->full = true;
	return off == end;
}

/* The record set being written, so that a part of one can be taken back. */
struct set {
	struct name owner;
	uint16_t type;
	size_t start;	  /* where it begins in the message */
	uint16_t counted; /* records of the section before it */
};

static void set_enter(struct set *s, const struct answer_record *r, size_t start,
		      uint16_t count)
{
	if (count && s->type == r->type && name_eq(&s->owner, &r->owner))
		return;
	*s = (struct set){
		.owner = r->owner, .type = r->type, .start = start, .counted = count
	};
}

/*
 * A record didn't fit. What was written of answer and authority stays and TC tells of the
 * rest (RFC 2181 9). An additional set is left out whole, and silently, unless it is the glue
 * of a referral (RFC 9471 2).
 */
static void give_up(struct writer *out, enum answer_section section,
		    const struct set *set, size_t start,
		    uint16_t counts[static ANSWER_SECTIONS])
{
	bool extra = section == ANSWER_ADDITIONAL;

	writer_cut(out, extra ? set->start : start);
	if (extra)
		counts[section] = set->counted;
	if (!extra || !counts[ANSWER_ANSWER])
		writer_set_flag(out, MSG_TC);
}

/* What an upstream's OPT says and the child should know. */
struct opt {
	unsigned rcode_upper; /* the rcode's upper eight bits, RFC 6891 6.1.3 */
	int ede;	      /* the first Extended DNS Error, without its text */
};

static void read_opt(struct opt *opt, const struct answer_walk *w,
		     const struct answer_record *r)
{
	const uint8_t *at = w->msg + r->rdata;
	size_t left = r->rdata_len;

	opt->rcode_upper = r->ttl_s >> 24;
	while (left >= 4) {
		size_t n = octets_u16(at + 2);

		if (n > left - 4)
			return;
		if (octets_u16(at) == MSG_OPTION_EDE && n >= 2) {
			opt->ede = octets_u16(at + 4);
			return;
		}
		at += 4 + n;
		left -= 4 + n;
	}
}

/* One answer being written. */
struct copy {
	struct writer out;
	const struct answer_gate *gate; /* or NULL */
	struct chain chain;
	struct opt opt;
	uint16_t counts[ANSWER_SECTIONS];
	bool any_stripped;
	bool address_given, address_kept_back; /* in the answer section */
};

/* Whether the gate lets the name asked for be an alias of all that it leads to. */
static bool chain_passes(const struct copy *c)
{
	const struct answer_gate *gate = c->gate;

	if (!gate || !gate->follows)
		return true;
	for (int i = 1; i < c->chain.count; i++) {
		if (gate->follows(gate->ctx, &c->chain.names[i]))
			continue;
		if (gate->stripped)
			gate->stripped(gate->ctx, NULL, &c->chain.names[i]);
		return false;
	}
	return true;
}

/* An empty answer's authority section: how long it holds, and its proof (RFC 2308 3, RFC 4035
 * 3.1.3). */
static bool proves_absence(const struct answer_record *r)
{
	return r->section == ANSWER_AUTHORITY &&
	       (r->type == MSG_TYPE_SOA || r->type == MSG_TYPE_NSEC ||
		r->type == MSG_TYPE_NSEC3 || r->type == MSG_TYPE_RRSIG);
}

static bool is_wanted(const struct copy *c, const struct answer_record *r)
{
	if (r->section == ANSWER_ANSWER)
		return chain_owns(&c->chain, r);
	return !c->gate || !c->gate->answers_only || proves_absence(r);
}

/* Whether the gate keeps the record back, as an address that the child must not have. */
static bool keep_back(struct copy *c, const struct answer_walk *w,
		      const struct answer_record *r)
{
	bool in_answer = r->section == ANSWER_ANSWER;
	struct addr addr;

	if (!c->gate || !c->gate->admits || !answer_address(w, r, &addr))
		return false;
	if (c->gate->admits(c->gate->ctx, &addr)) {
		c->address_given |= in_answer;
		return false;
	}
	if (c->gate->stripped)
		c->gate->stripped(c->gate->ctx, &addr, NULL);
	c->any_stripped = true;
	c->address_kept_back |= in_answer;
	return true;
}

static bool is_binding(const struct answer_record *r)
{
	return r->class == MSG_CLASS_IN &&
	       (r->type == MSG_TYPE_SVCB || r->type == MSG_TYPE_HTTPS);
}

enum copied {
	COPIED,
	COPIED_NOTHING, /* kept back */
	COPIED_MALFORMED,
};

static enum copied copy_binding(struct copy *c, const struct answer_walk *w,
				const struct answer_record *r)
{
	const uint8_t *data = w->msg + r->rdata;
	enum svcb_rest rest = svcb_judge(data, r->rdata_len, c->gate);
	size_t rdata;

	c->any_stripped |= rest == SVCB_LESS || rest == SVCB_NOTHING;
	if (rest == SVCB_MALFORMED)
		return COPIED_MALFORMED;
	if (rest == SVCB_NOTHING)
		return COPIED_NOTHING;
	rdata = writer_record(&c->out, &r->owner, r->type, r->class, r->ttl_s);
	svcb_write(&c->out, data, r->rdata_len, c->gate);
	if (!writer_record_end(&c->out, rdata))
		c->out.full = true;
	return COPIED;
}

static enum copied copy_passing(struct copy *c, const struct answer_walk *w,
				const struct answer_record *r)
{
	if (keep_back(c, w, r))
		return COPIED_NOTHING;
	if (c->gate && is_binding(r))
		return copy_binding(c, w, r);
	return copy_record(&c->out, w, r) ? COPIED : COPIED_MALFORMED;
}

/* Copies what the child may have. False when the message is malformed. */
static bool copy_records(struct copy *c, const uint8_t *msg, size_t len)
{
	struct set set = { .type = 0 };
	struct answer_walk w;
	struct answer_record r;
	bool full = false;

	answer_walk_init(&w, msg, len);
	while (answer_walk_next(&w, &r)) {
		size_t start = c->out.len;

		if (r.type == MSG_TYPE_OPT) {
			read_opt(&c->opt, &w, &r);
			continue;
		}
		if (full || !is_wanted(c, &r))
			continue;
		set_enter(&set, &r, start, c->counts[r.section]);
		switch (copy_passing(c, &w, &r)) {
		case COPIED_MALFORMED:
			return false;
		case COPIED_NOTHING:
			continue;
		case COPIED:
			break;
		}
		full = c->out.full;
		if (full)
			give_up(&c->out, r.section, &set, start, c->counts);
		else
			c->counts[r.section]++;
	}
	for (int i = 0; i < ANSWER_SECTIONS; i++)
		writer_set_count(&c->out, 1 + i, c->counts[i]);
	return !w.malformed;
}

ssize_t answer_reencode(const struct msg_question *q, const uint8_t *msg, size_t len,
			const struct answer_gate *gate, uint8_t *out, size_t max)
{
	struct copy c = { .gate = gate, .opt = { .ede = MSG_NO_EDE } };

	if (len < MSG_HEADER)
		return -EBADMSG;
	chain_follow(&c.chain, q, msg, len);
	writer_init(&c.out, q, octets_u16(msg + 2) & (MSG_AA | MSG_TC | MSG_RA | MSG_AD),
		    out, max);
	if (!copy_records(&c, msg, len))
		return -EBADMSG;
	if (!chain_passes(&c) || (c.address_kept_back && !c.address_given))
		return msg_reply(q, MSG_NOERROR, MSG_EDE_BLOCKED, out, max);
	if (c.any_stripped)
		writer_clear_flag(&c.out, MSG_AD);
	return writer_finish(&c.out, q, c.opt.rcode_upper << 4 | msg_header_rcode(msg),
			     c.opt.ede);
}

/* --- what was given --- */

struct giving {
	struct answer_found found;
	void (*fn)(void *ctx, const struct answer_found *found);
	void *ctx;
};

static void give(void *ctx, const struct addr *addr)
{
	struct giving *g = ctx;

	g->found.addr = *addr;
	g->fn(g->ctx, &g->found);
}

static bool is_whole(const uint8_t *msg, size_t len)
{
	struct answer_walk w;
	struct answer_record r;

	answer_walk_init(&w, msg, len);
	while (answer_walk_next(&w, &r))
		continue;
	return !w.malformed;
}

void answer_each_address(const struct msg_question *q, const uint8_t *msg, size_t len,
			 void (*fn)(void *ctx, const struct answer_found *found),
			 void *ctx)
{
	struct giving g = { .fn = fn, .ctx = ctx };
	struct chain chain;
	struct answer_walk w;
	struct answer_record r;
	struct addr addr;
	int i;

	if (!is_whole(msg, len))
		return;
	chain_follow(&chain, q, msg, len);
	answer_walk_init(&w, msg, len);
	while (answer_walk_next(&w, &r) && r.section == ANSWER_ANSWER) {
		if (r.type != q->type && q->type != MSG_TYPE_ANY)
			continue;
		for (i = 0; i < chain.count && !name_eq(&r.owner, &chain.names[i]); i++)
			continue;
		if (i == chain.count)
			continue;
		g.found.owner = &chain.names[i];
		g.found.ttl_s = MIN(chain.ttl_s[i], r.ttl_s);
		if (is_binding(&r))
			svcb_each_hint(msg + r.rdata, r.rdata_len, give, &g);
		else if (answer_address(&w, &r, &addr))
			give(&g, &addr);
	}
}
