/*
 * Theory of operation
 *
 * Any destination is accepted with one listening pcb and unmodified lwIP. A SYN for which no
 * connection exists is parked as an attempt; nothing is answered yet. When the flow has
 * connected (dial first, answer after), the SYN is rebuilt with clean options and given to
 * tcp_input() while the listener bears its destination port; the child's connection is then
 * bound to our netif, so lwIP needs no route. When the flow failed, the same SYN without a
 * listener brings lwIP's reset, or an ICMP error quotes it.
 *
 * One-pcb mount: lwIP walks its list of connections for each segment. We find the connection
 * by our own hash table and show lwIP only that one (conn_mount in stack_conn.c); its timers
 * see only the connections that have something to wait for, so 10,000 idle ones cost nothing.
 *
 * What the child can't do to us: an option list that runs over its end, or an MSS in the
 * middle of a connection, never reaches lwIP's option parser (the SYN is rebuilt, all other
 * segments are given an end-of-options first); duplicate SYNs of a parked attempt are
 * dropped; the table is bounded and a SYN beyond that is refused by a reset.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include "netif/lwip_hooks.h"
#include "netif/stack_tcp.h"

#define BUCKETS 16384
#define CONN_MAX 32768
/* RFC 9293 3.7.1: what an IPv4 host may assume; also keeps gso_size sane. */
#define MSS_DEFAULT 536

struct tcp_table {
	struct stack *st;
	struct conn *bucket[BUCKETS];
	size_t count;
	uint64_t secret;
	struct tcp_pcb_listen *listener;
	struct list dirty, tick;
	uv_timer_t timer; /* lwIP's 250 ms clock; stands still when nobody waits */
};

extern const struct channel_ops conn_channel_ops;

/* --- table --- */

static struct conn **slot(const struct tcp_table *t, const struct addr *remote,
			  uint16_t remote_port, uint16_t child_port)
{
	uint64_t h = t->secret ^ ((uint32_t)remote_port << 16 | child_port), w[2];

	memcpy(w, remote->b, 16);
	h = (h ^ w[0]) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 32) ^ w[1]) * 0x9e3779b97f4a7c15u;
	return (struct conn **)&t->bucket[(h >> 40) % BUCKETS];
}

static struct conn **slot_of(const struct tcp_table *t, const struct conn *c)
{
	return slot(t, &c->at.remote.addr, c->at.remote.port, c->at.child.port);
}

static struct conn *find(const struct tcp_table *t, const struct addr *remote,
			 uint16_t remote_port, uint16_t child_port)
{
	struct conn *c = *slot(t, remote, remote_port, child_port);

	while (c &&
	       !(c->at.child.port == child_port && c->at.remote.port == remote_port &&
		 addr_eq(&c->at.remote.addr, remote)))
		c = c->hash_next;
	return c;
}

void stack_tcp_forget(struct conn *c)
{
	struct conn **p;

	if (!c->hashed)
		return;
	for (p = slot_of(c->st->tcp, c); *p != c; p = &(*p)->hash_next)
		assert(*p);
	*p = c->hash_next;
	c->hashed = false;
}

uint16_t stack_tcp_mss(const struct stack *st, const struct addr *remote,
		       uint16_t remote_port, uint16_t child_port)
{
	const struct conn *c = find(st->tcp, remote, remote_port, child_port);

	return c ? c->mss : 0;
}

size_t stack_tcp_count(const struct stack *st)
{
	return st->tcp->count;
}

void stack_tcp_dirty(struct conn *c)
{
	if (list_empty(&c->dirty))
		list_add_tail(&c->st->tcp->dirty, &c->dirty);
}

static void destroy(struct conn *c)
{
	stack_tcp_forget(c);
	c->st->tcp->count--;
	conn_free(c);
}

/* --- timers --- */

/* Shows lwIP all connections that wait for something, then learns who is left. */
void stack_tcp_timer(struct stack *st)
{
	struct tcp_table *t = st->tcp;
	struct list *pos, *tmp;

	list_for_each (pos, tmp, &t->tick) {
		struct conn *c = list_entry(pos, struct conn, tick);

		c->pcb->next = tcp_active_pcbs;
		tcp_active_pcbs = c->pcb;
	}
	tcp_tmr();
	for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
		struct conn *c = pcb->callback_arg;

		next = pcb->next;
		c->timer_alive = true;
	}
	tcp_active_pcbs = NULL;
	list_for_each (pos, tmp, &t->tick) {
		struct conn *c = list_entry(pos, struct conn, tick);

		if (c->timer_alive)
			tcp_active_pcbs = c->pcb;
		c->timer_alive = false;
		conn_unmount(c);
	}
}

