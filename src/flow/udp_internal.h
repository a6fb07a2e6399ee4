/* What the files of the datagram flows share; for udp*.c only. */
#ifndef FLOW_UDP_INTERNAL_H
#define FLOW_UDP_INTERNAL_H

#include <sys/socket.h>

#include "flow/hold.h"
#include "flow/outbox.h"
#include "flow/questions.h"
#include "flow/refusals.h"
#include "flow/udp.h"

#define BUCKETS 4096
#define BATCH 32 /* datagrams per recvmmsg */
#define DGRAM_MAX 65536

struct session {
	struct list node;
	struct sessions *table;
	struct dgram_port *port; /* NULL once closed */
	struct questions questions;
	struct list flows, relays;
	size_t refused;		   /* datagrams, of which the child is to hear */
	struct outbox_socket sock; /* none until a datagram is allowed out */
	struct poll_source source;
	struct hold hold;
};

struct udp_flow {
	struct list of_session, by_age;
	struct udp_flow *hash_next;
	struct session *session;
	struct endpoint peer;
	struct dgram last; /* of the child; its data is gone */
	struct names_hold *hold;
	struct who_ask who;
	struct pool_hold
		*name_hold; /* of a synthetic address: the name is what is sent to */
	enum route route;
	struct udp_relay *relay; /* of other routes than ROUTE_DIRECT, once there is one */
	uint64_t id, start_ms, last_ms;
	uint64_t bytes_up, bytes_down, packets_up, packets_down;
	bool answered, conversation, waits;
};

struct sessions {
	struct sessions_deps deps;
	struct outbox out;
	struct refusals refusals;
	struct list sessions;
	size_t socket_count;
	struct list asking, talking; /* flows, oldest first */
	size_t flow_count;
	struct udp_flow *bucket[BUCKETS];
	uv_timer_t expire;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
	_Alignas(struct cmsghdr) uint8_t control[BATCH][2 * CMSG_SPACE(sizeof(int))];
	uint8_t data[BATCH][DGRAM_MAX];
};

/* The session's flow to the peer, or NULL. */
struct udp_flow *udpflow_find(struct session *s, const struct endpoint *peer);
/* Something has come or gone. */
void udpflow_touch(struct udp_flow *f);
/* Ends the flow; the caller settles the session afterwards. */
void udpflow_end(struct udp_flow *f, enum close_reason reason);
/* The session of a port that has none; NULL without memory. */
struct session *udpsession_new(struct sessions *t, struct dgram_port *port);
/* Ends a session that has nothing left to wait for. */
void udpsession_settle(struct session *s);
/* Fills in what all events of a flow bear. */
void udpflow_emit(const struct udp_flow *f, struct event ev);

/* --- udp_admit.c --- */

/* Asks for the verdict of a flow that begins. A refusal is told, and the child hears of it,
 * now or soon. */
bool udpsession_admit(struct sessions *t, struct dgram_port *port, const struct dgram *d,
		      enum route *route);

/* --- udp_socket.c: flows without a proxy --- */

/* 0 or -errno. */
int udpsocket_open(struct session *s);
/* Frees the session, too, when nothing uses it any more. */
void udpsocket_close(struct session *s);
/* The address that datagrams leave from. */
bool udpsocket_endpoints(const struct session *s, struct endpoint *local);

/* --- udp_relay.c: flows through proxies --- */

/* Sends the child's datagram by the flow's route. 0 or -errno, for the child. */
int udprelay_send(struct udp_flow *f, const struct dgram *d);
bool udprelay_endpoints(const struct udp_flow *f, struct endpoint *local,
			struct endpoint *peer);
void udprelay_close_all(struct session *s);

#endif
