#include "dns/writer.h"

#include <string.h>

#include "base/util.h"
#include "dns/octets.h"

#define POINTER 0xc000 /* RFC 1035 4.1.4; the offset has 14 bits */
#define OFFSET_MAX 0x3fff
#define EDE_OCTETS 6  /* option code, length, info code; no text */
#define OPT_DO 0x8000 /* RFC 3225 3, in the lower half of OPT's TTL */

void writer_octets(struct writer *w, const void *octets, size_t n)
{
	if (w->full || n > w->max - w->len) {
		w->full = true;
		return;
	}
	memcpy(w->b + w->len, octets, n);
	w->len += n;
}

void writer_u16(struct writer *w, uint16_t v)
{
	uint8_t b[2];

	octets_put_u16(b, v);
	writer_octets(w, b, sizeof(b));
}

void writer_u32(struct writer *w, uint32_t v)
{
	writer_u16(w, v >> 16);
	writer_u16(w, v & 0xffff);
}

void writer_name(struct writer *w, const struct name *n)
{
	writer_octets(w, n->b, n->len);
}

/* Where the last octets of n, from at on, already stand in the message; 0 for nowhere. The
 * name there may itself end in a pointer. */
static bool stands_at(const struct writer *w, size_t off, const struct name *n, size_t at)
{
	struct name found;

	return name_read(w->b, w->len, &off, &found) && found.len == n->len - at &&
	       name_is_below(n, &found);
}

/* FNV-1a over a name's octets, from the last label on, blind to case. */
static uint32_t hash_label(uint32_t hash, const uint8_t *label)
{
	for (int i = 0; i <= label[0]; i++)
		hash = (hash ^ ascii_lower(label[i])) * 16777619u;
	return hash;
}

/* Remembers where the labels of n stand that have just been written at `base`, unless
 * their slot is taken. */
static void remember(struct writer *w, size_t base, const uint8_t *labels, int n,
		     const uint32_t *hashes)
{
	for (int i = 0; i < n && base + labels[i] <= OFFSET_MAX; i++) {
		uint16_t *slot = &w->slots[hashes[i] % WRITER_SLOTS];

		if (!*slot)
			*slot = base + labels[i];
	}
}

void writer_name_compressed(struct writer *w, const struct name *n)
{
	uint8_t labels[NAME_MAX_OCTETS / 2 + 1]; /* where the labels begin */
	uint32_t hashes[NAME_MAX_OCTETS / 2 + 1], hash = 2166136261u;
	size_t base = w->len, slot = 0;
	int count = 0, i;

	for (size_t at = 0; n->b[at]; at += 1 + n->b[at])
		labels[count++] = at;
	for (i = count - 1; i >= 0; i--)
		hashes[i] = hash = hash_label(hash, n->b + labels[i]);
	for (i = 0; i < count; i++) {
		slot = w->slots[hashes[i] % WRITER_SLOTS];
		if (slot && stands_at(w, slot, n, labels[i]))
			break;
	}
	if (i == count) {
		writer_name(w, n);
	} else {
		writer_octets(w, n->b, labels[i]);
		writer_u16(w, POINTER | slot);
	}
	if (!w->full)
		remember(w, base, labels, i, hashes);
}

size_t writer_record(struct writer *w, const struct name *owner, uint16_t type,
		     uint16_t class, uint32_t ttl_s)
{
	writer_name_compressed(w, owner);
	writer_u16(w, type);
	writer_u16(w, class);
	writer_u32(w, ttl_s);
	writer_u16(w, 0);
	return w->len;
}

bool writer_record_end(struct writer *w, size_t rdata)
{
	if (w->full || w->len - rdata > UINT16_MAX)
		return false;
	octets_put_u16(w->b + rdata - 2, w->len - rdata);
	return true;
}

void writer_cut(struct writer *w, size_t len)
{
	w->len = len;
	w->full = false;
}

void writer_set_flag(struct writer *w, uint16_t flag)
{
	octets_put_u16(w->b + 2, octets_u16(w->b + 2) | flag);
}

void writer_clear_flag(struct writer *w, uint16_t flag)
{
	octets_put_u16(w->b + 2, octets_u16(w->b + 2) & ~flag);
}

void writer_set_count(struct writer *w, int section, uint16_t n)
{
	octets_put_u16(w->b + 4 + 2 * section, n);
}

void writer_init(struct writer *w, const struct msg_question *q, uint16_t flags,
		 uint8_t *out, size_t max)
{
	assert(max >= MSG_UDP_PLAIN);
	*w = (struct writer){ .b = out, .max = MIN(max, MSG_MAX) };
	if (q->edns)
		w->max -= MSG_OPT;
	writer_u16(w, q->id);
	writer_u16(w, MSG_QR | flags | (q->flags & (MSG_OPCODE_MASK | MSG_RD | MSG_CD)));
	writer_u16(w, q->asked.len ? 1 : 0);
	writer_octets(w, (const uint8_t[6]){ 0 }, 6);
	if (!q->asked.len)
		return;
	writer_name_compressed(w, &q->asked);
	writer_u16(w, q->type);
	writer_u16(w, q->class);
}

size_t writer_finish(struct writer *w, const struct msg_question *q, unsigned rcode,
		     int ede)
{
	uint16_t extra = octets_u16(w->b + 10);

	/* Without OPT there is no room for the upper bits, and the lower alone would lie. */
	if (!q->edns && rcode > MSG_RCODE_MASK)
		rcode = MSG_SERVFAIL;
	writer_set_flag(w, rcode & MSG_RCODE_MASK);
	if (!q->edns)
		return w->len;
	w->max += MSG_OPT;
	if (w->max - w->len < MSG_OPT + EDE_OCTETS)
		ede = MSG_NO_EDE;
	writer_octets(w, "", 1); /* the root */
	writer_u16(w, MSG_TYPE_OPT);
	writer_u16(w, MSG_UDP_EDNS);
	writer_u32(w, rcode >> 4 << 24 | (q->dnssec_ok ? OPT_DO : 0));
	writer_u16(w, ede == MSG_NO_EDE ? 0 : EDE_OCTETS);
	if (ede != MSG_NO_EDE) {
		writer_u16(w, MSG_OPTION_EDE);
		writer_u16(w, 2);
		writer_u16(w, ede);
	}
	assert(!w->full);
	writer_set_count(w, 3, extra + 1);
	return w->len;
}
