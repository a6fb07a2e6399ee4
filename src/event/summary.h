/* What --summary says after a run, as text or JSON. */
#ifndef EVENT_SUMMARY_H
#define EVENT_SUMMARY_H

#include <stdio.h>

#include "event/view.h"

struct summary {
	const char *backend;
	const char *const *command; /* up to NULL */
	int exit_code;
	const char *const *controls; /* up to NULL */
	struct {
		const char *requested; /* NULL: nothing is captured */
		const char *effective;
		const char *output, *child, *egress; /* one, or the two others */
		uint64_t packets, dropped; /* of all files; not in them */
	} capture;
	const char *flow_log;	 /* NULL: there is none */
	const struct view *view; /* of it; NULL: it can't be read back */
};

/* -1 without memory. */
int summary_text(const struct summary *s, FILE *out);
int summary_json(const struct summary *s, FILE *out);

#endif
