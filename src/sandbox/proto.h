/*
 * What supervisor, engine and init tell each other: one fixed message per packet of a
 * SOCK_SEQPACKET pair. All three run the same binary image, so the layout is the
 * compiler's. End of file on a pair means that the process behind it is dead.
 */
#ifndef SANDBOX_PROTO_H
#define SANDBOX_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/netplan.h"
#include "base/owner.h"

#define PROTO_RESOLVERS_MAX 3 /* as many as resolv.conf(5) counts */

enum proto_type {
	/* supervisor -> init */
	PROTO_ENTERED = 1, /* ids are mapped: the namespaces are yours */
	PROTO_SIGNAL,	   /* .signal, for the command */

	/* init -> supervisor */
	PROTO_STARTED,	   /* .pid, as seen inside; exec has succeeded */
	PROTO_EXEC_FAILED, /* .exec */
	PROTO_STOPPED,	   /* .stop_signal has stopped the command */
	PROTO_CONTINUED,   /* SIGCONT is obeyed: earlier stops are over */
	PROTO_EXITED,	   /* .wait_status; no process is left inside */
	PROTO_FAILED,	   /* .error, before the command ran; also engine -> init */

	/* init -> engine */
	PROTO_TAP,  /* .plan with ipv6 filled in, and the descriptors */
	PROTO_KEYS, /* and the pipe of MOUNTS_KEYS */

	/* engine -> init */
	PROTO_READY, /* the command may start */

	/* supervisor -> engine */
	PROTO_DRAIN,	 /* .drain_timeout_ms: deliver, then exit(0) */
	PROTO_RESOLVERS, /* .resolvers: the host's DNS servers are now these */
	PROTO_FILE,  /* .file and what follows it; without a descriptor nothing does */
	PROTO_OWNER, /* .owner: one of the answers to PROTO_WHOSE */

	/* engine -> supervisor */
	PROTO_DRAINED,	  /* .lost: nothing more comes or goes; now it tidies up */
	PROTO_NEXT_FILE,  /* .file is to be followed by another */
	PROTO_FILE_BEGUN, /* the one that was sent for .file is being written */
	PROTO_WHOSE,	  /* .whose; the next one only when this is answered */
};

/* The descriptors that travel with PROTO_TAP. */
enum {
	PROTO_FD_TAP,
	PROTO_FD_DIAG, /* NETLINK_SOCK_DIAG socket of the child's network namespace */
	PROTO_FD_COUNT,
};

struct proto_msg {
	enum proto_type type;
	union {
		struct error error;
		struct netplan plan;
		struct {
			int number;
			bool from_terminal; /* sent to the whole group */
		} signal;
		struct {
			int code;   /* errno */
			bool found; /* there is such a file: 126, not 127 */
		} exec;
		struct {
			uint64_t flows, bytes;
		} lost;
		struct {
			size_t count; /* not 0 */
			struct endpoint list[PROTO_RESOLVERS_MAX];
		} resolvers;
		unsigned file; /* the engine's number of it */
		struct {
			size_t count;
			struct owner_question list[OWNER_BATCH];
		} whose;
		struct owner_answer owner;
		int pid;
		int stop_signal;
		int wait_status;
		unsigned drain_timeout_ms;
	};
};

/* Sends one message and duplicates of `fds`, which stay the caller's. 0 or -errno. */
int proto_send(int sock, const struct proto_msg *msg, const int *fds, size_t fd_count);

/*
 * Receives one message: 1, 0 at end of file, -errno otherwise (-EPROTO: no message of
 * ours). Up to fd_count descriptors, close-on-exec, become the caller's; missing ones
 * are -1.
 */
int proto_recv(int sock, struct proto_msg *msg, int *fds, size_t fd_count);

/* proto_send() of PROTO_FAILED. */
int proto_send_error(int sock, const struct error *err);

#endif
