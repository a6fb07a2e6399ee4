/* The TCP side of the stack in two files: stack_tcp.c (table, attempts, input, timers) and
 * stack_conn.c (a connection as a channel). */
#ifndef NETIF_STACK_TCP_H
#define NETIF_STACK_TCP_H

#include "base/attempt.h"
#include "base/list.h"
#include "netif/stack_internal.h"

struct tcp_pcb;
struct rx_chunk;

enum conn_state {
	CONN_PARKED, /* a SYN waits for the flow's answer; no pcb */
	CONN_OPEN,   /* a channel, with a pcb until that is gone */
	CONN_CLOSED, /* the owner has closed it; lwIP finishes what was sent, calls nobody */
	CONN_DEAD, /* freed by the next flush */
};

/* The child's SYN, kept until it is answered: all of it that matters. */
struct conn_syn {
	uint32_t seq;
	uint16_t window, mss;
	struct packet_marks marks; /* of its IP header */
	uint8_t window_scale;	   /* 0xff: the option was absent */
};

struct conn {
	struct channel ch;
	struct attempt at;
	struct stack *st;
	struct conn *hash_next;
	enum conn_state state;
	bool hashed;
	uint16_t mss;	   /* the child's */
	struct list tick;  /* on the list of those lwIP's timers must see */
	struct list dirty; /* on the list the next flush works off */
	struct tcp_pcb *pcb;
	struct conn_syn syn;

	/* Child to remote: what on_data did not take. */
	struct rx_chunk *rx_head, *rx_tail;
	size_t rx_stored; /* bytes in the chunks */
	size_t rx_window; /* grows with what the remote takes at once */
	bool eof, eof_told, failed, failed_told, timer_alive;
	int err;

	/* Remote to child: buffers lwIP points into, freed by acknowledgement. */
	struct buf *tx_head, *tx_tail;
	uint64_t tx_queued, tx_acked; /* stream offsets */
	bool tx_blocked, shut, fin_queued, abort_when_acked;

	struct pbuf *rx_new; /* what the running tcp_input() has brought */
};

/* Above these sums a connection may hold the less, in each direction; a segment that would
 * be stored beyond the last one is not taken at all, and the child sends it again later. */
#define CONN_HELD_SOFT ((size_t)48 << 20)
#define CONN_HELD_HARD ((size_t)96 << 20)
#define CONN_HELD_MAX ((size_t)128 << 20)

/* Would storing the segment's data go beyond all bounds? */
bool conn_is_glutted(const struct conn *c);

/* lwIP sees only the mounted connection; every call into lwIP about one stands between. */
void conn_mount(struct conn *c);
/* Learns whether the pcb still exists and what timers it needs. */
void conn_unmount(struct conn *c);
/* Tells the owner what the last call into lwIP has brought. */
void conn_notify(struct conn *c);
/* Works off a dirty connection: window, acknowledgement, notification, end. */
void conn_flush(struct conn *c);
void conn_dirty(struct conn *c);
/* Binds a new pcb to its connection. */
void conn_open(struct conn *c, struct tcp_pcb *pcb);
void conn_free(struct conn *c);

/* Leaves the table of live connections. */
void stack_tcp_forget(struct conn *c);
/* Puts the connection on or off the list that lwIP's timers walk. */
void stack_tcp_tick(struct conn *c, bool needed);
void stack_tcp_dirty(struct conn *c);

#endif
