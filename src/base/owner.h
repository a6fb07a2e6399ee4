/* Whose socket is it? The engine, which sees sockets, asks the supervisor, which sees processes. */
#ifndef BASE_OWNER_H
#define BASE_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define OWNER_BATCH 64 /* questions at a time: one bit each */
#define OWNER_COMM_MAX 16
#define OWNER_EXE_MAX 1024 /* a longer path is not told */

struct owner_question {
	uint32_t inode;	  /* of the socket, or 0: that of a ping socket */
	uint8_t protocol; /* then IPPROTO_ICMP or IPPROTO_ICMPV6 ... */
	uint16_t port;	  /* ... and its identifier */
};

/* One for each process that owns some of them; the last one may be for none. */
struct owner_answer {
	uint64_t owns; /* bit n: the socket of question n */
	int pid;       /* as the caller's PID namespace counts */
	char comm[OWNER_COMM_MAX];
	char exe[OWNER_EXE_MAX]; /* "": not known */
	bool last;		 /* of the batch: what has not been told is not known */
	bool cut;		 /* the search took too long; another one goes on */
	uint64_t cost_ns;	 /* CPU time the search took; of the last one */
};

#endif
