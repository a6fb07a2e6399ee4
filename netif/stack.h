/*
 * The child's network as the engine sees it: the gateway with its services, TCP attempts and
 * connections, datagrams. The only door to lwIP; its state is global, so one stack a process.
 */
#ifndef NETIF_STACK_H
#define NETIF_STACK_H

#include <uv.h>

#include "base/attempt.h"
#include "base/dgram.h"
#include "base/echo.h"
#include "base/netplan.h"
#include "netif/link.h"

struct stack;

enum stack_drop {
	STACK_DROP_MALFORMED, /* not a packet, or one that contradicts itself */
	STACK_DROP_SPOOFED,   /* not from the child's own address */
	STACK_DROP_MARTIAN,   /* IPv4-mapped address on the wire */
	STACK_DROP_NOISE, /* the kernel's own multicast: ND, MLD, router solicitations */
	STACK_DROP_UNSUPPORTED, /* a protocol nobody serves */
	STACK_DROP_FULL,	/* no room in a table */
	STACK_DROP_COUNT,
};

struct stack_up {
	attempt_fn on_attempt;
	void *attempt_ctx;
	dgram_fn on_dgram;
	void *dgram_ctx;
	echo_fn on_echo; /* NULL: queries are refused */
	void *echo_ctx;
};

/* Serves `link`. NULL without memory. */
struct stack *stack_new(uv_loop_t *loop, struct link *link, const struct netplan *plan,
			const struct stack_up *up);

/* Acknowledges, sends what waits, frees what is finished. To be called before the loop
 * sleeps. */
void stack_flush(struct stack *st);

/* One tick of lwIP's 250 ms clock. Runs by itself while a connection needs it; for tests. */
void stack_timer(struct stack *st);

/* Parked attempts, open connections and connections that lwIP still has to finish. */
size_t stack_connections(const struct stack *st);
/* Frames not taken, by reason. */
const uint64_t *stack_drops(const struct stack *st);

/* Aborts what is left. Its handles are closed when the loop has run; stack_free() then. */
void stack_close(struct stack *st);
void stack_free(struct stack *st);

#endif
