/*
 * Theory of operation
 *
 * A socket's owner is found in two steps. The kernel tells the inode of the child's socket for
 * a 4-tuple (sock_diag(7), one exact look-up in a hash table); who holds that inode stands in
 * /proc/PID/fd, which the engine can't see: the supervisor looks there (sandbox/procs.c). Both
 * are asked once per turn of the loop for all that is new in it, one batch at a time.
 *
 * A socket that is closed has no owner any more, so a process that exits right after its
 * connection would never be found in time. But as long as its connect() is not answered, it
 * waits: the flow is dialled when its owner is known. That takes some tens of microseconds. It
 * may take long where the machine has no time for the supervisor, or a terminal has stopped it:
 * who has waited for WAIT_MS goes on, and nobody else waits until it has answered.
 *
 * Finding out must not cost more than it is worth: SHARE of one CPU's time, with a little saved
 * up. When that is spent nobody waits any more, and the next batch goes out when there is
 * something to spend again; what was closed by then stays unknown. So thousands of connections
 * a second are as fast as ever, most of them still with their process, as one look at a process
 * finds all its sockets. Only --learn pays whatever it costs: its rules depend on it.
 *
 * Rejected: /proc/net/tcp (milliseconds, it walks the hash table), dumps by state (the same), a
 * seccomp notifier on connect(2) (stops each of them, and knows no 4-tuple).
 */
#include "flow/who.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define WAIT_MS 500
#define TICK_MS 10
#define TRIES 8 /* of one question, when searches take too long */
#define SHARE_PERCENT 2
#define BATCH_NS 15000 /* to send and to wake up, here and there */
#define SAVED_MAX_NS INT64_C(20000000)
#define REPLIES 16 /* read at a time */
#define REPLY_MAX 512

/* A process as it was when it was found. */
struct who_person {
	struct process process;
	unsigned refs;
	char comm[OWNER_COMM_MAX + 1], exe[OWNER_EXE_MAX + 1];
};

struct who {
	struct who_deps deps;
	int diag; /* netlink socket */
	uv_timer_t tick;
	struct list pending, waiting;	   /* asks; the latter in order of time */
	struct who_ask *sent[OWNER_BATCH]; /* by question; NULL: given up or answered */
	bool under_way;
	bool late;	  /* and has let somebody wait in vain */
	int64_t saved_ns; /* of CPU time; below 0: debts */
	uint64_t saved_at_ns;
	struct who_person *last; /* found; the next one is most often the same */
};

struct request {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

/* --- persons --- */

static void person_unref(struct who_person *p)
{
	if (p && --p->refs == 0)
		free(p);
}

static struct who_person *person_ref(struct who_person *p)
{
	if (p)
		p->refs++;
	return p;
}

static void person_fill(struct who_person *p, const struct owner_answer *a)
{
	p->process.pid = a->pid;
	snprintf(p->comm, sizeof(p->comm), "%.*s", OWNER_COMM_MAX, a->comm);
	snprintf(p->exe, sizeof(p->exe), "%.*s", OWNER_EXE_MAX, a->exe);
	p->process.comm = p->comm[0] ? p->comm : NULL;
	p->process.exe = p->exe[0] ? p->exe : NULL;
}

/* Valid until the next call; NULL without memory. */
static struct who_person *person_of(struct who *w, const struct owner_answer *a)
{
	struct who_person *p = w->last;

