#include "flow/pump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static struct pump_side *peer_of(struct pump_side *s)
{
	return s == &s->pump->near ? &s->pump->far : &s->pump->near;
}

static void end(struct pump_side *by, int err)
{
	struct pump *p = by->pump;

	if (p->ended)
		return;
	p->ended = true;
	p->failed = err ? by : NULL;
	p->on_end(p, err);
}

/* Returns the bytes taken, or -1 when the pump has ended, and may be gone. */
static ssize_t forward(struct pump_side *from, const struct iovec *iov, int n,
		       struct buf *owner)
{
	struct pump_side *to = peer_of(from);
	ssize_t r = to->ch->ops->send(to->ch, iov, n, owner);

	if (r < 0) {
		end(to, -r);
		return -1;
	}
	from->bytes += r;
	return r;
}

/* False when the pump has ended. */
static bool pass_eof(struct pump_side *from)
{
	struct pump_side *to = peer_of(from);
	bool last = to->eof;

	from->eof = true;
	if (last)
		end(from, 0); /* closing is shutting, and one call less */
	else
		to->ch->ops->shut(to->ch);
	return !last;
}

/* --- what is held back --- */

static bool holds(const struct pump *p)
{
	return p->held;
}

/* False when the pump has ended. */
static bool send_held(struct pump *p)
{
	struct pump_held *h = p->held;
	bool eof;

	while (h->sent < h->len) {
		struct iovec iov = { h->bytes + h->sent, h->len - h->sent };
		ssize_t n = forward(&p->near, &iov, 1, NULL);

		if (n <= 0)
			return n == 0; /* the far side is full: on_drain */
		h->sent += n;
	}
	eof = h->eof;
	p->held = NULL;
	free(h);
	return !eof || pass_eof(&p->near);
}

bool pump_release(struct pump *p)
{
	p->held->on_more = NULL;
	return send_held(p);
}

/* Adds to what is held, as long as it is looked at. Returns the bytes taken. */
static size_t gather(struct pump_held *h, const struct iovec *iov, int n)
{
	size_t taken = 0;

	for (int i = 0; i < n; i++) {
		size_t k = MIN(iov[i].iov_len, PUMP_HELD_MAX - h->len);

		memcpy(h->bytes + h->len, iov[i].iov_base, k);
		h->len += k;
		taken += k;
	}
	return taken;
}

/* What had no room among the held bytes, of which `taken` have been gathered. */
static size_t send_rest(struct pump *p, const struct iovec *iov, int n, size_t taken)
{
	size_t skip = taken, total = taken;

	for (int i = 0; i < n; i++) {
		size_t begin = MIN(skip, iov[i].iov_len);
		struct iovec rest = { (uint8_t *)iov[i].iov_base + begin,
				      iov[i].iov_len - begin };
		ssize_t sent = rest.iov_len ? forward(&p->near, &rest, 1, NULL) : 0;

		if (sent > 0)
			total += sent;
		if (sent != (ssize_t)rest.iov_len)
			break;
		skip -= begin;
	}
	return total;
}

/* Bytes of the near side while some are held. */
static size_t hold(struct pump *p, const struct iovec *iov, int n)
{
	size_t taken;

	if (!p->held->on_more)
		return 0; /* the held ones are on their way: on_drain asks for more */
	taken = gather(p->held, iov, n);
	if (!p->held->on_more(p) || holds(p))
		return taken;
	return send_rest(p, iov, n, taken);
}

/* --- what the channels call --- */

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct pump_side *from = ctx;
	ssize_t n_taken;

	if (from == &from->pump->near && holds(from->pump))
		return hold(from->pump, iov, n);
	n_taken = forward(from, iov, n, owner);
	return n_taken < 0 ? 0 : n_taken;
}

static size_t room(void *ctx)
{
	struct channel *to = peer_of(ctx)->ch;

	return to->ops->room(to);
}

static void on_drain(void *ctx)
{
	struct pump_side *side = ctx;
	struct channel *other = peer_of(side)->ch;

	if (side == &side->pump->far && holds(side->pump) && !side->pump->held->on_more &&
	    (!send_held(side->pump) || holds(side->pump)))
		return;
	other->ops->recv(other);
}

static void on_eof(void *ctx)
{
	struct pump_side *from = ctx;
	struct pump *p = from->pump;

	if (from == &p->near && holds(p)) {
		p->held->eof = true;
		if (p->held->on_more)
			p->held->on_more(p);
		return;
	}
	pass_eof(from);
}

static void on_closed(void *ctx, int err)
{
	end(ctx, err);
}

static const struct channel_up pump_up = {
	.on_data = on_data,
	.room = room,
	.on_drain = on_drain,
	.on_eof = on_eof,
	.on_closed = on_closed,
};

static void attach(struct pump *p, struct pump_side *s, struct channel *ch)
{
	*s = (struct pump_side){ .pump = p, .ch = ch };
	ch->up = &pump_up;
	ch->ctx = s;
}

void pump_start(struct pump *p, struct channel *near, struct channel *far,
		void (*on_end)(struct pump *p, int err))
{
	*p = (struct pump){ .on_end = on_end };
	attach(p, &p->near, near);
	attach(p, &p->far, far);
	far->ops->recv(far); /* may end the pump, and free it */
}

int pump_start_held(struct pump *p, struct channel *near, struct channel *far,
		    void (*on_end)(struct pump *p, int err),
		    bool (*on_more)(struct pump *p))
{
	struct pump_held *h = alloc_but(sizeof(*h), offsetof(struct pump_held, bytes));

	if (!h)
		return -ENOMEM;
	h->on_more = on_more;
	*p = (struct pump){ .on_end = on_end, .held = h };
	attach(p, &p->near, near);
	attach(p, &p->far, far);
	far->ops->recv(far);
	return 0;
}

void pump_close(struct pump *p, int err)
{
	p->ended = true;
	free(p->held);
	p->held = NULL;
	p->near.ch->ops->close(p->near.ch, err);
	p->far.ch->ops->close(p->far.ch, err);
}
