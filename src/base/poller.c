#include "base/poller.h"

#include <errno.h>
#include <stdlib.h>

/* Rounds of epoll_wait per wake-up: the tap gets its turn. */
#define ROUNDS 4

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct poller *p = container_of(poll, struct poller, poll);

	(void)status;
	(void)events;
	for (int round = 0; round < ROUNDS; round++) {
		p->count = epoll_wait(p->fd, p->events, POLLER_EVENTS, 0);
		for (p->next = 0; p->next < p->count;) {
			struct epoll_event *e = &p->events[p->next++];
			struct poll_source *s = e->data.ptr;

			if (s)
				s->on_ready(s, e->events);
		}
		if (p->count < POLLER_EVENTS)
			break;
	}
	p->count = p->next = 0;
}

static void on_idle(uv_idle_t *idle)
{
	struct poller *p = container_of(idle, struct poller, idle);

	if (list_empty(&p->again)) {
		uv_idle_stop(idle);
		return;
	}
	list_add_tail(&p->again, &p->turn_end);
	while (p->again.next != &p->turn_end) {
		struct poll_source *s = list_entry(p->again.next, struct poll_source,
						   again);

		list_del(&s->again);
		s->on_ready(s, 0);
	}
	list_del(&p->turn_end);
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

static void on_prepare(uv_prepare_t *prepare)
{
	free_retired(container_of(prepare, struct poller, prepare));
}

int poller_init(struct poller *p, uv_loop_t *loop)
{
	int r;

	p->next = p->count = 0;
	list_init(&p->again);
	list_init(&p->retired);
	list_init(&p->turn_end);
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	r = uv_poll_init(loop, &p->poll, p->fd);
	if (r) {
		close(p->fd);
		return r;
	}
	uv_idle_init(loop, &p->idle);
	uv_prepare_init(loop, &p->prepare);
	uv_prepare_start(&p->prepare, on_prepare);
	uv_poll_start(&p->poll, UV_READABLE, on_poll);
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	close(container_of((uv_poll_t *)h, struct poller, poll)->fd);
}

void poller_close(struct poller *p)
{
	free_retired(p);
	uv_close((uv_handle_t *)&p->poll, on_closed);
	uv_close((uv_handle_t *)&p->idle, NULL);
	uv_close((uv_handle_t *)&p->prepare, NULL);
}

int poller_add(struct poller *p, struct poll_source *s, int fd)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = s,
	};

	list_init(&s->again);
	list_init(&s->retired);
	return epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void poller_again(struct poller *p, struct poll_source *s)
{
	if (!list_empty(&s->again))
		return;
	list_add_tail(&p->again, &s->again);
	uv_idle_start(&p->idle, on_idle);
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
