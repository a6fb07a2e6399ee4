/*
 * A child's kernel in miniature: builds frames for the stack under test and reads what it
 * answers, through a link driver in memory. Everything happens in the calls; time stands
 * still unless the loop is run.
 */
#ifndef TESTS_NETIF_PEER_H
#define TESTS_NETIF_PEER_H

#include <netinet/tcp.h>
#include <uv.h>

#include "netif/packet.h"
#include "netif/stack.h"

#define PEER_FRAMES 64

struct peer_frame {
	struct virtio_net_hdr vh;
	size_t len;
	_Alignas(16) uint8_t pad[2]; /* aligns the IP header */
	uint8_t data[66000];
};

struct peer {
	struct link link;
	uv_loop_t loop;
	struct netplan plan;
	struct stack *st;
	bool refuse_gso; /* as a kernel does that knows no such super-segment */
	int refusals;
	unsigned head, tail;
	struct peer_frame frames[PEER_FRAMES]; /* what the stack sent */
};

/* A TCP segment as the peer reads it. */
struct peer_segment {
	struct packet ip;
	uint8_t flags;
	uint32_t seq, ack;
	uint16_t window, gso_size;
	const uint8_t *options, *data;
	size_t options_len, data_len;
};

/* One end of a connection, the child's. */
struct peer_conn {
	struct addr remote;
	uint16_t port, remote_port;
	uint32_t seq, ack; /* next to send, next expected */
	uint16_t window;
	uint8_t ttl; /* 0: a kernel's */
};

void peer_init(struct peer *p, const struct stack_up *up);
/* Ends the stack and asserts that the loop closes empty. */
void peer_fini(struct peer *p);

/* Lets lwIP's timers tick n times (250 ms each) without waiting. */
void peer_timers(struct peer *p, unsigned n);

/* Sends an IP packet in a frame from the child. */
void peer_send_ip(struct peer *p, const uint8_t *ip, size_t len, bool checksummed);
/* Sends a segment; advances c->seq by what it takes of the sequence space. */
void peer_send(struct peer *p, struct peer_conn *c, uint8_t flags, const void *options,
	       size_t options_len, const void *data, size_t len);
/* The next frame the stack sent, or NULL. */
struct peer_frame *peer_next(struct peer *p);
/* The same, which must be a TCP segment of this connection; advances c->ack. */
bool peer_next_segment(struct peer *p, struct peer_conn *c, struct peer_segment *out);

#endif
