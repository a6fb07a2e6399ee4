/*
 * Theory of operation
 *
 * A TCP connection of the child as a channel. lwIP's callbacks only note what happened; the
 * owner is told after tcp_input() has returned (conn_notify), so the owner may close, abort
 * or send on any connection from within its callbacks without lwIP being on the stack.
 *
 * Child to remote: the bytes of a segment are offered to the owner straight from the frame.
 * What it does not take is copied into chunks and its window is not given back, so a slow
 * remote closes the child's window. That begins at 64 KiB and grows to TCP_WND with what the
 * remote takes at once. When the child resets, what it was acknowledged is still delivered
 * before the owner hears of it.
 *
 * Remote to child: counted buffers are queued without a copy (small pieces are copied, they
 * would pin 64 KiB each) and released by stream offset as the child acknowledges. pcb->mss
 * is raised to a whole buffer once the SYN is parsed: lwIP then builds one super-segment per
 * buffer, which stack.c sends with the child's real MSS as gso_size.
 *
 * Memory: `held` in struct stack is the sum of what connections keep in both directions.
 * The more it is, the less each may add to it (share); those whose readers are quick keep
 * next to nothing and don't notice. The delay of the world outside is not our matter: it is
 * the host's sockets that hold a window for it, and they grow as the host's own do.
 *
 * Acknowledgements: TF_ACK_DELAY is cleared before each segment, so that lwIP never
 * acknowledges every second one; the flush at the end of the batch sends one for all.
 *
 * Whether a pcb still exists is read off lwIP's lists after each call, because lwIP frees
 * some without telling (and tells of others more than once).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include "netif/stack_tcp.h"

/* Below this a piece is copied: cheaper than holding a 64 KiB buffer for it. */
#define COPY_BELOW 16384
/* Chunks for what the remote would not take; small segments share one. */
#define CHUNK_MIN 4096
#define WINDOW_FIRST 65535
#define SHARE_SOFT 65536
#define SHARE_HARD 8192
/* A sender waits rather than fill less than a segment, so a window holds some of them. */
#define SEGMENTS_MIN 4
/* The least by which lwIP moves the window's edge when it announces it. */
#define EDGE_STEP 536

struct rx_chunk {
	struct rx_chunk *next;
	uint32_t begin, end, cap;
	uint8_t data[];
};

static struct conn *to_conn(struct channel *ch)
{
	return container_of(ch, struct conn, ch);
}

/* --- memory --- */

/* What the connection may hold in one direction, as things stand. */
static size_t share(const struct conn *c)
{
	size_t held = c->st->held;
	size_t max = held < CONN_HELD_SOFT ? TCP_WND :
		     held < CONN_HELD_HARD ? SHARE_SOFT :
					     SHARE_HARD;

	return MAX(max, SEGMENTS_MIN * (size_t)c->mss);
}

bool conn_is_glutted(const struct conn *c)
{
	return c->rx_head && c->st->held >= CONN_HELD_MAX;
}

static void tx_acked(struct conn *c, size_t len)
{
	c->tx_acked += len;
	c->st->held -= len;
}

/* --- mount --- */

void conn_mount(struct conn *c)
{
	assert(!tcp_active_pcbs && !tcp_tw_pcbs);
	c->pcb->next = NULL;
	tcp_active_pcbs = c->pcb;
}

static bool needs_timers(const struct tcp_pcb *pcb)
{
	bool waits = pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT ||
		     (pcb->state == FIN_WAIT_2 && !(pcb->flags & TF_RXCLOSED));

	return !waits || pcb->unsent || pcb->unacked || (pcb->flags & TF_CLOSEPEND);
}

/* Releases the buffers that end at or before a stream offset. */
static void tx_release(struct conn *c, uint64_t offset)
{
	while (c->tx_head && c->tx_head->end <= offset) {
		struct buf *b = c->tx_head;

		c->tx_head = b->next;
		buf_unref(b);
	}
}

static void lost_pcb(struct conn *c)
{
	c->pcb = NULL;
	tx_acked(c, c->tx_queued - c->tx_acked);
	tx_release(c, c->tx_acked);
	stack_tcp_forget(c);
	stack_tcp_tick(c, false);
	/* After both FINs the end is the expected one. */
	if (!(c->eof && c->shut) || c->err)
		c->failed = true;
	conn_dirty(c);
}

