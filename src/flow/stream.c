/* Messages come with their length in front (RFC 7766) and are answered as they are ready. */
#include "flow/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Messages of one TCP connection under way at a time; more wait in its window. */
#define STREAM_ASKS_MAX 32
#define STREAM_MAX 256
/* RFC 7766 6.2.3: some seconds; clients of a library keep theirs open while they live. */
#define STREAM_IDLE_MS 30000

struct stream {
	struct list node; /* on streams.open */
	struct streams *table;
	struct channel *ch;
	struct nameserver_client who;
	struct who_ask asker;
	bool waits; /* for who asks; nothing is read meanwhile */
	uv_timer_t idle;
	struct list asks;
	size_t ask_count, got;
	bool eof, closed, blocked;
	uint8_t in[2 + MSG_MAX]; /* the message being read, with its length in front */
};

struct stream_ask {
	struct list node;
	struct stream *stream;
	struct nameserver_ask *ask;
};

static void on_idle_closed(uv_handle_t *h)
{
	free(container_of((uv_timer_t *)h, struct stream, idle));
}

static void stream_close(struct stream *s, int err)
{
	if (s->closed)
		return;
	s->closed = true;
	while (!list_empty(&s->asks)) {
		struct stream_ask *a = list_entry(s->asks.next, struct stream_ask, node);

		list_del(&a->node);
		nameserver_cancel(a->ask);
		free(a);
	}
	list_del(&s->node);
	who_forget(&s->asker);
	s->table->count--;
	s->ch->ops->close(s->ch, err);
	uv_close((uv_handle_t *)&s->idle, on_idle_closed);
}

static void on_idle(uv_timer_t *timer)
{
	stream_close(container_of(timer, struct stream, idle), 0);
}

static void touch(struct stream *s)
{
	uv_timer_start(&s->idle, on_idle, STREAM_IDLE_MS, 0);
}

static void stream_answer(struct stream *s, const uint8_t *answer, size_t len)
{
	uint8_t prefix[2] = { len >> 8, len & 255 };
	struct iovec iov[2] = { { prefix, 2 }, { (void *)answer, len } };

	/* A client that asks without reading has no claim on our memory. */
	if (s->ch->ops->send(s->ch, iov, 2, NULL) != (ssize_t)len + 2)
		stream_close(s, ECONNABORTED);
}

static void on_answer(void *ctx, const uint8_t *answer, size_t len)
{
	struct stream_ask *a = ctx;
	struct stream *s = a->stream;

	list_del(&a->node);
	free(a);
	s->ask_count--;
	touch(s);
	if (len)
		stream_answer(s, answer, len);
	else
		stream_close(s, ECONNABORTED);
	if (s->closed)
		return;
	if (s->eof && !s->ask_count) {
		stream_close(s, 0);
	} else if (s->blocked) {
		s->blocked = false;
		s->ch->ops->recv(s->ch);
	}
}

static void ask_one(struct stream *s, const uint8_t *query, size_t len)
{
	struct stream_ask *a = calloc(1, sizeof(*a));
	struct nameserver_ask *ask;

	if (!a)
		return stream_close(s, ENOMEM);
	a->stream = s;
	list_add_tail(&s->asks, &a->node);
	s->ask_count++;
	ask = nameserver_ask(s->table->svc, &s->who, query, len, on_answer, a);
	if (ask)
		a->ask = ask;
}

/* Copies from the channel until a message is whole; returns the bytes taken. */
static size_t take(struct stream *s, const uint8_t *data, size_t len)
{
	size_t want = s->got < 2 ? 2 : 2 + (size_t)(s->in[0] << 8 | s->in[1]);
	size_t n = MIN(len, want - s->got);

	memcpy(s->in + s->got, data, n);
	s->got += n;
	return n;
}

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct stream *s = ctx;
	size_t taken = 0;

	(void)owner;
	touch(s);
	s->blocked = s->waits;
	if (s->waits)
		return 0;
	for (int i = 0; i < n; i++) {
		const uint8_t *data = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left && !s->closed && s->ask_count < STREAM_ASKS_MAX) {
			size_t k = take(s, data, left);

			data += k;
			left -= k;
			taken += k;
			if (s->got > 2 &&
			    s->got == 2 + (size_t)(s->in[0] << 8 | s->in[1])) {
				s->got = 0;
				ask_one(s, s->in + 2, s->in[0] << 8 | s->in[1]);
			} else if (s->got == 2 && !(s->in[0] | s->in[1])) {
				stream_close(s,
					     ECONNABORTED); /* an empty message is none */
			}
		}
		s->blocked = left > 0;
	}
	return taken;
}

static void on_eof(void *ctx)
{
	struct stream *s = ctx;

	s->eof = true;
	if (!s->ask_count)
		stream_close(s, 0);
}

static void on_closed(void *ctx, int err)
{
	stream_close(ctx, err);
}

static void on_drain(void *ctx)
{
	(void)ctx; /* an answer that does not fit closes the stream */
}

static const struct channel_up stream_up = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_eof = on_eof,
	.on_closed = on_closed,
};

static void on_known(struct who_ask *asker)
{
	struct stream *s = container_of(asker, struct stream, asker);

	s->waits = false;
	if (!s->blocked)
		return;
	s->blocked = false;
	s->ch->ops->recv(s->ch);
}

void streams_init(struct streams *t, const struct nameserver_deps *deps,
		  struct nameserver *svc)
{
	t->loop = deps->loop;
	t->attribution = deps->attribution;
	t->svc = svc;
	t->count = 0;
	list_init(&t->open);
}

void streams_accept(struct streams *t, struct channel *near, const struct endpoint *child,
		    const struct endpoint *to)
{
	struct stream *s = t->count < STREAM_MAX ? malloc(sizeof(*s)) : NULL;

	if (!s)
		return near->ops->close(near, ECONNABORTED);
	s->table = t;
	s->ch = near;
	s->who = (struct nameserver_client){
		.protocol = IPPROTO_TCP, .child = *child, .to = *to, .who = &s->asker
	};
	s->asker = (struct who_ask){ 0 };
	s->waits = who_ask(t->attribution, &s->asker,
			   &(struct who_key){ IPPROTO_TCP, *child, *to }, on_known);
	list_init(&s->asks);
	s->ask_count = s->got = 0;
	s->eof = s->closed = s->blocked = false;
	uv_timer_init(t->loop, &s->idle);
	list_add_tail(&t->open, &s->node);
	t->count++;
	near->up = &stream_up;
	near->ctx = s;
	touch(s);
}

void streams_close(struct streams *t)
{
	while (!list_empty(&t->open))
		stream_close(list_entry(t->open.next, struct stream, node), ECONNABORTED);
}
