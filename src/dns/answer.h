/* An upstream's answer: walked record by record, and written anew for the child. */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"
#include "dns/msg.h"
#include "dns/name.h"

enum answer_section {
	ANSWER_ANSWER,
	ANSWER_AUTHORITY,
	ANSWER_ADDITIONAL,
	ANSWER_SECTIONS
};

struct answer_record {
	enum answer_section section;
	struct name owner;
	uint16_t type, class;
	uint32_t ttl_s;
	size_t rdata, rdata_len; /* where in the message */
};

struct answer_walk {
	const uint8_t *msg;
	size_t len, off;
	uint16_t left[ANSWER_SECTIONS]; /* records still to come */
	bool malformed;
};

/* Begins a walk behind the question. */
void answer_walk_init(struct answer_walk *w, const uint8_t *msg, size_t len);
/* The next record, OPT included. False at the end, and with w->malformed when the message
 * isn't what its header says. */
bool answer_walk_next(struct answer_walk *w, struct answer_record *r);

/* The address in an A or AAAA record of class IN; false when r is none. */
bool answer_address(const struct answer_walk *w, const struct answer_record *r,
		    struct addr *out);
/* The name in a CNAME record; false when r is none. */
bool answer_cname(const struct answer_walk *w, const struct answer_record *r,
		  struct name *out);

/* Whether the message is whole and has no OPT record. */
bool answer_lacks_opt(const uint8_t *msg, size_t len);

/*
 * Writes the answer to q's child from an upstream's message, which msg_match_answer() has
 * accepted. Kept are the flags AA, AD, RA, the rcode and an Extended DNS Error's code, in the
 * answer section the records of the name asked for and of its chain of aliases, and the other
 * two sections whole but for OPT. Returns the length, or -EBADMSG when the message is malformed. What doesn't fit
 * into max (at least MSG_UDP_PLAIN) is cut at a record's end and TC set.
 */
ssize_t answer_reencode(const struct msg_question *q, const uint8_t *msg, size_t len,
			uint8_t *out, size_t max);

#endif
