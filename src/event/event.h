/*
 * Everything worth telling, as one stream. Rooms emit, sinks (log, tally, files) read; nobody
 * else learns what happened by another way.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "base/addr.h"
#include "base/list.h"
#include "policy/policy.h"

enum event_kind {
	EVENT_CONNECT_ATTEMPT,
	EVENT_CONNECT_RESULT,
	EVENT_FLOW_END,
	EVENT_POLICY_VIOLATION,
	EVENT_DNS_QUERY,
	EVENT_DNS_ANSWER,
	EVENT_COUNT,
};

/* Valid only while it is emitted. */
struct event {
	enum event_kind kind;
	uint64_t flow_id; /* 0 when the event belongs to none */
	uint8_t protocol; /* IPPROTO_… */
	struct endpoint child, remote;
	union {
		struct {
			int err; /* 0 or the errno the child was told */
		} connect_result;
		struct {
			uint64_t bytes_up, bytes_down;
			int err; /* 0 for an orderly end */
		} flow_end;
		struct {
			enum reason reason;
		} policy_violation;
		struct {
			const char *name; /* as asked, in presentation format */
			uint16_t type;
			int rcode; /* of an answer */
		} dns;
	};
};

struct event_sink {
	struct list node;
	void (*on_event)(struct event_sink *sink, const struct event *ev);
};

struct events {
	struct list sinks;
	uint64_t last_flow_id;
};

/* The next flow's id, from 1. */
static inline uint64_t event_flow_id(struct events *events)
{
	return ++events->last_flow_id;
}

void events_init(struct events *events);
void event_sink_add(struct events *events, struct event_sink *sink);
/* False when nobody listens, and building an event would be for nothing. */
static inline bool events_wanted(const struct events *events)
{
	return !list_empty(&events->sinks);
}
void event_emit(struct events *events, const struct event *ev);

/* The kind's name on the wire. */
const char *event_name(enum event_kind kind);

/* A sink that writes each event as a debug line; the caller owns it. */
void event_log_sink_init(struct event_sink *sink);

#endif