	if (p && p->process.pid == a->pid &&
	    strncmp(p->comm, a->comm, OWNER_COMM_MAX) == 0 &&
	    strncmp(p->exe, a->exe, OWNER_EXE_MAX) == 0)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->refs = 1;
	person_fill(p, a);
	person_unref(w->last);
	w->last = p;
	return p;
}

/* --- asks --- */

/* Of this thread. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static void save_up(struct who *w)
{
	uint64_t now = uv_hrtime();

	w->saved_ns += (now - w->saved_at_ns) * SHARE_PERCENT / 100;
	if (w->saved_ns > SAVED_MAX_NS || w->deps.at_any_cost)
		w->saved_ns = SAVED_MAX_NS;
	w->saved_at_ns = now;
}

static void go_on(struct who_ask *a)
{
	if (list_empty(&a->waiting))
		return;
	list_del(&a->waiting);
	a->on_known(a);
}

static void settle(struct who_ask *a)
{
	list_del(&a->pending);
	go_on(a);
}

static void on_tick(uv_timer_t *timer)
{
	struct who *w = container_of(timer, struct who, tick);

	while (!list_empty(&w->waiting)) {
		struct who_ask *a = list_entry(w->waiting.next, struct who_ask, waiting);

		if (uv_now(w->deps.loop) < a->until_ms)
			return;
		w->late = w->under_way;
		go_on(a);
	}
	if (list_empty(&w->pending))
		uv_timer_stop(timer);
}

bool who_ask(struct who *w, struct who_ask *a, const struct who_key *key,
	     void (*on_known)(struct who_ask *ask))
{
	if (!w)
		return false;
	*a = (struct who_ask){ .who = w, .key = *key, .on_known = on_known };
	list_init(&a->waiting);
	list_add_tail(&w->pending, &a->pending);
	if (!uv_is_active((uv_handle_t *)&w->tick))
		uv_timer_start(&w->tick, on_tick, TICK_MS, TICK_MS);
	save_up(w);
	if (!on_known || w->saved_ns <= 0 || w->late)
		return false;
	a->until_ms = uv_now(w->deps.loop) + WAIT_MS;
	list_add_tail(&w->waiting, &a->waiting);
	return true;
}

const struct process *who_process(const struct who_ask *a)
{
	return a->person ? &a->person->process : NULL;
}

void who_forget(struct who_ask *a)
{
	struct who *w = a->who;

	if (!w)
		return;
	list_del(&a->pending);
	list_del(&a->waiting);
	for (size_t i = 0; w->under_way && i < OWNER_BATCH; i++) {
		if (w->sent[i] == a)
			w->sent[i] = NULL;
	}
	person_unref(a->person);
	a->person = NULL;
	a->who = NULL;
}

/* --- sockets --- */

static void set_address(__be32 out[4], const struct addr *a)
{
	memset(out, 0, 16);
	if (addr_is_v4(a))
		memcpy(out, a->b + 12, 4);
	else
		memcpy(out, a->b, 16);
}

static void build(struct request *r, const struct who_key *key, unsigned number)
{
	/* Of UDP the kernel wants to know how a datagram to the socket would look. */
	bool swapped = key->protocol == IPPROTO_UDP;
	const struct endpoint *from = swapped ? &key->remote : &key->child;
	const struct endpoint *to = swapped ? &key->child : &key->remote;

	*r = (struct request){
		.head = { .nlmsg_len = sizeof(*r),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST,
			  .nlmsg_seq = number },
		.body = { .sdiag_family = addr_is_v4(&key->remote.addr) ? AF_INET :
									  AF_INET6,
			  .sdiag_protocol = key->protocol,
			  .idiag_states = ~0U,
			  .id = { .idiag_sport = htons(from->port),
				  .idiag_dport = htons(to->port),
				  .idiag_cookie = { INET_DIAG_NOCOOKIE,
						    INET_DIAG_NOCOOKIE } } },
	};
	set_address(r->body.id.idiag_src, &from->addr);
	set_address(r->body.id.idiag_dst, &to->addr);
}

static void read_reply(const void *data, size_t len, uint32_t *inodes, size_t count)
{
	const struct nlmsghdr *head = data;
	const struct inet_diag_msg *body = NLMSG_DATA(head);

	if (len < NLMSG_LENGTH(sizeof(*body)) ||
	    head->nlmsg_type != SOCK_DIAG_BY_FAMILY || head->nlmsg_seq >= count)
		return;
	inodes[head->nlmsg_seq] = body->idiag_inode;
}

/* The kernel has answered each request when send() returns: nothing here waits. */
static void look_up(struct who *w, struct request *list, uint32_t *inodes, size_t count)
{
	_Alignas(struct nlmsghdr) uint8_t data[REPLIES][REPLY_MAX];
	struct iovec iov[REPLIES];
	struct mmsghdr msg[REPLIES];
	int n;

	if (!count || send(w->diag, list, count * sizeof(*list), 0) < 0)
		return;
	for (int i = 0; i < REPLIES; i++) {
		iov[i] = (struct iovec){ data[i], REPLY_MAX };
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	do {
		n = recvmmsg(w->diag, msg, REPLIES, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			read_reply(data[i], msg[i].msg_len, inodes, OWNER_BATCH);
	} while (n == REPLIES);
}

static bool is_echo(const struct who_ask *a)
{
	return a->key.protocol == IPPROTO_ICMP || a->key.protocol == IPPROTO_ICMPV6;
}

/* Takes the next asks and fills in the inodes of their sockets. */
static size_t take_batch(struct who *w, struct who_ask **batch, uint32_t *inodes)
{
	struct request requests[OWNER_BATCH];
	size_t n = 0, request_count = 0;

	memset(inodes, 0, OWNER_BATCH * sizeof(*inodes));
	while (n < OWNER_BATCH && !list_empty(&w->pending)) {
		struct who_ask *a = list_entry(w->pending.next, struct who_ask, pending);

		list_del(&a->pending);
		if (!is_echo(a))
			build(&requests[request_count++], &a->key, n);
		batch[n++] = a;
	}
	look_up(w, requests, inodes, request_count);
	return n;
}

/* --- batches --- */

/* What is left of the batch is not known; if the search was cut short, not yet, and nobody
 * waits for another one. */
static void settle_sent(struct who *w, bool cut)
{
	for (size_t i = 0; i < OWNER_BATCH; i++) {
		struct who_ask *a = w->sent[i];

		w->sent[i] = NULL;
		if (!a)
			continue;
		if (cut && ++a->tries < TRIES) {
			list_add_tail(&w->pending, &a->pending);
			go_on(a);
		} else {
			settle(a);
		}
	}
	w->under_way = false;
	w->late = false;
}

void who_flush(struct who *w)
{
	struct owner_question questions[OWNER_BATCH];
	struct who_ask *batch[OWNER_BATCH];
	uint32_t inodes[OWNER_BATCH];
	size_t taken, asked = 0, unknown = 0;
	uint64_t begin_ns;

	if (!w || w->under_way || list_empty(&w->pending))
		return;
	save_up(w);
	if (w->saved_ns <= 0 && list_empty(&w->waiting))
		return;
	begin_ns = cpu_ns();
	taken = take_batch(w, batch, inodes);
	for (size_t i = 0; i < taken; i++) {
		const struct who_key *key = &batch[i]->key;

		/* Its socket is closed, or was none: behind the questions, never answered. */
		if (!inodes[i] && !is_echo(batch[i])) {
			w->sent[OWNER_BATCH - ++unknown] = batch[i];
			continue;
		}
		questions[asked] = (struct owner_question){ inodes[i], key->protocol,
							    key->child.port };
		w->sent[asked++] = batch[i];
	}
	w->under_way = true;
	if (!asked || w->deps.send(w->deps.ctx, questions, asked) < 0)
		settle_sent(w, false);
	w->saved_ns -= cpu_ns() - begin_ns;
}

void who_answer(struct who *w, const struct owner_answer *answer)
{
	struct who_person *p = answer->owns ? person_of(w, answer) : NULL;

	person_ref(p);
	for (size_t i = 0; i < OWNER_BATCH; i++) {
		struct who_ask *a = w->sent[i];

		if (!(answer->owns >> i & 1) || !a)
			continue;
		w->sent[i] = NULL;
		a->person = person_ref(p);
		settle(a);
	}
	person_unref(p);
	if (!answer->last)
		return;
	w->saved_ns -= answer->cost_ns + BATCH_NS;
	settle_sent(w, answer->cut);
}

/* --- life --- */

struct who *who_new(const struct who_deps *deps)
{
	struct who *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->deps = *deps;
	w->diag = -1;
	w->saved_ns = SAVED_MAX_NS;
	w->saved_at_ns = uv_hrtime();
	list_init(&w->pending);
	list_init(&w->waiting);
	uv_timer_init(deps->loop, &w->tick);
	return w;
}

void who_start(struct who *w, int diag)
{
	if (w)
		w->diag = diag;
}

void who_close(struct who *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->tick, NULL);
}

void who_free(struct who *w)
{
	if (w)
		person_unref(w->last);
	free(w);
}
