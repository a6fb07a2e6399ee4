/*
 * The stack under a hostile child: raw frames of any content, and well-formed handshakes so
 * that connections reach ESTABLISHED and what follows is read by lwIP with live state. The
 * flow side's answers (accept, refuse, how much it takes, what it sends) are input, too.
 *
 * The input is a list of operations, each an opcode and its operands. Found are crashes,
 * lwIP's and our assertions, and what the sanitizers see.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "fuzz.h"
#include "tests/unit/netif/peer.h"

#define CONNS 8

struct fuzz_conn {
	struct peer_conn c;
	struct attempt *attempt;
	struct channel *ch;
	size_t budget;
};

static struct peer p;
static struct fuzz_conn conns[CONNS];
static struct dgram_port *ports[CONNS];

struct input {
	const uint8_t *p;
	size_t left;
};

static unsigned byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static const uint8_t *bytes(struct input *in, size_t max, size_t *n)
{
	unsigned high = byte(in), low = byte(in);
	const uint8_t *at = in->p;

	*n = MIN(MIN((size_t)(high << 8 | low), max), in->left);
	in->p += *n;
	in->left -= *n;
	return at;
}

/* --- the flow side --- */

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct fuzz_conn *f = ctx;
	size_t take = MIN(f->budget, iov[0].iov_len);

	(void)n;
	(void)owner;
	f->budget -= take;
	return take;
}

static void on_drain(void *ctx)
{
	(void)ctx;
}

static void on_eof(void *ctx)
{
	(void)ctx;
}

static void on_closed(void *ctx, int err)
{
	struct fuzz_conn *f = ctx;
	struct channel *ch = f->ch;

	(void)err;
	f->ch = NULL;
	ch->ops->close(ch, ECONNRESET);
}

static const struct channel_up up = { on_data, on_drain, on_eof, on_closed };

static void on_cancel(void *owner)
{
	((struct fuzz_conn *)owner)->attempt = NULL;
}

static void on_attempt(void *ctx, struct attempt *a)
{
	(void)ctx;
	for (int i = 0; i < CONNS; i++)
		if (!conns[i].attempt && !conns[i].ch &&
		    conns[i].c.port == a->child.port) {
			conns[i].attempt = a;
			a->owner = &conns[i];
			a->on_cancel = on_cancel;
			return;
		}
	a->ops->refuse(a, ECONNREFUSED);
}

static void on_dgram(void *ctx, struct dgram_port *port, const struct dgram *d)
{
	struct dgram_port **slot = &ports[port->child.port % CONNS];

	(void)ctx;
	if (*slot && *slot != port)
		return port->ops->refuse(port, EACCES, 0);
	*slot = port;
	port->owner = slot;
	port->ops->send(port, &d->to, &(struct iovec){ (void *)d->data, d->len }, 1);
	port->ops->error(port, d, d->data, d->len,
			 &(struct neterror){ .err = EMSGSIZE, .info = 1280 });
}

/* The answer, and an error from wherever the data says. */
static void on_echo(void *ctx, struct echo_near *n, const struct echo *query)
{
	struct neterror e = { .type = query->seq & 255,
			      .code = query->id & 255,
			      .router = query->peer };
	struct echo reply = *query;

	(void)ctx;
	reply.type = echo_reply_type(addr_is_v4(&query->peer), query->type);
	n->ops->reply(n, &reply);
	memcpy(e.router.b + 12, query->data, MIN(query->len, 4u));
	n->ops->error(n, query, query->len, &e);
}

/* --- the child side --- */

/* Keeps the acknowledgement numbers, as a kernel would. */
static void read_answers(void)
{
	struct peer_frame *f;

	while ((f = peer_next(&p))) {
		struct packet pkt;

		/* Whatever came in, what goes out is well-formed. */
		if (f->len < PACKET_ETH_LEN)
			abort();
		if (f->data[12] != 0x08 && f->data[12] != 0x86)
			abort();
		if (f->data[13] == 0x06)
			continue; /* ARP */
		if (packet_parse(f->data + PACKET_ETH_LEN, f->len - PACKET_ETH_LEN,
				 &pkt) != PACKET_OK)
			abort();
		for (int i = 0; pkt.protocol == IPPROTO_TCP && i < CONNS; i++) {
			struct peer_conn *c = &conns[i].c;
			uint32_t seq;

			if ((pkt.l4[2] << 8 | pkt.l4[3]) != c->port)
				continue;
			memcpy(&seq, pkt.l4 + 4, 4);
			seq = ntohl(seq);
			if (pkt.l4[13] & TH_SYN)
				c->ack = seq + 1;
			else if (seq == c->ack)
				c->ack += pkt.l4_len - (pkt.l4[12] >> 4) * 4u +
					  !!(pkt.l4[13] & TH_FIN);
		}
	}
}

static void conn_reset(int i, unsigned choice)
{
	struct peer_conn *c = &conns[i].c;

	*c = (struct peer_conn){ .port = 1000 + i,
				 .remote_port = 80,
				 .seq = choice << 20 };
	c->window = choice & 1 ? 0 : choice << 8;
	addr_parse(choice & 2 ? "2001:db8::1" : "203.0.113.1", &c->remote);
}

