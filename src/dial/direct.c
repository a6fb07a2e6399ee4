#include "dial/direct.h"

#include "base/util.h"

static struct dial_result dial(struct dialer *dialer, const struct target *t,
			       dial_fn done, void *ctx)
{
	struct direct *d = container_of(dialer, struct direct, dialer);

	return t->probe_ttl ? sock_probe(d->socks, &t->to, t->probe_ttl, done, ctx) :
			      sock_connect(d->socks, &t->to, done, ctx);
}

static const struct dialer_ops direct_ops = {
	.dial = dial,
	.cancel = sock_connect_cancel,
};

void direct_init(struct direct *d, struct sock_set *socks)
{
	d->dialer.ops = &direct_ops;
	d->socks = socks;
}
