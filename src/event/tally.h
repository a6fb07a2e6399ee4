/*
 * What a stream of log records adds up to. Summary, report, learn and diff are readings of it.
 * Everything is counted per distinct key, in tables that are bounded (event/table.h).
 *
 * Rows refer to each other by number: a row of `answers` says that in a run a name was answered
 * with an address. Logs without a run_id count as one run each.
 */
#ifndef EVENT_TALLY_H
#define EVENT_TALLY_H

#include <stdbool.h>

#include "event/entry.h"
#include "event/event.h"
#include "event/table.h"

/* What is only counted. */
enum tally_counts {
	COUNT_PROTOCOLS,
	COUNT_VIOLATIONS, /* by reason_code */
	COUNT_CONTROLS,
	COUNT_DOMAINS, /* by the rule that matched */
	COUNT_CONNECT_ERRORS,
	COUNT_FAILURES, /* of the run, by reason_code */
	COUNT_PHASES,
	COUNT_SCHEMAS,
	COUNT_TABLES,
};

struct tally_count {
	struct row row;
	uint64_t n;
};

struct tally_name {
	struct row row;
	uint64_t queries, answers;
	uint64_t found;	 /* answers that told something */
	uint64_t passed; /* questions that were not refused by us, by their answers */
};

/* Of TCP; flow_end of all protocols. */
struct tally_connects {
	uint64_t attempts, ok, error, end;
};

struct tally_target {
	struct row row; /* "address:port" */
	uint32_t ip;
	struct tally_connects connects;
};

struct tally_run {
	struct row row;	  /* the run_id, or the file's number */
	uint32_t command; /* its words, in the texts of the talks */
	uint64_t first_ms, last_ms;
	bool has_time, has_exit;
	int64_t exit_code;
	uint64_t lost_records;
};

struct tally_answer {
	struct row row; /* the three numbers */
	uint32_t run, name, ip;
};

struct tally_run_target {
	struct row row; /* both numbers */
	uint32_t run, target;
	struct tally_connects connects;
};

/* Violations that named a domain rule and an address. */
struct tally_match {
	struct row row; /* the three numbers */
	uint32_t run, ip, domain;
	uint64_t n;
};

struct talks;

struct tally {
	uint64_t total, events[EVENT_COUNT], unknown;
	uint64_t proxied, direct;
	struct table counts[COUNT_TABLES];
	struct table names, ips, targets, runs;
	struct table answers, run_targets, matches;
	struct talks *talks; /* or NULL: nobody asks for them */
	uint32_t run;	     /* of the record at hand */
	char log_id[24];     /* what stands for a run_id that isn't there */
	unsigned logs;
};

void tally_init(struct tally *t);
/* The same, and single flows are told apart: event/talks.h. -1 without memory. */
int tally_init_with_talks(struct tally *t);
void tally_free(struct tally *t);

/* The records that follow are of another log. */
void tally_next_log(struct tally *t);
void tally_add(struct tally *t, const struct entry *rec);
/* Nothing will follow: what is still open is counted as it is. */
void tally_finish(struct tally *t);

/* The names of the tables in which keys found no room, and how often: calls fn for each. */
void tally_left_out(const struct tally *t,
		    void (*fn)(void *ctx, const char *table, uint64_t n), void *ctx);

/* The kind of that name, or EVENT_COUNT. */
enum event_kind tally_kind(struct text name);

#endif
