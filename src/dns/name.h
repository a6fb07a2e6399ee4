/*
 * Domain names in wire form: labels with a length byte each, ended by the root label
 * (RFC 1035 3.1). Comparing is label by label and blind to ASCII case (RFC 4343); text is
 * made only for people, logs and hosts files.
 */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define NAME_MAX_OCTETS 255 /* RFC 1035 2.3.4, the root label counted */
#define NAME_TEXT_MAX 1024  /* every octet as \DDD, and the NUL */

struct name {
	uint8_t len; /* octets in b, 1 for the root; 0 means "no name" */
	uint8_t b[NAME_MAX_OCTETS];
};

/* Reads the name at *off of a message and moves *off behind it. Compression pointers are
 * followed only backwards (RFC 1035 4.1.4). False when the name is malformed. */
bool name_read(const uint8_t *msg, size_t len, size_t *off, struct name *out);
/* The same for a place where no compression is allowed. */
bool name_read_plain(const uint8_t *msg, size_t len, size_t *off, struct name *out);

bool name_eq(const struct name *a, const struct name *b);
/* True when n is `parent` or below it. */
bool name_is_below(const struct name *n, const struct name *parent);
struct name name_lower(const struct name *n);

/* From text as in RFC 4343 2.1 (\DDD and \X escapes), with or without the last dot. */
bool name_from_text(const char *text, struct name *out);
/* Without the last dot, but "." for the root. Returns out. */
const char *name_to_text(const struct name *n, char out[static NAME_TEXT_MAX]);

/* The address a name below in-addr.arpa (RFC 1035 3.5) or ip6.arpa (RFC 3596 2.5) stands
 * for. False when n isn't the whole of such a name. */
bool name_to_addr(const struct name *n, struct addr *out);

static inline bool name_is_letter(uint8_t c)
{
	c |= 0x20;
	return c >= 'a' && c <= 'z';
}

#endif
