/*
 * Writes a message front to back into a buffer of fixed size, with name compression.
 *
 * A write that doesn't fit sets `full`, and nothing is written from then on; the message is
 * then taken back to a record's end with writer_cut() and finished.
 */
#ifndef DNS_WRITER_H
#define DNS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/msg.h"
#include "dns/name.h"

#define WRITER_SLOTS 256

struct writer {
	uint8_t *b;
	size_t len, max;
	bool full;
	/* Where names already written begin, by the hash of their octets; 0 is empty. The
	 * first taker keeps its slot, so the question's spelling is what later names share. */
	uint16_t slots[WRITER_SLOTS];
};

/* Begins with the header and question of q's answer. `flags` are those beside QR and what is
 * echoed from the query. */
void writer_init(struct writer *w, const struct msg_question *q, uint16_t flags,
		 uint8_t *out, size_t max);
/* Ends with OPT, for which room was kept, if the query had one; returns the message's length.
 * `rcode` may have 12 bits. `ede` is an Extended DNS Error, which is left out when there is no
 * room, or MSG_NO_EDE. */
size_t writer_finish(struct writer *w, const struct msg_question *q, unsigned rcode,
		     int ede);

void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_octets(struct writer *w, const void *octets, size_t n);
void writer_name(struct writer *w, const struct name *n);
void writer_name_compressed(struct writer *w, const struct name *n);

/* The owner and the fixed fields of a record; returns where its data begins. */
size_t writer_record(struct writer *w, const struct name *owner, uint16_t type,
		     uint16_t class, uint32_t ttl_s);
/* Fills in the length of the data begun at `rdata`. False when it didn't fit. */
bool writer_record_end(struct writer *w, size_t rdata);

/* Takes back what was written since the message was `len` long. No more records may follow:
 * their names could point into what is gone. */
void writer_cut(struct writer *w, size_t len);
void writer_set_flag(struct writer *w, uint16_t flag);
void writer_clear_flag(struct writer *w, uint16_t flag);
/* Sets a section's record count: 1 answer, 2 authority, 3 additional. */
void writer_set_count(struct writer *w, int section, uint16_t n);

#endif
