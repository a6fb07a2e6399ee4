/*
 * Readiness of many sockets on a libuv loop, edge-triggered: one epoll_ctl per socket and
 * life, where uv_poll makes seven (it probes, and adds and removes on each change of interest).
 *
 * A source is told of each edge and must remember it: after EPOLLIN it reads until a read
 * comes short, after EPOLLOUT it may write until a write does.
 */
#ifndef BASE_POLLER_H
#define BASE_POLLER_H

#include <sys/epoll.h>
#include <uv.h>

#include "base/list.h"

#define POLLER_EVENTS 64

struct poll_source {
	/* `events` are epoll's, or 0 when called for poller_again(). */
	void (*on_ready)(struct poll_source *s, uint32_t events);
	struct list again, retired;
	void *memory;
};

/* Plain memory of the caller; its fields are poller.c's. */
struct poller {
	int fd;
	uv_poll_t poll;
	uv_idle_t idle;	      /* while a source wants its turn again */
	uv_prepare_t prepare; /* frees the retired */
	struct list again, retired;
	struct list turn_end; /* on `again`: what comes behind it waits for the next turn */
	struct epoll_event events[POLLER_EVENTS];
	int next, count; /* of the events being told */
};

/* 0 or -errno. */
int poller_init(struct poller *p, uv_loop_t *loop);
/* The handles are closed when the loop has run. */
void poller_close(struct poller *p);

/* Watches fd for everything. 0 or -errno. */
int poller_add(struct poller *p, struct poll_source *s, int fd);
/* Calls on_ready once more, after the others have had their turn. */
void poller_again(struct poller *p, struct poll_source *s);
/* The source is told nothing more; the caller closes its fd, which ends the watch. `memory`
 * (may be NULL) is freed when no callback can be using it. */
void poller_retire(struct poller *p, struct poll_source *s, void *memory);

#endif
