/* Parts of a view as JSON, which report and summary share. */
#ifndef EVENT_JSON_PARTS_H
#define EVENT_JSON_PARTS_H

#include "base/json.h"
#include "event/view.h"

/* [text, ...] and [{count, key}, ...], of which at most `limit`. */
void json_texts(struct json *j, const char *key, const struct view_texts *texts);
void json_counts(struct json *j, const char *key, const struct view_counts *counts,
		 size_t limit);
/* "left_out", if a table was full: how many of which. */
void json_left_out(struct json *j, const struct tally *t);

#endif
