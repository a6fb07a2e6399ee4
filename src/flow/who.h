/* Which process of the tree has opened what? Found out while the traffic goes on. */
#ifndef FLOW_WHO_H
#define FLOW_WHO_H

#include <uv.h>

#include "base/addr.h"
#include "base/list.h"
#include "base/owner.h"
#include "event/event.h"

struct who;

struct who_key {
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 */
	struct endpoint child, remote; /* the child's port is an echo's identifier */
};

/* One question; lives in what it is about. Zeros: nothing has been asked. */
struct who_ask {
	struct who *who;
	struct list pending, waiting;
	struct who_key key;
	struct who_person *person;
	int tries;
	uint64_t until_ms;
	void (*on_known)(struct who_ask *ask);
};

struct who_deps {
	uv_loop_t *loop;
	/* Sends questions to whoever can see processes; 0 or -errno. Never more than one batch
	 * is under way: its answers go to who_answer(). */
	int (*send)(void *ctx, const struct owner_question *list, size_t count);
	void *ctx;
	bool at_any_cost; /* else within a share of the processor */
};

/* NULL without memory. All functions below do nothing for a NULL who. */
struct who *who_new(const struct who_deps *deps);
/* With a NETLINK_SOCK_DIAG socket of the child's network namespace, which stays the caller's. */
void who_start(struct who *w, int diag);
/* who_free() when the loop has run. */
void who_close(struct who *w);
void who_free(struct who *w);

/*
 * Asks. True: the owner should wait until on_known() is called, once and soon, whether it is
 * known then or not; only while it waits the process can't be gone. False: it must not wait,
 * and on_known() (may be NULL) won't be called; it may become known all the same.
 */
bool who_ask(struct who *w, struct who_ask *ask, const struct who_key *key,
	     void (*on_known)(struct who_ask *ask));
/* What is known by now, or NULL; valid until who_forget(). */
const struct process *who_process(const struct who_ask *ask);
/* Gives up the question, and what is known. May be called twice, and of zeros. */
void who_forget(struct who_ask *ask);

/* At the end of a turn of the loop: sends what has been asked in it. */
void who_flush(struct who *w);
void who_answer(struct who *w, const struct owner_answer *answer);

#endif