static void on_timer(uv_timer_t *timer)
{
	stack_tcp_timer(container_of(timer, struct tcp_table, timer)->st);
}

void stack_tcp_tick(struct conn *c, bool needed)
{
	struct tcp_table *t = c->st->tcp;

	if (needed == !list_empty(&c->tick))
		return;
	if (needed)
		list_add_tail(&t->tick, &c->tick);
	else
		list_del(&c->tick);
	if (list_empty(&t->tick))
		uv_timer_stop(&t->timer);
	else if (!uv_is_active((uv_handle_t *)&t->timer))
		uv_timer_start(&t->timer, on_timer, TCP_TMR_INTERVAL, TCP_TMR_INTERVAL);
}

void stack_tcp_flush(struct stack *st)
{
	struct list work;

	/* What the owners make dirty meanwhile has its turn before the loop blocks, too. */
	while (!list_empty(&st->tcp->dirty)) {
		work = st->tcp->dirty;
		work.next->prev = work.prev->next = &work;
		list_init(&st->tcp->dirty);
		while (!list_empty(&work)) {
			struct conn *c = list_entry(work.next, struct conn, dirty);

			list_del(&c->dirty);
			conn_flush(c);
			if (c->state == CONN_DEAD)
				destroy(c);
		}
	}
}

/* --- attempts --- */

/* The options of a SYN, read strictly; anything odd is as if it were not there. */
static struct conn_syn parse_syn(const uint8_t *tcp, size_t hlen)
{
	struct conn_syn syn = { .mss = MSS_DEFAULT, .window_scale = 0xff };
	const uint8_t *o = tcp + 20, *end = tcp + hlen;
	uint32_t seq;

	memcpy(&seq, tcp + 4, 4);
	syn.seq = ntohl(seq);
	syn.window = tcp[14] << 8 | tcp[15];
	while (o < end && *o != TCPOPT_EOL) {
		if (*o == TCPOPT_NOP) {
			o++;
			continue;
		}
		if (end - o < 2 || o[1] < 2 || o[1] > end - o)
			break;
		if (o[0] == TCPOPT_MAXSEG && o[1] == TCPOLEN_MAXSEG)
			syn.mss = MAX(o[2] << 8 | o[3], MSS_DEFAULT);
		if (o[0] == TCPOPT_WINDOW && o[1] == TCPOLEN_WINDOW)
			syn.window_scale = MIN(o[2], 14); /* RFC 7323 2.3 */
		o += o[1];
	}
	return syn;
}

/* The parked SYN again, as it goes to lwIP or into an ICMP error. Returns its length. */
static size_t build_syn(const struct conn *c, uint8_t out[static 40 + 28],
			size_t *ip_hlen)
{
	const struct conn_syn *s = &c->syn;
	size_t tcp_hlen = s->window_scale == 0xff ? 24 : 28;
	size_t hlen = packet_ip_header_marked(out, &c->at.child.addr, &c->at.remote.addr,
					      IPPROTO_TCP, &s->marks, tcp_hlen);
	uint8_t *tcp = out + hlen;
	uint32_t seq = htonl(s->seq);

	memset(tcp, 0, 28);
	tcp[0] = c->at.child.port >> 8;
	tcp[1] = c->at.child.port & 255;
	tcp[2] = c->at.remote.port >> 8;
	tcp[3] = c->at.remote.port & 255;
	memcpy(tcp + 4, &seq, 4);
	tcp[12] = tcp_hlen / 4 << 4;
	tcp[13] = TH_SYN;
	tcp[14] = s->window >> 8;
	tcp[15] = s->window & 255;
	memcpy(tcp + 20, (uint8_t[]){ TCPOPT_MAXSEG, 4, s->mss >> 8, s->mss & 255 }, 4);
	if (tcp_hlen == 28)
		memcpy(tcp + 24,
		       (uint8_t[]){ TCPOPT_NOP, TCPOPT_WINDOW, 3, s->window_scale }, 4);
	*ip_hlen = hlen;
	return hlen + tcp_hlen;
}

/* lwIP takes "::" as a source to be chosen, and has none to choose. */
static bool can_be_reset_from(const struct addr *remote)
{
	return !addr_eq(remote, &(struct addr){ 0 });
}

