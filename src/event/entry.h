/* One line of a flow log, as its readers need it: fields by number, nothing copied. */
#ifndef EVENT_ENTRY_H
#define EVENT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Not NUL-terminated, may hold NULs; s is NULL when there is none. */
struct text {
	const char *s;
	size_t len;
};

enum entry_text {
	TEXT_EVENT,
	TEXT_PROTOCOL,
	TEXT_QNAME,
	TEXT_MODE,
	TEXT_REMOTE_ADDR,
	TEXT_REMOTE,
	TEXT_REMOTE_IP,
	TEXT_NAME,
	TEXT_STATUS,
	TEXT_ERROR,
	TEXT_REASON_CODE,
	TEXT_CONTROL,
	TEXT_ACTION,
	TEXT_REASON,
	TEXT_MATCHED_CIDR,
	TEXT_MATCHED_DOMAIN,
	TEXT_CLOSE_REASON,
	TEXT_PHASE,
	TEXT_RUN_ID,
	TEXT_VERSION,
	TEXT_SEEN_NAME,
	TEXT_COMM,
	TEXT_EXE,
	ENTRY_TEXTS,
};

enum entry_number {
	NUMBER_SCHEMA_VERSION,
	NUMBER_TS_MS,
	NUMBER_FLOW_ID,
	NUMBER_REMOTE_PORT,
	NUMBER_BYTES_UP,
	NUMBER_BYTES_DOWN,
	NUMBER_DURATION_MS,
	NUMBER_PID,
	NUMBER_RCODE,
	NUMBER_EXIT_CODE,
	NUMBER_LOST_RECORDS,
	ENTRY_NUMBERS,
};

enum entry_flag {
	FLAG_VIA_PROXY,
	FLAG_SNIFFED,
	ENTRY_FLAGS,
};

enum entry_list {
	LIST_ANSWER_IPS,
	LIST_NAMES,
	LIST_COMMAND,
	ENTRY_LISTS,
};

struct entry {
	struct text text[ENTRY_TEXTS];
	int64_t number[ENTRY_NUMBERS]; /* 0 when there is none */
	uint32_t has_number;	       /* bit 1 << enum entry_number */
	bool flag[ENTRY_FLAGS];
	struct {
		struct text *items;
		size_t count, room;
	} list[ENTRY_LISTS];
};

static inline bool entry_has(const struct entry *rec, enum entry_number n)
{
	return rec->has_number >> n & 1;
}

struct entry_reader;

/* NULL without memory. */
struct entry_reader *entry_reader_new(void);
void entry_reader_free(struct entry_reader *r);
/* Reads a line. What it returns is valid until the next one, as long as the line is; NULL with
 * a sentence that does not quote the line. Fields of another type than theirs are none. */
const struct entry *entry_read(struct entry_reader *r, const char *line, size_t len,
			       struct error *err);

#endif
