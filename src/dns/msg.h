/*
 * DNS messages (RFC 1035 4, RFC 6891): the child's query taken apart, the query we ask
 * upstream, the answers we make ourselves. Pure code over the caller's buffers.
 *
 * Answers from upstream are the business of dns/answer.h.
 */
#ifndef DNS_MSG_H
#define DNS_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "dns/name.h"

#define MSG_MAX 65535 /* RFC 1035 4.2.2: the length over TCP has 16 bits */
#define MSG_HEADER 12 /* RFC 1035 4.1.1 */
#define MSG_OPT 11    /* an OPT record without options, RFC 6891 6.1.2 */
#define MSG_QUERY_MAX (MSG_HEADER + NAME_MAX_OCTETS + 4 + MSG_OPT)
#define MSG_UDP_PLAIN 512 /* RFC 1035 4.2.1: without EDNS */
#define MSG_UDP_EDNS 1232 /* fits any IPv6 path unfragmented: 1280 - 40 - 8 */
#define MSG_NO_EDE (-1)	  /* no Extended DNS Error */

/* Header flags (RFC 1035 4.1.1, RFC 4035 3.1.6), as in the second 16 bits. */
enum {
	MSG_QR = 0x8000,
	MSG_AA = 0x0400,
	MSG_TC = 0x0200,
	MSG_RD = 0x0100,
	MSG_RA = 0x0080,
	MSG_AD = 0x0020,
	MSG_CD = 0x0010,
	MSG_OPCODE_MASK = 0x7800,
	MSG_RCODE_MASK = 0x000f,
};

/* Record types and classes that this code treats specially. */
enum {
	MSG_TYPE_A = 1,
	MSG_TYPE_CNAME = 5,
	MSG_TYPE_SOA = 6,
	MSG_TYPE_PTR = 12,
	MSG_TYPE_AAAA = 28,
	MSG_TYPE_DNAME = 39,
	MSG_TYPE_OPT = 41,
	MSG_TYPE_RRSIG = 46,
	MSG_TYPE_NSEC = 47,
	MSG_TYPE_NSEC3 = 50,
	MSG_TYPE_SVCB = 64,
	MSG_TYPE_HTTPS = 65,
	MSG_TYPE_ANY = 255,
	MSG_CLASS_IN = 1,
	MSG_CLASS_CH = 3,
	MSG_CLASS_ANY = 255,
};

enum msg_rcode {
	MSG_NOERROR = 0,
	MSG_FORMERR = 1,
	MSG_SERVFAIL = 2,
	MSG_NXDOMAIN = 3,
	MSG_NOTIMP = 4,
	MSG_REFUSED = 5,
	MSG_BADVERS = 16, /* RFC 6891 9: the upper bits stand in the OPT record */
};

/* Extended DNS Errors: the EDNS option (RFC 8914 2) and those codes that we give (4). */
enum {
	MSG_OPTION_EDE = 15,
	MSG_EDE_BLOCKED = 15,
	MSG_EDE_PROHIBITED = 18,
	MSG_EDE_NO_REACHABLE_AUTHORITY = 22,
	MSG_EDE_NETWORK_ERROR = 23,
};

struct msg_question {
	uint16_t id;
	uint16_t flags;	   /* of the query: opcode, RD, AD, CD; the rest is 0 */
	struct name asked; /* as the child spelt it; len 0 when it couldn't be read */
	struct name name;  /* the same in lower case */
	uint16_t type, class;
	bool edns;	   /* the query had an OPT record */
	bool dnssec_ok;	   /* its DO bit, RFC 3225 */
	uint16_t udp_size; /* what it said it can take; 0 without EDNS */
};

enum msg_verdict {
	MSG_PLAIN,	    /* one plain question: *q is whole */
	MSG_DROP,	    /* not a query at all: no answer may be given */
	MSG_ANSWER_FORMERR, /* answer with msg_reply() and this rcode; *q has what was read */
	MSG_ANSWER_NOTIMP,
	MSG_ANSWER_REFUSED,
	MSG_ANSWER_BADVERS,
};

/* Takes a child's query apart, strictly: one question, no compression in its name, nothing
 * beside it but at most one OPT, no byte left over, no dot or NUL in a label, class IN. */
enum msg_verdict msg_parse_query(const uint8_t *msg, size_t len, struct msg_question *q);
/* The rcode of an MSG_ANSWER_…; the verdict must be one. */
enum msg_rcode msg_verdict_rcode(enum msg_verdict v);

/* How many bytes an answer over UDP may have: 512 to 1232. */
size_t msg_udp_limit(const struct msg_question *q);

/*
 * Writes the query for upstream and returns its length. The name is lower case but for the
 * letters whose bit in case_bits is set (the n-th octet of the name has bit n % 64).
 * With `edns` it ends in an option-less OPT record.
 */
size_t msg_build_query(const struct msg_question *q, uint16_t id, uint64_t case_bits,
		       bool edns, uint8_t out[static MSG_QUERY_MAX]);

enum msg_match {
	MSG_MATCH,	/* the answer to that query */
	MSG_MATCH_CASE, /* but for the case of the name's letters */
	MSG_MISMATCH,
};

/* Compares an answer's header and question with what msg_build_query() wrote. */
enum msg_match msg_match_answer(const uint8_t *msg, size_t len,
				const struct msg_question *q, uint16_t id,
				uint64_t case_bits);
/* The four bits of the header. The message has at least a header. */
enum msg_rcode msg_header_rcode(const uint8_t *msg);

/*
 * Answers of our own. They echo the child's ID and question (if it could be read), and have
 * an OPT record if the query had one. They return the length written; `max` is at least
 * MSG_UDP_PLAIN. What doesn't fit is left out and TC set.
 */

/* No records. `ede` is an Extended DNS Error for a child that speaks EDNS, or MSG_NO_EDE. */
size_t msg_reply(const struct msg_question *q, enum msg_rcode rcode, int ede,
		 uint8_t *out, size_t max);
/* Those of the addresses that the question's type asks for, none giving an empty answer. */
size_t msg_reply_addrs(const struct msg_question *q, const struct addr *addrs, size_t n,
		       uint32_t ttl_s, uint8_t *out, size_t max);
/* One PTR record. */
size_t msg_reply_ptr(const struct msg_question *q, const struct name *target,
		     uint32_t ttl_s, uint8_t *out, size_t max);

#endif