void conn_unmount(struct conn *c)
{
	bool alive = tcp_active_pcbs == c->pcb && c->pcb;

	/* The child's own TIME_WAIT guards the pair of ports; ours would only hold memory. */
	if (tcp_tw_pcbs) {
		c->err = 0;
		tcp_abort(tcp_tw_pcbs);
	}
	tcp_active_pcbs = NULL;
	assert(!tcp_tw_pcbs);
	if (alive)
		stack_tcp_tick(c, needs_timers(c->pcb));
	else if (c->pcb)
		lost_pcb(c);
}

/* --- what lwIP tells --- */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct conn *c = arg;

	(void)pcb;
	(void)err;
	if (p)
		c->rx_new = p;
	else
		c->eof = true;
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct conn *c = arg;

	(void)pcb;
	tx_acked(c, len);
	return ERR_OK;
}

static void on_err(void *arg, err_t err)
{
	struct conn *c = arg;

	c->err = err == ERR_RST ? ECONNRESET : err == ERR_CLSD ? 0 : ETIMEDOUT;
}

void conn_open(struct conn *c, struct tcp_pcb *pcb)
{
	c->pcb = pcb;
	c->state = CONN_OPEN;
	c->mss = pcb->mss;
	pcb->mss = BUF_CAP;
	/* A SYN with a window of 0 or 1 would make tcp_write() assert on its half. */
	pcb->snd_wnd_max = MAX(pcb->snd_wnd_max, 2920u);
	c->rx_window = MAX(WINDOW_FIRST, SEGMENTS_MIN * (size_t)c->mss);
	pcb->rcv_wnd = pcb->rcv_ann_wnd = MIN(pcb->rcv_wnd, (tcpwnd_size_t)c->rx_window);
	pcb->rcv_ann_right_edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
	tcp_nagle_disable(pcb);
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_err);
}

/* --- child to remote --- */

static void rx_count(struct conn *c, ssize_t n)
{
	c->rx_stored += n;
	c->st->held += n;
}

static bool rx_store(struct conn *c, const uint8_t *data, size_t len)
{
	struct rx_chunk *k = c->rx_tail;
	size_t n = k ? MIN(len, (size_t)(k->cap - k->end)) : 0;

	if (n) {
		memcpy(k->data + k->end, data, n);
		k->end += n;
		rx_count(c, n);
		data += n;
		len -= n;
	}
	if (!len)
		return true;
	k = malloc(sizeof(*k) + MAX(len, (size_t)CHUNK_MIN));
	if (!k)
		return false;
	*k = (struct rx_chunk){ .end = len, .cap = MAX(len, (size_t)CHUNK_MIN) };
	memcpy(k->data, data, len);
	rx_count(c, len);
	if (c->rx_tail)
		c->rx_tail->next = k;
	else
		c->rx_head = k;
	c->rx_tail = k;
	return true;
}

static void rx_drop(struct conn *c)
{
	while (c->rx_head) {
		struct rx_chunk *k = c->rx_head;

		c->rx_head = k->next;
		free(k);
	}
	c->rx_tail = NULL;
	rx_count(c, -(ssize_t)c->rx_stored);
}

static size_t offer(struct conn *c, const uint8_t *data, size_t len)
{
	struct iovec iov = { (void *)data, len };
	size_t n = c->ch.up->on_data(c->ch.ctx, &iov, 1, NULL);

	assert(n <= len);
	return n;
}

static void abort_pcb(struct conn *c, int err)
{
	conn_mount(c);
	tcp_abort(c->pcb);
	c->err = err;
	conn_unmount(c);
}

static void take_new(struct conn *c)
{
	struct pbuf *p = steal_ptr(&c->rx_new);
	const uint8_t *data = p->payload;
	size_t len = p->tot_len, n = 0;

	assert(!p->next);
	conn_dirty(c);
	if (!c->rx_head) {
		n = offer(c, data, len);
		c->rx_window = MIN(c->rx_window + n, (size_t)TCP_WND);
	}
	if (n < len && c->state == CONN_OPEN && !rx_store(c, data + n, len - n) &&
	    c->pcb) {
		rx_drop(c);
		abort_pcb(c, ENOMEM);
	}
	pbuf_free(p);
}

