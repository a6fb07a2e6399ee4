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
 * What of an upstream's answer the child may have. The functions are pure: they may be asked
 * twice. One that is NULL lets everything pass.
 */
struct answer_gate {
	void *ctx;
	bool (*admits)(void *ctx, const struct addr *addr);
	/* Whether the name asked for may be an alias of this one. */
	bool (*follows)(void *ctx, const struct name *alias);
	/* Told once of each address and alias that is kept back; the other one is NULL. */
	void (*stripped)(void *ctx, const struct addr *addr, const struct name *alias);
	bool hides_ech;	   /* the keys that would hide a TLS name, RFC 9849 */
	bool answers_only; /* of the other sections, what an empty answer is proven by */
};

/*
 * Writes the answer to q's child from an upstream's message, which msg_match_answer() has
 * accepted. Kept are the flags AA, AD, RA, the rcode and an Extended DNS Error's code, in the
 * answer section the records of the name asked for and of its chain of aliases, and the other
 * two sections whole but for OPT; less what `gate` (or NULL) keeps back. An answer all of whose
 * addresses are kept back, or that has come by a wrong alias, becomes an empty one with the
 * error "Blocked". Returns the length, or -EBADMSG when the message is malformed. What doesn't
 * fit into max (at least MSG_UDP_PLAIN) is cut at a record's end and TC set.
 */
ssize_t answer_reencode(const struct msg_question *q, const uint8_t *msg, size_t len,
			const struct answer_gate *gate, uint8_t *out, size_t max);

/* An address that an answer gives for the name asked. */
struct answer_found {
	const struct name *owner; /* the name itself, or the last of its aliases */
	struct addr addr;
	uint32_t ttl_s; /* of the record and of the aliases that led to it, the least */
};

/* Calls fn for each address, hints of service bindings included, that msg gives of the types
 * that q asks for; nothing is told of a message that is malformed. */
void answer_each_address(const struct msg_question *q, const uint8_t *msg, size_t len,
			 void (*fn)(void *ctx, const struct answer_found *found),
			 void *ctx);

#endif
