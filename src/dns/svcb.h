/* The data of service bindings (SVCB and HTTPS records, RFC 9460). */
#ifndef DNS_SVCB_H
#define DNS_SVCB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "dns/answer.h"
#include "dns/writer.h"

enum svcb_rest {
	SVCB_WHOLE,
	SVCB_LESS,    /* something of it is kept back */
	SVCB_NOTHING, /* what is left would be no valid record */
	SVCB_MALFORMED,
};

/* What the gate leaves of a record's data, and tells it of what it keeps back. */
enum svcb_rest svcb_judge(const uint8_t *rdata, size_t len,
			  const struct answer_gate *gate);
/* Writes data that were judged to be whole or less. */
void svcb_write(struct writer *out, const uint8_t *rdata, size_t len,
		const struct answer_gate *gate);

/* Calls fn for each address hint; none of data that are malformed. */
void svcb_each_hint(const uint8_t *rdata, size_t len,
		    void (*fn)(void *ctx, const struct addr *addr), void *ctx);

#endif