static void tell_end(struct conn *c)
{
	if (c->rx_head || c->state != CONN_OPEN)
		return;
	if (c->eof && !c->eof_told) {
		c->eof_told = true;
		c->ch.up->on_eof(c->ch.ctx);
	}
	if (c->failed && !c->failed_told && c->state == CONN_OPEN) {
		c->failed_told = true;
		c->ch.up->on_closed(c->ch.ctx, c->err ? c->err : ECONNRESET);
	}
}

static void conn_recv(struct channel *ch)
{
	struct conn *c = to_conn(ch);

	while (c->rx_head && c->state == CONN_OPEN) {
		struct rx_chunk *k = c->rx_head;
		size_t n = offer(c, k->data + k->begin, k->end - k->begin);

		conn_dirty(c);
		if (c->state != CONN_OPEN)
			return;
		rx_count(c, -(ssize_t)n);
		k->begin += n;
		if (k->begin < k->end)
			return;
		c->rx_head = k->next;
		if (!c->rx_head)
			c->rx_tail = NULL;
		free(k);
	}
	tell_end(c);
}

/* --- remote to child --- */

static void tx_hold(struct conn *c, struct buf *b)
{
	if (c->tx_tail != b || !c->tx_head) {
		buf_ref(b);
		b->next = NULL;
		if (c->tx_head)
			c->tx_tail->next = b;
		else
			c->tx_head = b;
		c->tx_tail = b;
	}
	b->end = c->tx_queued;
}

/* 0 until a good part of the share is free: what goes then makes whole segments. */
static size_t tx_room(const struct conn *c)
{
	size_t max = share(c), queued = c->tx_queued - c->tx_acked;
	size_t room = queued < max ? MIN(max - queued, (size_t)c->pcb->snd_buf) : 0;

	return room >= max / 4 ? room : 0;
}

static size_t conn_room(struct channel *ch)
{
	struct conn *c = to_conn(ch);
	size_t room = c->pcb && !c->shut ? tx_room(c) : c->rx_head ? 0 : BUF_CAP;

	c->tx_blocked |= !room;
	return room;
}

/* Returns ERR_OK with *done raised by what was queued. */
static err_t write_one(struct conn *c, const uint8_t *data, size_t len, struct buf *owner,
		       size_t *done)
{
	while (len) {
		size_t n = MIN(MIN(len, (size_t)c->pcb->snd_buf), (size_t)0xffff);
		bool copy = !owner || n < COPY_BELOW;
		err_t e;

		if (!n)
			return ERR_MEM;
		e = tcp_write(c->pcb, data, n, copy ? TCP_WRITE_FLAG_COPY : 0);
		if (e != ERR_OK)
			return e;
		c->tx_queued += n;
		c->st->held += n;
		if (!copy)
			tx_hold(c, owner);
		*done += n;
		data += n;
		len -= n;
	}
	return ERR_OK;
}

static ssize_t conn_send(struct channel *ch, const struct iovec *iov, int n,
			 struct buf *owner)
{
	struct conn *c = to_conn(ch);
	size_t done = 0;
	err_t e = ERR_OK;

	if (c->shut)
		return -EPIPE;
	if (!c->pcb) {
		/* Reset by the child, but its last bytes are still being delivered. */
		return c->rx_head ? 0 : -ECONNRESET;
	}
	conn_mount(c);
	for (int i = 0; i < n && e == ERR_OK; i++)
		e = write_one(c, iov[i].iov_base, iov[i].iov_len, owner, &done);
	tcp_output(c->pcb);
	if (e != ERR_OK) {
		c->tx_blocked = true;
		/* Nothing under way means that no acknowledgement will ever unblock us. */
		if (!c->pcb->unsent && !c->pcb->unacked)
			done = 0;
		else
			e = ERR_OK;
	}
	conn_unmount(c);
	return e == ERR_OK ? (ssize_t)done : -ENOMEM;
}

/* Not before the handshake is complete: lwIP would go from SYN_RCVD to FIN_WAIT_1, where
 * nobody opens the congestion window, and what was sent before would never leave. */
