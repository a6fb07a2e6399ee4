/*
 * The report, in its forms. What a log holds is hostile: each renderer makes of it what its
 * form can't be confused by.
 */
#ifndef EVENT_RENDER_H
#define EVENT_RENDER_H

#include <stdio.h>

#include "event/view.h"

struct report {
	const struct view *view;
	const char *const *files; /* as they were given */
	size_t file_count;
};

/* Whether out took it is for ferror(). -1 without memory. */
int render_text(const struct report *r, FILE *out);
int render_markdown(const struct report *r, FILE *out);
int render_json(const struct report *r, FILE *out);
/* Needs a tally with flows. */
int render_html(const struct report *r, FILE *out);

/* Writes text for a terminal: what would move the cursor, or turn the direction of what is
 * written, stands there as \x1b or \u202e. */
void render_plain(FILE *out, struct text text);
void render_plain_string(FILE *out, const char *text);

/* Row 0 up to EVENT_COUNT and one for unknown events, in the order of the reports. Kinds that
 * schema 1 had not at first come last, and only when there are some: then n > 0. */
struct render_event {
	const char *name;
	uint64_t n;
};
#define RENDER_EVENTS_MAX (EVENT_COUNT + 2)
size_t render_events(const struct tally *t,
		     struct render_event out[static RENDER_EVENTS_MAX]);

/* "key=2, other=1", at most `limit` of them; "none" without any. */
void render_counts(FILE *out, const struct view_counts *counts, size_t limit);
/* "attempts=1, ok=1, error=0, flow_end=1" */
void render_connects(FILE *out, const struct tally_connects *c);
/* "targets=ADDR (attempts=1, ..., matched_domains=none), ...", or "targets=none". */
void render_targets(FILE *out, const struct view_name *name, size_t targets,
		    size_t rules);
/* "a, b", or "none". */
void render_list(FILE *out, const struct view_texts *texts);

#endif