/* With a listener the SYN makes a pcb, without one lwIP answers it by a reset. */
static struct tcp_pcb *feed_syn(struct conn *c, bool listen)
{
	struct tcp_table *t = c->st->tcp;
	uint8_t packet[40 + 28];
	size_t hlen, len = build_syn(c, packet, &hlen);
	struct tcp_pcb *pcb;
	struct pbuf *p = stack_input_begin(c->st, &c->at.child.addr, &c->at.remote.addr,
					   packet, hlen, packet + hlen, len - hlen);

	assert(!tcp_active_pcbs && !tcp_tw_pcbs);
	if (listen) {
		t->listener->local_port = c->at.remote.port;
		tcp_listen_pcbs.listen_pcbs = t->listener;
	}
	tcp_input(p, &c->st->netif);
	tcp_listen_pcbs.listen_pcbs = NULL;
	pcb = tcp_active_pcbs;
	tcp_active_pcbs = NULL;
	return pcb;
}

static struct conn *of_attempt(struct attempt *a)
{
	return container_of(a, struct conn, at);
}

static void attempt_refuse(struct attempt *a, int err)
{
	struct conn *c = of_attempt(a);
	uint8_t packet[40 + 28];
	size_t hlen, len;

	assert(c->state == CONN_PARKED);
	if (!can_be_reset_from(&c->at.remote.addr))
		err = EACCES; /* told by ICMP */
	len = build_syn(c, packet, &hlen);
	if (err != ETIMEDOUT &&
	    (err == ECONNREFUSED || err == EMSGSIZE ||
	     !stack_icmp_error(c->st, packet, len, &c->at.child.addr, err, 0)))
		feed_syn(c, false);
	destroy(c);
}

static void attempt_refuse_as(struct attempt *a, const struct neterror *e)
{
	struct conn *c = of_attempt(a);
	uint8_t packet[40 + 28];
	size_t hlen, len = build_syn(c, packet, &hlen);

	assert(c->state == CONN_PARKED);
	if (!stack_icmp_tell(c->st, packet, len, &c->at.child.addr, e))
		feed_syn(c, false);
	destroy(c);
}

static struct channel *attempt_accept(struct attempt *a)
{
	struct conn *c = of_attempt(a);
	struct tcp_pcb *pcb;

	assert(c->state == CONN_PARKED);
	pcb = feed_syn(c, true);
	if (!pcb) {
		attempt_refuse(a, ECONNREFUSED);
		return NULL;
	}
	c->ch.ops = &conn_channel_ops;
	conn_open(c, pcb);
	stack_tcp_tick(c, true);
	return &c->ch;
}

static const struct attempt_ops attempt_ops = {
	.accept = attempt_accept,
	.refuse = attempt_refuse,
	.refuse_as = attempt_refuse_as,
};

static void park(struct stack *st, const struct packet *pkt, size_t tcp_hlen)
{
	struct tcp_table *t = st->tcp;
	struct conn *c = t->count < CONN_MAX ? calloc(1, sizeof(*c)) : NULL;
	struct conn **s;

	if (!c) {
		stack_drop(st, STACK_DROP_FULL);
		return;
	}
	c->st = st;
	c->state = CONN_PARKED;
	c->at.ops = &attempt_ops;
	c->at.child = (struct endpoint){ pkt->src, pkt->l4[0] << 8 | pkt->l4[1] };
	c->at.remote = (struct endpoint){ pkt->dst, pkt->l4[2] << 8 | pkt->l4[3] };
	c->at.probe_ttl = ttl_is_probe(pkt->ttl) ? pkt->ttl : 0;
	c->syn = parse_syn(pkt->l4, tcp_hlen);
	c->syn.marks = (struct packet_marks){ .ttl = pkt->ttl,
					      .tos = pkt->tos,
					      .ip_id = pkt->ip_id,
					      .dont_fragment = pkt->dont_fragment };
	list_init(&c->tick);
	list_init(&c->dirty);
	t->count++;
	s = slot_of(t, c);
	c->hash_next = *s;
	*s = c;
	c->hashed = true;
	st->up.on_attempt(st->up.attempt_ctx, &c->at);
}

/* --- input --- */

