/*
 * Theory of operation
 *
 * A datagram in pieces has a slot: room for 64 KiB and a bit per 8 bytes, the unit of
 * fragment offsets. A piece that covers a bit already set makes the whole datagram void:
 * overlapping pieces are how headers are slipped past a filter (RFC 5722), and the one
 * kernel in front of us has no reason to send any twice.
 *
 * The number of slots is fixed; the oldest makes way. Stale ones are recognised when a
 * piece arrives, so no timer runs. Time is the caller's.
 *
 * Rejected: lwIP's ip4_reass() and ip6_reass(). They keep pbuf chains that would have to be
 * flattened for the policy, want a running timer, and the second answers by ICMP itself.
 */
#include "netif/reass.h"

#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SLOTS 32
/* RFC 1122 3.3.2 asks for 60 to 120 s on the Internet; this is a tap. */
#define MAX_AGE_MS 30000
#define BLOCK 8
#define DATA_MAX 65535
#define HEADER_MAX 60

struct slot {
	bool used, v4;
	uint8_t protocol;
	struct addr dst;
	uint32_t id;
	uint64_t since_ms;
	size_t total;	   /* 0 until the last piece has come */
	size_t got;	   /* bytes, all of them once */
	size_t header_len; /* of the first piece; 0 until it has come */
	uint8_t set[(DATA_MAX / BLOCK + 8) / 8];
	/* The header ends where the data begins. */
	uint8_t packet[HEADER_MAX + DATA_MAX + BLOCK];
};

struct reass {
	struct slot *slot[SLOTS]; /* allocated when first needed */
};

struct reass *reass_new(void)
{
	return calloc(1, sizeof(struct reass));
}

void reass_free(struct reass *r)
{
	for (size_t i = 0; i < SLOTS; i++)
		free(r->slot[i]);
	free(r);
}

static bool is_of(const struct slot *s, const struct packet *pkt, uint64_t now_ms)
{
	return s && s->used && s->v4 == pkt->v4 && s->id == pkt->fragment.id &&
	       (!s->v4 || s->protocol == pkt->protocol) && addr_eq(&s->dst, &pkt->dst) &&
	       now_ms - s->since_ms < MAX_AGE_MS;
}

/* The slot of the datagram, made if there is none; NULL without memory. */
static struct slot *slot_of(struct reass *r, const struct packet *pkt, uint64_t now_ms)
{
	struct slot **best = &r->slot[0];

	for (size_t i = 0; i < SLOTS; i++)
		if (is_of(r->slot[i], pkt, now_ms))
			return r->slot[i];
	for (size_t i = 0; i < SLOTS; i++) {
		best = &r->slot[i];
		if (!*best || !(*best)->used)
			break;
	}
	if (*best && (*best)->used)
		for (size_t i = 0; i < SLOTS; i++)
			if (r->slot[i]->since_ms < (*best)->since_ms)
				best = &r->slot[i];
	if (!*best)
		*best = malloc(sizeof(**best));
	if (!*best)
		return NULL;
	(*best)->used = true;
	(*best)->v4 = pkt->v4;
	(*best)->protocol = pkt->protocol;
	(*best)->dst = pkt->dst;
	(*best)->id = pkt->fragment.id;
	(*best)->since_ms = now_ms;
	(*best)->total = (*best)->got = (*best)->header_len = 0;
	memset((*best)->set, 0, sizeof((*best)->set));
	return *best;
}

/* Marks the blocks of a piece; false when one of them has come before. */
static bool mark(struct slot *s, size_t offset, size_t len)
{
	for (size_t b = offset / BLOCK; b < (offset + len + BLOCK - 1) / BLOCK; b++) {
		uint8_t bit = 1u << b % 8;

		if (s->set[b / 8] & bit)
			return false;
		s->set[b / 8] |= bit;
	}
	return true;
}

/* Keeps the header of the first piece, without what the fragmentation had put there. */
static void keep_header(struct slot *s, const struct packet *pkt)
{
	if (s->v4) {
		s->header_len = pkt->l4 - pkt->ip;
		memcpy(s->packet + HEADER_MAX - s->header_len, pkt->ip, s->header_len);
		return;
	}
	/* Extension headers in front of the fragment header were for the way to us. */
	s->header_len = sizeof(struct ip6_hdr);
	memcpy(s->packet + HEADER_MAX - s->header_len, pkt->ip, s->header_len);
	s->protocol = pkt->protocol;
}

static uint8_t *finish(struct slot *s, size_t *len)
{
	uint8_t *ip = s->packet + HEADER_MAX - s->header_len;

	s->used = false;
	*len = s->header_len + s->total;
	if (s->v4) {
		struct iphdr *h = (void *)ip;

		if (*len > 0xffff)
			return NULL;
		h->tot_len = htons(*len);
		h->frag_off = 0;
		h->check = 0;
		h->check = ~packet_sum(ip, s->header_len, 0);
	} else {
		struct ip6_hdr *h = (void *)ip;

		h->ip6_plen = htons(s->total);
		h->ip6_nxt = s->protocol;
	}
	return ip;
}

uint8_t *reass_add(struct reass *r, const struct packet *pkt, uint64_t now_ms,
		   size_t *len)
{
	size_t offset = pkt->fragment.offset, n = pkt->l4_len;
	struct slot *s = slot_of(r, pkt, now_ms);

	if (!s)
		return NULL;
	/* All but the last are whole blocks; nothing goes beyond the largest packet or the
	 * end; there is one end. */
	if (!n || offset + n > DATA_MAX || (pkt->fragment.more && n % BLOCK) ||
	    (s->total && (offset + n > s->total || !pkt->fragment.more)) ||
	    !mark(s, offset, n)) {
		s->used = false;
		return NULL;
	}
	memcpy(s->packet + HEADER_MAX + offset, pkt->l4, n);
	s->got += n;
	if (!offset)
		keep_header(s, pkt);
	if (!pkt->fragment.more)
		s->total = offset + n;
	if (s->total && s->got > s->total) {
		s->used = false; /* a piece beyond the end came before the last one */
		return NULL;
	}
	return s->total && s->got == s->total && s->header_len ? finish(s, len) : NULL;
}