static void child_op(struct input *in, struct fuzz_conn *f, unsigned op)
{
	static const uint8_t flags[] = { TH_ACK,	  TH_ACK | TH_PUSH,
					 TH_FIN | TH_ACK, TH_RST,
					 TH_SYN,	  TH_SYN | TH_ACK,
					 TH_ACK | TH_URG, 0 };
	const uint8_t *options, *data;
	size_t options_len, len;
	unsigned how = byte(in);

	if (op == 0) {
		conn_reset(f - conns, how);
		options = bytes(in, 40, &options_len);
		peer_send(&p, &f->c, TH_SYN, options, options_len & ~3u, NULL, 0);
		return;
	}
	if (how & 0x40)
		f->c.seq += (int8_t)byte(in) * 100;
	if (how & 0x20)
		f->c.window = byte(in) << 8 | byte(in);
	options = bytes(in, how & 0x10 ? 40 : 0, &options_len);
	data = bytes(in, 9000, &len);
	peer_send(&p, &f->c, flags[how & 7], options, options_len & ~3u, data, len);
	if (how & 0x40)
		f->c.seq -= 100;
}

static void flow_op(struct input *in, struct fuzz_conn *f)
{
	static const int errors[] = { ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, EACCES };
	unsigned op = byte(in) % 7;
	struct buf *b;

	if (f->attempt && op < 3) {
		struct attempt *a = f->attempt;

		f->attempt = NULL;
		f->ch = a->ops->accept(a);
		if (f->ch) {
			f->ch->up = &up;
			f->ch->ctx = f;
		}
	} else if (f->attempt && op == 3) {
		struct attempt *a = f->attempt;

		f->attempt = NULL;
		a->ops->refuse(a, errors[byte(in) % ARRAY_SIZE(errors)]);
	} else if (f->ch && op == 4) {
		struct channel *ch = f->ch;

		f->ch = NULL;
		ch->ops->close(ch, byte(in) & 1 ? ECONNRESET : 0);
	} else if (f->ch && op == 5) {
		f->ch->ops->shut(f->ch);
	} else if (f->ch && op == 6) {
		f->budget += byte(in) << 6;
		f->ch->ops->recv(f->ch);
	} else if (f->ch && (b = buf_new())) {
		struct iovec iov = { b->data, 1 + (byte(in) << 8) };

		memset(b->data, 'x', iov.iov_len);
		f->ch->ops->send(f->ch, &iov, 1, byte(in) & 1 ? b : NULL);
		buf_unref(b);
	}
}

static void raw_op(struct input *in, unsigned how)
{
	static _Alignas(16) uint8_t area[2 + 66000];
	uint8_t *frame = area + 2;
	struct virtio_net_hdr vh = { .flags = how & 1 ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0 };
	size_t n;
	const uint8_t *data = bytes(in, 9000, &n);

	memcpy(frame, data, n);
	/* Past the first checks: from the child's own address, with a right header. */
	if (how & 2 && n >= PACKET_ETH_LEN + 20) {
		uint8_t *ip = frame + PACKET_ETH_LEN;
		size_t hlen = (ip[0] & 15) * 4u;
		uint16_t sum;

		memcpy(frame + 12, "\x08\x00", 2);
		ip[0] = 0x40 | (ip[0] & 15);
		ip[2] = (n - PACKET_ETH_LEN) >> 8;
		ip[3] = n - PACKET_ETH_LEN;
		memcpy(ip + 12, p.plan.child4.b + 12, 4);
		if (hlen >= 20 && hlen <= n - PACKET_ETH_LEN) {
			memset(ip + 10, 0, 2);
			sum = ~packet_sum(ip, hlen, 0);
			memcpy(ip + 10, &sum, 2);
		}
	} else if (how & 4 && n >= PACKET_ETH_LEN + 40) {
		uint8_t *ip = frame + PACKET_ETH_LEN;

		memcpy(frame + 12, "\x86\xdd", 2);
		ip[0] = 0x60;
		ip[4] = (n - PACKET_ETH_LEN - 40) >> 8;
		ip[5] = n - PACKET_ETH_LEN - 40;
		memcpy(ip + 8, p.plan.child6.b, 16);
	}
	link_rx(&p.link, &vh, frame, n);
}

static void one_op(struct input *in)
{
	unsigned op = byte(in);
	struct fuzz_conn *f = &conns[op >> 5];

	switch (op & 7) {
	case 0:
	case 1:
	case 2:
		child_op(in, f, op & 7);
		break;
	case 3:
	case 4:
		flow_op(in, f);
		break;
	case 5:
		raw_op(in, op >> 3);
		break;
	case 6:
		stack_flush(p.st);
		break;
	case 7:
		peer_timers(&p, 1 + (op >> 3));
		break;
	}
	read_answers();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	memset(conns, 0, sizeof(conns));
	memset(ports, 0, sizeof(ports));
	for (int i = 0; i < CONNS; i++)
		conn_reset(i, 2 * i);
	peer_init(&p, &(struct stack_up){ .on_attempt = on_attempt,
					  .on_dgram = on_dgram,
					  .on_echo = on_echo });
	while (in.left)
		one_op(&in);
	for (int i = 0; i < CONNS; i++) {
		if (conns[i].attempt)
			conns[i].attempt->ops->refuse(conns[i].attempt, ETIMEDOUT);
		if (conns[i].ch)
			conns[i].ch->ops->close(conns[i].ch, ECONNABORTED);
		if (ports[i])
			ports[i]->ops->close(ports[i]);
	}
	peer_fini(&p);
	return 0;
}
