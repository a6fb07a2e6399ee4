#include "base/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void on_libuv(struct poll_source *s, uint32_t events)
{
	(void)events;
	container_of(s, struct poller, libuv)->libuv_is_ready = true;
}

static void free_retired(struct poller *p)
{
	while (!list_empty(&p->retired)) {
		struct poll_source *s = list_entry(p->retired.next, struct poll_source,
						   retired);

		list_del(&s->retired);
		free(s->memory);
	}
}

static void tell_events(struct poller *p)
{
	for (p->next = 0; p->next < p->count;) {
		struct epoll_event *e = &p->events[p->next++];
		struct poll_source *s = e->data.ptr;

		if (s)
			s->on_ready(s, e->events);
	}
	p->count = p->next = 0;
}

static void tell_again(struct poller *p)
{
	if (list_empty(&p->again))
		return;
	list_add_tail(&p->again, &p->turn_end);
	while (p->again.next != &p->turn_end) {
		struct poll_source *s = list_entry(p->again.next, struct poll_source,
						   again);

		list_del(&s->again);
		s->on_ready(s, 0);
	}
	list_del(&p->turn_end);
}

void poller_turn(struct poller *p)
{
	int timeout_ms;

	free_retired(p);
	uv_update_time(p->loop);
	timeout_ms = list_empty(&p->again) ? uv_backend_timeout(p->loop) : 0;
	p->count = epoll_wait(p->fd, p->events, POLLER_EVENTS, timeout_ms);
	uv_update_time(p->loop);
	tell_events(p);
	tell_again(p);
	/* A time-out of 0: a timer is due, or the loop has something to set up. */
	if (p->libuv_is_ready || uv_backend_timeout(p->loop) == 0) {
		p->libuv_is_ready = false;
		uv_run(p->loop, UV_RUN_NOWAIT);
	}
}

void poller_run(struct poller *p, void (*before)(void *ctx), void *ctx)
{
	while (!p->stopped) {
		before(ctx);
		poller_turn(p);
	}
}

void poller_stop(struct poller *p)
{
	p->stopped = true;
}

static int add(struct poller *p, struct poll_source *s, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	list_init(&s->again);
	list_init(&s->retired);
	return epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int poller_add(struct poller *p, struct poll_source *s, int fd)
{
	return add(p, s, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int poller_add_level(struct poller *p, struct poll_source *s, int fd)
{
	return add(p, s, fd, EPOLLIN);
}

int poller_init(struct poller *p, uv_loop_t *loop)
{
	int r;

	p->loop = loop;
	p->next = p->count = 0;
	p->stopped = p->libuv_is_ready = false;
	list_init(&p->again);
	list_init(&p->retired);
	list_init(&p->turn_end);
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	p->libuv.on_ready = on_libuv;
	r = poller_add_level(p, &p->libuv, uv_backend_fd(loop));
	if (r)
		close(p->fd);
	return r;
}

void poller_close(struct poller *p)
{
	free_retired(p);
	close(p->fd);
}

void poller_again(struct poller *p, struct poll_source *s)
{
	if (list_empty(&s->again))
		list_add_tail(&p->again, &s->again);
}

void poller_retire(struct poller *p, struct poll_source *s, void *memory)
{
	list_del(&s->again);
	/* Events that wait in this round. */
	for (int i = p->next; i < p->count; i++)
		if (p->events[i].data.ptr == s)
			p->events[i].data.ptr = NULL;
	s->memory = memory;
	list_add_tail(&p->retired, &s->retired);
}
