/*
 * Malformed frames without end while a hundred connections go on, exactly. Deterministic;
 * STORM=N in the environment sets the number of frames (by hand: 1000000 under ASan).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "peer.h"

#define CONNS 100
#define FRAMES_DEFAULT 50000

struct live {
	struct peer_conn c;
	struct attempt *attempt;
	struct channel *ch;
	uint64_t sent, got;	      /* child to flow, bytes; byte n is n * 7 */
	uint64_t back_sent, back_got; /* flow to child */
};

static struct peer p;
static struct live live[CONNS];
static uint64_t state = 88172645463325252u;

static uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}

static size_t on_data(void *ctx, const struct iovec *iov, int n, struct buf *owner)
{
	struct live *l = ctx;
	const uint8_t *data = iov[0].iov_base;

	(void)n;
	(void)owner;
	for (size_t i = 0; i < iov[0].iov_len; i++)
		assert_int_equal(data[i], (uint8_t)(l->got++ * 7));
	return iov[0].iov_len;
}

static void on_drain(void *ctx)
{
	(void)ctx;
}

static void on_eof(void *ctx)
{
	(void)ctx;
	fail_msg("a connection has ended");
}

static void on_closed(void *ctx, int err)
{
	(void)ctx;
	fail_msg("a connection has failed: %s", strerror(err));
}

static const struct channel_up up = { on_data, on_drain, on_eof, on_closed };

static void on_cancel(void *owner)
{
	(void)owner;
}

static void on_attempt(void *ctx, struct attempt *a)
{
	struct live *l;

	(void)ctx;
	a->on_cancel = on_cancel;
	/* A frame of the storm may be a SYN, too. */
	if (a->child.port < 1000 || a->child.port >= 1000 + CONNS ||
	    a->remote.port != 80) {
		a->ops->refuse(a, ECONNREFUSED);
		return;
	}
	l = &live[a->child.port - 1000];
	assert_null(l->ch);
	l->attempt = a;
}

static void on_dgram(void *ctx, struct dgram_port *port, const struct dgram *d)
{
	(void)ctx;
	port->ops->refuse(port, d->len & 1 ? EACCES : ECONNREFUSED, 0);
}

static struct live *live_of(const struct packet *pkt)
{
	unsigned port = pkt->l4[2] << 8 | pkt->l4[3];

	if (pkt->protocol != IPPROTO_TCP || (pkt->l4[0] << 8 | pkt->l4[1]) != 80 ||
	    port < 1000 || port >= 1000 + CONNS ||
	    !addr_eq(&pkt->src, &live[port - 1000].c.remote))
		return NULL;
	return &live[port - 1000];
}

/* What the stack has sent: connections' bytes in order, all else well-formed. */
static void read_frames(void)
{
	struct peer_frame *f;

	while ((f = peer_next(&p))) {
		struct packet pkt;
		struct live *l;
		const uint8_t *data;
		uint32_t seq;
		size_t len;

		if (f->data[12] == 0x08 && f->data[13] == 0x06)
			continue;
		assert_int_equal(packet_parse(f->data + 14, f->len - 14, &pkt),
				 PACKET_OK);
		l = live_of(&pkt);
		if (!l || !l->ch)
			continue;
		memcpy(&seq, pkt.l4 + 4, 4);
		seq = ntohl(seq);
		if (pkt.l4[13] & TH_SYN) {
			l->c.ack = seq + 1;
			continue;
		}
		data = pkt.l4 + (pkt.l4[12] >> 4) * 4u;
		len = pkt.l4_len - (pkt.l4[12] >> 4) * 4u;
		assert_int_equal(pkt.l4[13] & (TH_RST | TH_FIN), 0);
		if (seq != l->c.ack)
			continue; /* sent again after a forged duplicate acknowledgement */
		for (size_t i = 0; i < len; i++)
			assert_int_equal(data[i], (uint8_t)(l->back_got++ * 11));
		l->c.ack += len;
	}
}

