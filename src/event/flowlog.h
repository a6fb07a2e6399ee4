/* The flow log: a sink that writes each event as a line of JSON, schema version 1. */
#ifndef EVENT_FLOWLOG_H
#define EVENT_FLOWLOG_H

#include "event/logfile.h"

struct json;

/* The caller owns all it points to. */
struct flowlog {
	struct event_sink sink;
	struct logfile *file;
	const char *run_id;
	struct json *json;
};

/* One in each process that emits events. */
int flowlog_init(struct flowlog *log, struct logfile *file, const char *run_id,
		 struct error *err);
void flowlog_free(struct flowlog *log);

#endif
