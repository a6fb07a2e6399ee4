/*
 * The engine's loop: readiness of many sockets, with a libuv loop inside for timers and all
 * that is not hot. uv_poll makes seven epoll calls in the life of a short connection, this
 * one; and libuv's own set stands within ours, so that a packet's way crosses one set only.
 *
 * A source is told of each edge and must remember it: after EPOLLIN it reads until a read
 * comes short, after EPOLLOUT it may write until a write does.
 */
#ifndef BASE_POLLER_H
#define BASE_POLLER_H

#include <sys/epoll.h>
#include <uv.h>

#include "base/list.h"

#define POLLER_EVENTS 128

struct poll_source {
	/* `events` are epoll's, or 0 when called for poller_again(). */
	void (*on_ready)(struct poll_source *s, uint32_t events);
	struct list again, retired;
	void *memory;
};

/* Plain memory of the caller; its fields are poller.c's. */
struct poller {
	uv_loop_t *loop;
	int fd;
	struct poll_source libuv;
	bool stopped, libuv_is_ready;
	struct list again, retired;
	struct list turn_end; /* on `again`: what comes behind it waits for the next turn */
	struct epoll_event events[POLLER_EVENTS];
	int next, count; /* of the events being told */
};

/* 0 or -errno. The loop is run by the poller from now on, until poller_close(). */
int poller_init(struct poller *p, uv_loop_t *loop);
void poller_close(struct poller *p);

/* Turns until poller_stop(); `before` is called at the beginning of each. */
void poller_run(struct poller *p, void (*before)(void *ctx), void *ctx);
void poller_stop(struct poller *p);
/* Waits until there is something to do, by the sources or the loop, and does it. */
void poller_turn(struct poller *p);

/* Watches fd for everything, edge-triggered. 0 or -errno. */
int poller_add(struct poller *p, struct poll_source *s, int fd);
/* Tells that fd is readable as long as it is. 0 or -errno. */
int poller_add_level(struct poller *p, struct poll_source *s, int fd);
/* Calls on_ready once more, after the others have had their turn. */
void poller_again(struct poller *p, struct poll_source *s);
/* The source is told nothing more; the caller closes its fd, which ends the watch. `memory`
 * (may be NULL) is freed when no callback can be using it. */
void poller_retire(struct poller *p, struct poll_source *s, void *memory);

#endif
