/*
 * Theory of operation
 *
 * What a session sends through a proxy goes by a relay (base/relay.h) of its own, so that
 * the far end sees one source for one socket of the child. A flow to a synthetic address is
 * sent to its name, and what comes back bears the address that the proxy has found for the
 * name. Which flow it belongs to is told by the relay and the port, so a session has another
 * relay for a second name with the same port: guessing would hand one host's answers to the
 * child as another's.
 *
 * When the relay is gone the child is told "port unreachable" about the last datagram of each
 * flow that used it, and the next datagram of any opens a new one. When the proxy has said
 * that it carries no datagrams the flows end: the policy is asked again, and knows.
 */
#include "flow/udp_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define TOLD_MAX 64 /* flows of one relay */

struct udp_relay {
	struct list node; /* on session.relays */
	struct session *session;
	enum route route;
	struct relay *relay;
};

static const struct relayer_ops *ops_of(const struct udp_relay *r)
{
	return r->session->table->deps.dialers->relayers[r->route]->ops;
}

static void relay_close(struct udp_relay *r)
{
	ops_of(r)->close(r->relay);
	list_del(&r->node);
	free(r);
}

void udprelay_close_all(struct session *s)
{
	while (!list_empty(&s->relays))
		relay_close(list_entry(s->relays.next, struct udp_relay, node));
}

/* --- from the proxy --- */

static bool is_from(const struct udp_flow *f, const struct relay_peer *from)
{
	if (f->name_hold && from->name)
		return f->peer.port == from->at.port &&
		       !strcmp(pool_hold_name(f->name_hold), from->name);
	return f->name_hold && f->peer.port == from->at.port;
}

static struct udp_flow *flow_of(const struct udp_relay *r, const struct relay_peer *from)
{
	struct udp_flow *f = from->name ? NULL : udpflow_find(r->session, &from->at);
	struct list *pos, *tmp;

	if (f && f->relay == r && !f->name_hold)
		return f;
	list_for_each (pos, tmp, &r->session->flows) {
		f = list_entry(pos, struct udp_flow, of_session);
		if (f->relay == r && is_from(f, from))
			return f;
	}
	return NULL;
}

static void on_datagram(void *ctx, const struct relay_peer *from, const void *data,
			size_t len)
{
	struct udp_relay *r = ctx;
	struct udp_flow *f = flow_of(r, from);
	struct iovec iov = { (void *)data, len };
	struct dgram_port *port = r->session->port;

	if (!f)
		return; /* the child has not written to it */
	f->answered = true;
	f->bytes_down += len;
	f->packets_down++;
	udpflow_touch(f);
	port->ops->send(port, &f->peer, &iov, 1);
}

static void tell_unreachable(const struct udp_flow *f)
{
	struct dgram_port *port = f->session->port;

	port->ops->error(port, &f->last, "", 0,
			 &(struct neterror){ .err = ECONNREFUSED });
}

static void on_gone(void *ctx, bool refused, const char *why)
{
	struct udp_relay *r = ctx;
	struct session *s = r->session;
	struct sessions *t = s->table;
	enum route route = r->route;
	struct list *pos, *tmp;
	int told = 0;

	log_info("a relay for datagrams is gone: %s", why);
	if (refused && t->deps.no_datagrams)
		t->deps.no_datagrams(t->deps.ctx, route, why);
	list_for_each (pos, tmp, &s->flows) {
		struct udp_flow *f = list_entry(pos, struct udp_flow, of_session);

		if (f->relay != r)
			continue;
		if (told++ < TOLD_MAX)
			tell_unreachable(f);
		f->relay = NULL;
		if (refused)
			udpflow_end(f, CLOSE_REMOTE_RESET);
	}
	relay_close(r);
	udpsession_settle(s);
}

static const struct relay_up up = { on_datagram, on_gone };

/* --- to the proxy --- */

/* Another name with that port would get the answers. */
static bool has_name_with_port(const struct udp_relay *r, uint16_t port)
{
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &r->session->flows) {
		const struct udp_flow *f = list_entry(pos, struct udp_flow, of_session);

		if (f->relay == r && f->name_hold && f->peer.port == port)
			return true;
	}
	return false;
}

static struct udp_relay *find(const struct udp_flow *f)
{
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &f->session->relays) {
		struct udp_relay *r = list_entry(pos, struct udp_relay, node);

		if (r->route == f->route &&
		    !(f->name_hold && has_name_with_port(r, f->peer.port)))
			return r;
	}
	return NULL;
}

static struct udp_relay *open_relay(const struct udp_flow *f)
{
	struct session *s = f->session;
	const struct dialers *dialers = s->table->deps.dialers;
	struct relayer *relayer = dialers ? dialers->relayers[f->route] : NULL;
	struct udp_relay *r = relayer ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	r->session = s;
	r->route = f->route;
	r->relay = relayer->ops->open(relayer, &up, r);
	if (!r->relay) {
		free(r);
		return NULL;
	}
	list_add_tail(&s->relays, &r->node);
	return r;
}

int udprelay_send(struct udp_flow *f, const struct dgram *d)
{
	struct relay_peer to = { .at = d->to };

	if (f->name_hold)
		to.name = pool_hold_name(f->name_hold);
	if (!f->relay)
		f->relay = find(f);
	if (!f->relay)
		f->relay = open_relay(f);
	if (!f->relay)
		return -ENOBUFS;
	return ops_of(f->relay)->send(f->relay->relay, &to, d->data, d->len);
}

bool udprelay_endpoints(const struct udp_flow *f, struct endpoint *local,
			struct endpoint *peer)
{
	return f->relay && ops_of(f->relay)->endpoints(f->relay->relay, local, peer);
}
