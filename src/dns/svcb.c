#include "dns/svcb.h"

#include "base/util.h"
#include "dns/octets.h"

/* Keys of parameters, RFC 9460 14.3.2 and RFC 9848. */
enum {
	KEY_MANDATORY = 0,
	KEY_IPV4HINT = 4,
	KEY_ECH = 5,
	KEY_IPV6HINT = 6,
};

struct param {
	uint16_t key, len;
	const uint8_t *value;
};

/* A record's data, read parameter by parameter. */
struct svcb {
	const uint8_t *at, *end;
	int last_key;
	bool malformed;
};

static size_t hint_size(uint16_t key)
{
	return key == KEY_IPV4HINT ? 4 : key == KEY_IPV6HINT ? 16 : 0;
}

static struct addr hint(const struct param *p, size_t at)
{
	return p->key == KEY_IPV4HINT ? addr_from_v4(p->value + at) :
					addr_from_v6(p->value + at);
}

/* Priority and target stand in front. */
static bool svcb_open(struct svcb *s, const uint8_t *rdata, size_t len,
		      struct name *target)
{
	size_t off = 2;

	if (len < 2 || !name_read_plain(rdata, len, &off, target))
		return false;
	*s = (struct svcb){ .at = rdata + off, .end = rdata + len, .last_key = -1 };
	return true;
}

/* RFC 9460 2.2: keys in ascending order, none twice; 7.3: hints are whole and not empty. */
static bool svcb_next(struct svcb *s, struct param *p)
{
	size_t left = s->end - s->at, size;

	if (s->malformed || !left)
		return false;
	s->malformed = true;
	if (left < 4)
		return false;
	p->key = octets_u16(s->at);
	p->len = octets_u16(s->at + 2);
	p->value = s->at + 4;
	size = p->key == KEY_MANDATORY ? 2 : hint_size(p->key);
	if (p->len > left - 4 || p->key <= s->last_key ||
	    (size && (!p->len || p->len % size)))
		return false;
	s->last_key = p->key;
	s->at += 4 + p->len;
	s->malformed = false;
	return true;
}

static bool is_admitted(const struct answer_gate *gate, const struct addr *a)
{
	return !gate->admits || gate->admits(gate->ctx, a);
}

/* How many of its octets pass; tells the gate of addresses that don't. */
static size_t param_rest(const struct param *p, const struct answer_gate *gate)
{
	size_t size = hint_size(p->key), rest = 0;

	if (p->key == KEY_ECH && gate->hides_ech)
		return 0;
	if (!size)
		return p->len;
	for (size_t at = 0; at < p->len; at += size) {
		struct addr a = hint(p, at);

		if (is_admitted(gate, &a))
			rest += size;
		else if (gate->stripped)
			gate->stripped(gate->ctx, &a, NULL);
	}
	return rest;
}

static bool lists_key(const struct param *mandatory, uint16_t key)
{
	for (size_t at = 0; at < mandatory->len; at += 2)
		if (octets_u16(mandatory->value + at) == key)
			return true;
	return false;
}

enum svcb_rest svcb_judge(const uint8_t *rdata, size_t len,
			  const struct answer_gate *gate)
{
	struct param mandatory = { .len = 0 }, p;
	enum svcb_rest judged = SVCB_WHOLE;
	struct name target;
	struct svcb s;

	if (!svcb_open(&s, rdata, len, &target))
		return SVCB_MALFORMED;
	while (svcb_next(&s, &p)) {
		size_t rest = param_rest(&p, gate);

		if (p.key == KEY_MANDATORY)
			mandatory = p;
		if (rest == p.len)
			continue;
		/* A client must refuse a record that lacks what it calls mandatory (8). */
		if (!rest && lists_key(&mandatory, p.key))
			judged = SVCB_NOTHING;
		else if (judged == SVCB_WHOLE)
			judged = SVCB_LESS;
	}
	return s.malformed ? SVCB_MALFORMED : judged;
}

static void write_param(struct writer *out, const struct param *p, size_t octets,
			const struct answer_gate *gate)
{
	size_t size = hint_size(p->key);

	writer_u16(out, p->key);
	writer_u16(out, octets);
	if (octets == p->len) {
		writer_octets(out, p->value, p->len);
		return;
	}
	for (size_t at = 0; at < p->len; at += size) {
		struct addr a = hint(p, at);

		if (is_admitted(gate, &a))
			writer_octets(out, p->value + at, size);
	}
}

void svcb_write(struct writer *out, const uint8_t *rdata, size_t len,
		const struct answer_gate *gate)
{
	struct answer_gate quiet = *gate;
	struct name target;
	struct param p;
	struct svcb s;

	if (!svcb_open(&s, rdata, len, &target))
		return;
	quiet.stripped = NULL;
	writer_octets(out, rdata, 2);
	writer_name(out, &target);
	while (svcb_next(&s, &p)) {
		size_t rest = param_rest(&p, &quiet);

		if (rest || !p.len)
			write_param(out, &p, rest, gate);
	}
}

void svcb_each_hint(const uint8_t *rdata, size_t len,
		    void (*fn)(void *ctx, const struct addr *addr), void *ctx)
{
	struct name target;
	struct param p;
	struct svcb s, check;

	if (!svcb_open(&s, rdata, len, &target))
		return;
	check = s;
	while (svcb_next(&check, &p))
		continue;
	if (check.malformed)
		return;
	while (svcb_next(&s, &p))
		for (size_t at = 0, size = hint_size(p.key); size && at < p.len;
		     at += size) {
			struct addr a = hint(&p, at);

			fn(ctx, &a);
		}
}
