/* The flows that packets belong to, as events and frames have told them. Bounded. */
#ifndef CAPTURE_FLOWS_H
#define CAPTURE_FLOWS_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/list.h"
#include "capture/keys.h"

#define FLOWS_KNOWN_MAX 65536
#define FLOW_VIEWS 3

/* PENDING: nobody has said yet what becomes of it.  OPEN: it has a socket of the host's.
 * OVER: it has failed, or nothing more than the last segments is to come. */
enum flow_phase {
	FLOW_PENDING,
	FLOW_IS_OPEN,
	FLOW_OVER,
};

/* What a TLS client and server have shown so far (keys.h). */
enum tls_phase {
	TLS_NONE,
	TLS_HELLO,   /* the client's: random is valid */
	TLS_WAITING, /* the server has answered, keys are waited for */
	TLS_DONE,
};

struct known_flow {
	struct known_flow *hash_next;
	struct list by_age; /* of its phase, the oldest first */
	uint8_t protocol;
	enum flow_phase phase;
	struct endpoint child, remote; /* as the child has addressed it */
	struct endpoint local, peer;   /* of the host's socket */
	pid_t pid;
	bool told; /* its first packet says whose it is */
	/* Numbers in the views' files: of its first packet, of the latest from the child. */
	uint64_t first[FLOW_VIEWS], latest[FLOW_VIEWS];
	char *comment[FLOW_VIEWS]; /* for its next packet, or NULL; by view */
	enum tls_phase tls;
	uint8_t random[KEYS_RANDOM_LEN];
	unsigned key_parts;	    /* enum of keys.h */
	unsigned holds[FLOW_VIEWS]; /* of the files, for its keys */
	bool has_socket;	    /* local and peer are valid */
	struct list held;	    /* packets that wait for it */
	/* Of a socket, for wire.c. closed_ns 0: it is open. */
	uint64_t opened_ns, closed_ns;
	uint32_t isn; /* of its SYN, as on the wire */
	bool has_isn;
	unsigned held_count;
};

struct known_flows;

/* `forget` is called before a flow is freed. NULL without memory. */
struct known_flows *flows_new(void (*forget)(void *ctx, struct known_flow *f), void *ctx);
void flows_free(struct known_flows *t);

struct known_flow *flows_find(struct known_flows *t, uint8_t protocol,
			      const struct endpoint *child,
			      const struct endpoint *remote);
/* A new flow, PENDING; for it the one that is idle longest may have to go. NULL without
 * memory. There must be none yet. */
struct known_flow *flows_add(struct known_flows *t, uint8_t protocol,
			     const struct endpoint *child, const struct endpoint *remote);
void flows_set_phase(struct known_flows *t, struct known_flow *f, enum flow_phase phase);
void flows_remove(struct known_flows *t, struct known_flow *f);

#endif
