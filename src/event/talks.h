/*
 * Single flows of a log, for the page and for --learn and --diff: who has talked to whom, what
 * was refused, when. Records of one flow are joined by its flow_id; a log that has none counts
 * by the records themselves.
 */
#ifndef EVENT_TALKS_H
#define EVENT_TALKS_H

#include "event/activity.h"
#include "event/entry.h"
#include "event/event.h"
#include "event/table.h"

#define TALKS_OPEN_MAX 100000
#define TALKS_NAMES_MAX 32  /* of one target: the newest */
#define TALKS_KEPT_MAX 1500 /* of the timeline: those that moved most */

struct talks_process {
	struct row row; /* exe, NUL, comm */
	uint32_t exe_len;
	uint64_t pid; /* the first one seen */
	uint64_t processes;
};

/* A process has talked to a target under a name; each may be 0, not known. */
struct talks_link {
	struct row row; /* the numbers */
	uint32_t process, name, target, protocol;
	uint64_t flows, errors, up, down, duration_ms;
	uint64_t first_ms, last_ms;
};

/* Did the process that opened a flow know one of its target's names? */
enum talks_asked {
	ASKED_UNKNOWN, /* nobody knows which process it was */
	ASKED_NONE, /* it had asked for none of them: it may have had nothing but the address */
	ASKED_ONE,
};

/* What flows have in common for the question what would have allowed them. */
struct talks_reach {
	struct row row; /* the numbers */
	uint32_t names; /* all that were known when it began, in `name_sets`; 0: none */
	uint32_t synthetic; /* the name that the address only stood for, or 0 */
	uint32_t process, target, protocol;
	enum talks_asked asked;
	bool sniffed;  /* it was to show a name ... */
	uint32_t seen; /* ... which is this; 0: none */
	uint64_t flows, up, down;
};

struct talks_refusal {
	struct row row; /* the numbers */
	uint32_t process, target, protocol, reason, control, rule;
	bool audit;
	uint64_t n, first_ms, last_ms;
};

enum talks_state {
	FLOW_IS_OPEN, /* its end was not recorded */
	FLOW_IS_OK,
	FLOW_HAS_FAILED,
};

struct talks_kept {
	uint32_t run, process, name, target, protocol, error, reason;
	enum talks_state state;
	uint64_t id, start_ms, duration_ms, up, down;
	uint64_t seq; /* in the order of their ends */
};

struct talks {
	struct table texts; /* names, protocols, errors, rules: what rows point to */
	struct table targets, processes, pids;
	struct table asked;	/* which process has asked for which name */
	struct table name_sets; /* keys are numbers of `texts` */
	struct table links, reaches, refusals;
	struct talks_open *open; /* hash of those without an end */
	uint32_t open_count;
	struct talks_kept kept[TALKS_KEPT_MAX]; /* a heap, the least on top */
	uint32_t kept_count;
	uint64_t ended; /* flows in all */
	uint64_t up, down;
	struct activity activity;
};

struct talks *talks_new(void);
void talks_free(struct talks *f);
void talks_add(struct talks *f, enum event_kind kind, uint32_t run,
	       const struct entry *rec);
void talks_finish(struct talks *f);
void talks_left_out(const struct talks *f,
		    void (*fn)(void *ctx, const char *table, uint64_t n), void *ctx);

/* The command's name, or the last part of its path; "" of 0. */
struct text talks_process_name(const struct talks *f, uint32_t process);

/* The names of a set; returns their number. */
size_t talks_names(const struct talks *f, uint32_t set,
		   struct text out[static TALKS_NAMES_MAX]);

/* The text of a number in `texts`; "" of 0. */
struct text talks_text(const struct talks *f, uint32_t i);
uint32_t talks_intern(struct talks *f, struct text text);

#endif