static void feed(struct conn *c, const struct packet *pkt, size_t tcp_hlen)
{
	struct pbuf *p;

	if (tcp_hlen > 20)
		pkt->l4[20] = TCPOPT_EOL;
	p = stack_input_begin(c->st, &pkt->src, &pkt->dst, pkt->ip, pkt->l4 - pkt->ip,
			      pkt->l4, pkt->l4_len);
	conn_mount(c);
	tcp_clear_flags(c->pcb, TF_ACK_DELAY);
	tcp_input(p, &c->st->netif);
	conn_unmount(c);
	conn_notify(c);
}

/* A segment of no connection: lwIP resets it (RFC 9293 3.5.2). */
static void feed_stray(struct stack *st, const struct packet *pkt)
{
	if (!can_be_reset_from(&pkt->dst))
		return stack_drop(st, STACK_DROP_MARTIAN);
	tcp_input(stack_input_begin(st, &pkt->src, &pkt->dst, pkt->ip, pkt->l4 - pkt->ip,
				    pkt->l4, pkt->l4_len),
		  &st->netif);
}

void stack_tcp_input(struct stack *st, const struct packet *pkt)
{
	size_t tcp_hlen;
	uint8_t flags;
	struct conn *c;

	if (pkt->l4_len < 20)
		return stack_drop(st, STACK_DROP_MALFORMED);
	tcp_hlen = (pkt->l4[12] >> 4) * 4u;
	if (tcp_hlen < 20 || tcp_hlen > pkt->l4_len)
		return stack_drop(st, STACK_DROP_MALFORMED);
	flags = pkt->l4[13] & (TH_FIN | TH_SYN | TH_RST | TH_ACK);
	c = find(st->tcp, &pkt->dst, pkt->l4[2] << 8 | pkt->l4[3],
		 pkt->l4[0] << 8 | pkt->l4[1]);
	if (c && c->state != CONN_PARKED) {
		if (pkt->l4_len > tcp_hlen && conn_is_glutted(c))
			return stack_drop(st, STACK_DROP_FULL);
		feed(c, pkt, tcp_hlen);
	} else if (c) {
		if (flags & TH_RST) {
			c->at.on_cancel(c->at.owner);
			destroy(c);
		}
	} else if ((flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN &&
		   pkt->l4[2] | pkt->l4[3]) {
		park(st, pkt, tcp_hlen);
	} else if (flags == TH_ACK && pkt->l4_len == tcp_hlen) {
		/* Nobody waits for the answer but a scanner, which would take a reset of ours
		 * for its target's. */
		stack_drop(st, STACK_DROP_UNSUPPORTED);
	} else {
		feed_stray(st, pkt);
	}
}

/* --- life --- */

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)arg;
	(void)pcb;
	(void)err;
	return ERR_OK; /* known since its SYN was fed */
}

struct tcp_table *stack_tcp_new(struct stack *st)
{
	struct tcp_table *t = calloc(1, sizeof(*t));
	struct tcp_pcb *pcb = t ? tcp_new_ip_type(IPADDR_TYPE_ANY) : NULL;
	struct tcp_pcb *listener;

	if (!pcb) {
		free(t);
		return NULL;
	}
	tcp_bind_netif(pcb, &st->netif);
	listener = tcp_listen(pcb);
	if (!listener) {
		tcp_abort(pcb);
		free(t);
		return NULL;
	}
	tcp_accept(listener, on_accept);
	t->st = st;
	t->listener = (struct tcp_pcb_listen *)listener;
	/* Whatever its port, a stray SYN would meet it: one to port 0, say. */
	tcp_listen_pcbs.listen_pcbs = NULL;
	t->secret = (uint64_t)stack_random32() << 32 | stack_random32();
	list_init(&t->dirty);
	list_init(&t->tick);
	uv_timer_init(st->loop, &t->timer);
	return t;
}

void stack_tcp_close(struct stack *st)
{
	struct tcp_table *t = st->tcp;

	for (size_t i = 0; t->count && i < BUCKETS; i++)
		while (t->bucket[i]) {
			struct conn *c = t->bucket[i];

			assert(c->state == CONN_CLOSED); /* the flows have ended before */
			c->ch.ops->close(&c->ch, ECONNABORTED);
		}
	stack_tcp_flush(st);
	assert(!t->count);
	uv_close((uv_handle_t *)&t->timer, NULL);
}

void stack_tcp_free(struct stack *st)
{
	struct tcp_table *t = st->tcp;

	tcp_close((struct tcp_pcb *)t->listener);
	free(t);
}
