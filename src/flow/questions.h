/* The DNS questions of one port of the child that are under way, for flow/udp.c. */
#ifndef FLOW_QUESTIONS_H
#define FLOW_QUESTIONS_H

#include "base/dgram.h"
#include "flow/dns.h"

/* Plain memory of the caller; its fields are questions.c's but for the first four. */
struct questions {
	struct nameserver *dns;
	struct who *who; /* or NULL */
	struct dgram_port *port;
	/* Each time one is answered or given up; it may end the questions' owner. */
	void (*on_answered)(struct questions *q);
	struct list list;
	size_t count;
};

void questions_init(struct questions *q);
/* Takes a datagram to port 53. It may be answered before this returns. */
void questions_ask(struct questions *q, const struct dgram *d);
/* Gives all of them up. */
void questions_cancel(struct questions *q);

#endif
