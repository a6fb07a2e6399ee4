#include "flow/pump.h"

#include "base/util.h"

static struct pump_side *peer_of(struct pump_side *s)
{
	return s == &s->pump->near ? &s->pump->far : &s->pump->near;
}

static void end(struct pump *p, int err)
{
	if (p->ended)
		return;
	p->ended = true;
	p->on_end(p, err);
}

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct pump_side *from = ctx;
	struct channel *to = peer_of(from)->ch;
	ssize_t r = to->ops->send(to, iov, n, owner);

	if (r < 0) {
		end(from->pump, -r);
		return 0;
	}
	from->bytes += r;
	return r;
}

static size_t room(void *ctx)
{
	struct channel *to = peer_of(ctx)->ch;

	return to->ops->room(to);
}

static void on_drain(void *ctx)
{
	struct channel *other = peer_of(ctx)->ch;

	other->ops->recv(other);
}

static void on_eof(void *ctx)
{
	struct pump_side *from = ctx, *to = peer_of(from);

	from->eof = true;
	if (to->eof)
		end(from->pump, 0); /* closing is shutting, and one call less */
	else
		to->ch->ops->shut(to->ch);
}

static void on_closed(void *ctx, int err)
{
	end(((struct pump_side *)ctx)->pump, err);
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
	p->on_end = on_end;
	p->ended = false;
	attach(p, &p->near, near);
	attach(p, &p->far, far);
	far->ops->recv(far); /* may end the pump, and free it */
}

void pump_close(struct pump *p, int err)
{
	p->ended = true;
	p->near.ch->ops->close(p->near.ch, err);
	p->far.ch->ops->close(p->far.ch, err);
}