static void establish(unsigned i)
{
	struct live *l = &live[i];

	l->c = (struct peer_conn){
		.port = 1000 + i, .remote_port = 80, .seq = rnd(), .window = 60000
	};
	assert_true(addr_parse(i & 1 ? "2001:db8::7" : "203.0.113.7", &l->c.remote));
	peer_send(&p, &l->c, TH_SYN, NULL, 0, NULL, 0);
	assert_non_null(l->attempt);
	l->ch = l->attempt->ops->accept(l->attempt);
	l->ch->up = &up;
	l->ch->ctx = l;
	read_frames();
	peer_send(&p, &l->c, TH_ACK, NULL, 0, NULL, 0);
}

static void exchange(struct live *l)
{
	uint8_t bytes[1200];
	size_t n = 1 + rnd() % sizeof(bytes);
	struct iovec iov = { bytes, n };

	for (size_t i = 0; i < n; i++)
		bytes[i] = l->sent++ * 7;
	peer_send(&p, &l->c, TH_ACK | TH_PUSH, NULL, 0, bytes, n);
	stack_flush(p.st);
	read_frames();
	for (size_t i = 0; i < n; i++)
		bytes[i] = (l->back_sent + i) * 11;
	assert_int_equal(l->ch->ops->send(l->ch, &iov, 1, NULL), n);
	l->back_sent += n;
	read_frames();
	peer_send(&p, &l->c, TH_ACK, NULL, 0, NULL, 0);
	assert_int_equal(l->got, l->sent);
	assert_int_equal(l->back_got, l->back_sent);
	assert_int_equal(l->ch->ops->unacked(l->ch), 0);
}

/* A frame that is wrong somewhere: noise, or a sound one with some bytes changed. The ports
 * of living connections stay out of it: a forged segment of theirs may end them. */
static void storm(void)
{
	static _Alignas(16) uint8_t area[2 + 2048];
	uint8_t *frame = area + 2, *ip = frame + 14;
	struct virtio_net_hdr vh = { .flags = rnd() & 1 };
	bool v4 = rnd() & 1;
	size_t l4 = rnd() % 1400, n, hlen;
	struct addr dst;

	if (rnd() % 4 == 0) {
		n = rnd() % 1500;
		for (size_t i = 0; i < n; i++)
			frame[i] = rnd();
		link_rx(&p.link, &vh, frame, n);
		return;
	}
	assert_true(addr_parse(v4 ? "203.0.113.7" : "2001:db8::7", &dst));
	memcpy(frame + 12, v4 ? "\x08\x00" : "\x86\xdd", 2);
	hlen = packet_ip_header(ip, v4 ? &p.plan.child4 : &p.plan.child6, &dst,
				(uint8_t[]){ 6, 17, 1, 58, 0, 44, 43, 60 }[rnd() % 8],
				rnd(), l4);
	for (size_t i = 0; i < l4; i++)
		ip[hlen + i] = rnd();
	if (l4 > 13) {
		ip[hlen] = 0xf0; /* source port 0xf0xx */
		ip[hlen + 12] = (5 + rnd() % 11) << 4;
	}
	n = 14 + hlen + l4;
	for (unsigned changes = rnd() % 4; changes; changes--) {
		size_t at = 12 + rnd() % (n - 12);

		if (at != 14 + hlen)
			frame[at] = rnd();
	}
	link_rx(&p.link, &vh, frame, rnd() % 8 ? n : rnd() % (n + 1));
}

static void a_storm_changes_nothing(void **unused)
{
	const char *env = getenv("STORM");
	long frames = env ? atol(env) : FRAMES_DEFAULT;

	(void)unused;
	peer_init(&p,
		  &(struct stack_up){ .on_attempt = on_attempt, .on_dgram = on_dgram });
	for (unsigned i = 0; i < CONNS; i++)
		establish(i);
	for (long i = 0; i < frames; i++) {
		storm();
		read_frames();
		if (i % 50 == 0)
			exchange(&live[rnd() % CONNS]);
		if (i % 1000 == 0)
			peer_timers(&p, 1);
	}
	for (unsigned i = 0; i < CONNS; i++)
		exchange(&live[i]);
	for (unsigned i = 0; i < CONNS; i++)
		live[i].ch->ops->close(live[i].ch, ECONNABORTED);
	assert_true(stack_drops(p.st)[STACK_DROP_MALFORMED] > (uint64_t)frames / 10);
	peer_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_storm_changes_nothing) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