static void queue_fin(struct conn *c)
{
	if (!c->shut || c->fin_queued || !c->pcb || c->pcb->state == SYN_RCVD)
		return;
	c->fin_queued = true;
	conn_mount(c);
	tcp_shutdown(c->pcb, 0, 1); /* without memory lwIP tries again by its timer */
	c->pcb->tmr = tcp_ticks;    /* the limit of LAST_ACK counts from now */
	conn_unmount(c);
}

static void conn_shut(struct channel *ch)
{
	struct conn *c = to_conn(ch);

	c->shut = true;
	queue_fin(c);
}

static size_t conn_unacked(struct channel *ch)
{
	const struct conn *c = to_conn(ch);

	return c->pcb ? c->tx_queued - c->tx_acked : 0;
}

/* --- end --- */

static void conn_close(struct channel *ch, int err)
{
	struct conn *c = to_conn(ch);
	bool again = c->state == CONN_CLOSED;

	c->state = CONN_CLOSED;
	rx_drop(c);
	if (c->pcb && err && c->tx_acked != c->tx_queued && !again) {
		/* What the remote sent before it failed still belongs to the child. */
		c->abort_when_acked = true;
	} else if (c->pcb && err) {
		abort_pcb(c, err);
	} else if (c->pcb) {
		conn_shut(ch);
		/* Data from now on is answered by a reset, and FIN_WAIT_2 gets a time limit.
		 * Behind the child's FIN there is neither, and the flag would let LAST_ACK run
		 * out while a stalled reader still answers lwIP's probes. */
		if (c->pcb && !c->eof)
			tcp_set_flags(c->pcb, TF_RXCLOSED);
		if (c->pcb)
			stack_tcp_tick(c, true);
	}
	conn_dirty(c);
}

const struct channel_ops conn_channel_ops = {
	.send = conn_send,
	.recv = conn_recv,
	.shut = conn_shut,
	.close = conn_close,
	.unacked = conn_unacked,
	.room = conn_room,
};

void conn_notify(struct conn *c)
{
	if (c->rx_new && c->state == CONN_OPEN) {
		take_new(c);
	} else if (c->rx_new) {
		pbuf_free(steal_ptr(&c->rx_new));
	}
	queue_fin(c);
	tx_release(c, c->tx_acked);
	if (c->abort_when_acked && c->pcb && c->tx_acked == c->tx_queued)
		abort_pcb(c, ECONNRESET);
	tell_end(c);
	if (c->state == CONN_OPEN && c->tx_blocked && c->pcb && tx_room(c)) {
		c->tx_blocked = false;
		c->ch.up->on_drain(c->ch.ctx);
	}
}

/* What the child may send beyond what is stored. */
static size_t window_wanted(const struct conn *c)
{
	size_t max = MIN(MIN(c->rx_window, share(c)), (size_t)TCP_WND_MAX(c->pcb));

	return max > c->rx_stored && c->state == CONN_OPEN ? max - c->rx_stored : 0;
}

/* Opens the window as far as it goes, and acknowledges. */
static void acknowledge(struct conn *c)
{
	struct tcp_pcb *pcb = c->pcb;
	size_t wanted = window_wanted(c);
	uint32_t announced;

	conn_mount(c);
	/* lwIP announces no step that is smaller than what it takes for a segment. */
	pcb->mss = EDGE_STEP;
	while (pcb->rcv_wnd < wanted)
		tcp_recved(pcb, MIN(wanted - pcb->rcv_wnd, (size_t)0xffff));
	pcb->mss = BUF_CAP;
	announced = pcb->rcv_ann_right_edge - pcb->rcv_nxt;
	if ((pcb->flags & TF_ACK_DELAY) ||
	    (announced < wanted / 2 && pcb->rcv_ann_wnd > announced)) {
		tcp_ack_now(pcb);
		tcp_output(pcb);
	}
	conn_unmount(c);
}

void conn_flush(struct conn *c)
{
	if (c->pcb)
		acknowledge(c);
	else if (c->state == CONN_OPEN)
		tell_end(c);
	if (c->state == CONN_CLOSED && !c->pcb)
		c->state = CONN_DEAD;
}

void conn_dirty(struct conn *c)
{
	stack_tcp_dirty(c);
}

void conn_free(struct conn *c)
{
	assert(!c->pcb && !c->hashed);
	rx_drop(c);
	list_del(&c->tick);
	list_del(&c->dirty);
	free(c);
}
