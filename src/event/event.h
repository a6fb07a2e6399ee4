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
	EVENT_RUN_START,
	EVENT_DNS_QUERY,
	EVENT_DNS_ANSWER,
	EVENT_CONNECT_ATTEMPT, /* of TCP: the target is being dialled */
	EVENT_CONNECT_RESULT,
	EVENT_FLOW_START, /* of UDP and ICMP: the first packet has been let out */
	EVENT_FLOW_END,
	EVENT_POLICY_VIOLATION,
	EVENT_RUNTIME_FAILURE,
	EVENT_RUN_END,
	EVENT_COUNT,
};

/* Why a flow is over. */
enum close_reason {
	CLOSE_EOF,	    /* both sides have ended, orderly */
	CLOSE_CHILD_RESET,  /* the child has aborted it, or vanished */
	CLOSE_REMOTE_RESET, /* the remote side has failed: see err */
	CLOSE_IDLE,	    /* nothing came for too long */
	CLOSE_EVICTED,	    /* its table was full, and it was idle longest */
	CLOSE_POLICY,	    /* what it showed is not allowed */
	CLOSE_RUN_END,	    /* the run is over */
	CLOSE_COUNT,
};

/* How a DNS question was answered. */
enum answered_mode {
	ANSWERED_RELAYED,   /* by a server */
	ANSWERED_EMPTY,	    /* by us, with nothing: refused, or malformed */
	ANSWERED_BY_HOSTS,  /* by --hosts-file */
	ANSWERED_SYNTHETIC, /* by us, with an address that stands for the name */
	ANSWERED_COUNT,
};

/* The process of the tree that has opened a flow. */
struct process {
	int pid; /* as the caller's PID namespace counts */
	const char *comm, *exe;
};

/* Of what a run is made. */
struct run_info {
	const char *run_id, *version, *backend;
	const char *const *command; /* up to NULL */
	const char *policy; /* the settings that decide, one "option=value" a line */
	const char *policy_sha256; /* of that text, in hexadecimal */
	const char *const
		*hidden_sockets; /* resolvers' sockets that were kept from it, to NULL */
};

/* Valid only while it is emitted. What doesn't apply is zero. */
struct event {
	enum event_kind kind;
	uint64_t time_ns; /* since 1970, CLOCK_REALTIME; event_emit() fills it in */
	uint64_t flow_id; /* 0 when the event belongs to none */
	uint8_t protocol; /* IPPROTO_… of the child's packets; a question's, too */
	/* As the child has addressed it; of an ICMP query, child.port is the identifier. */
	struct endpoint child, remote;
	const char *name; /* what a synthetic remote address stands for, or NULL */
	const char *const *names; /* known for the remote address, the oldest first */
	size_t name_count;
	const struct process *process; /* or NULL: not known (yet) */
	bool via_proxy;
	union {
		struct run_info run_start;
		struct {
			const char *
				name; /* as asked, in presentation format; "." the root */
			uint16_t type;
			/* Of whom it was asked or is to be; what the child has asked when we
			 * answer. */
			struct endpoint server;
			enum answered_mode mode; /* of an answer, as all below */
			int rcode;
			int ede; /* Extended DNS Error (RFC 8914), or -1 */
			size_t bytes;
			const struct addr *addrs; /* of A and AAAA records, in order */
			size_t addr_count;
		} dns;
		struct {
			int err; /* 0 or the errno the child was told */
			/* Of the host's socket, when there is one: its own address, and whom
			 * it has reached (the proxy of a flow that is proxied). */
			struct endpoint local, peer;
			const char *error; /* more than the errno says, or NULL */
		} connect_result;
		struct {
			struct endpoint local, peer; /* as above */
		} flow_start;
		struct {
			uint64_t bytes_up, bytes_down; /* payload */
			uint64_t packets_up,
				packets_down; /* datagrams, echoes; 0 of TCP */
			uint64_t duration_ms; /* from its first packet */
			enum close_reason reason;
			int err; /* errno of CLOSE_CHILD_RESET, CLOSE_REMOTE_RESET, or 0 */
			bool sniffed; /* its first bytes were to show a name ... */
			const char *
				seen_name; /* ... which is this; "": unclear which; or NULL */
		} flow_end;
		struct {
			const struct target *target;
			const struct verdict *verdict;
			bool audit; /* it was let pass all the same */
			/* A stripped answer, not a target: the address that was kept back, or
			 * the alias; target is the question. */
			const struct addr *stripped;
			const char *alias;
		} policy_violation;
		struct {
			const char *phase, *reason_code,
				*detail; /* BEHAVIOUR: schema 1 */
		} runtime_failure;
		struct {
			int exit_code;
			const uint64_t *events; /* how many of each kind, or NULL */
			/* What the tables had no room for, what sinks could not write. */
			uint64_t refused_full, lost_records;
		} run_end;
	};
};

struct event_sink {
	struct list node;
	void (*on_event)(struct event_sink *sink, const struct event *ev);
};

struct events {
	struct list sinks;
	uint64_t last_flow_id;
	/* A sink wants to know it; finding out costs something. */
	bool wants_process, wants_local;
	uint64_t *refused_full; /* counts what a table had no room for; or NULL */
};

/* A table had no room for what the child wants. */
static inline void event_refused_full(const struct events *events)
{
	if (events->refused_full)
		++*events->refused_full;
}

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
/* Fills in the time and tells every sink. */
void event_emit(struct events *events, struct event *ev);

/* The kind's, the reason's and the mode's name on the wire. */
const char *event_name(enum event_kind kind);
const char *close_reason_name(enum close_reason reason);
const char *answered_mode_name(enum answered_mode mode);

/* A sink that writes each event as a debug line; the caller owns it. */
void event_log_sink_init(struct event_sink *sink);

#endif
