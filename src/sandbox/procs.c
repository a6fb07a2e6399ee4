/*
 * Theory of operation
 *
 * A process that has a socket has a link "socket:[INODE]" in /proc/PID/fd. There is no index;
 * what makes the search short is that whoever opened a connection opens the next one, too, on
 * a descriptor it has used before or on the next one. So it goes on until all are found:
 *
 *   1. sockets that were seen when another one was looked for, where they were seen;
 *   2. processes that were found lately, at the descriptors where they were found;
 *   3. the same ones, all their descriptors;
 *   4. processes that are new since the last look at /proc, the highest number first;
 *   5. those that have not as many descriptors as before (since Linux 6.2 that is the size of
 *      the directory);
 *   6. all others of the tree;
 *   7. at most once a second: /proc is read anew, for a number may have been used again.
 *
 * All but the first two are hints where to look: whoever is named has the socket now.
 *
 * The tree is init's descendants (proctree.c). Every search ends when it has cost DEADLINE_NS
 * of CPU time: what is not found then is unknown. (Not so much time: on a busy machine there
 * would be less in it, and in the end nothing found.)
 *
 * A descriptor may have come by fork(2), and then several processes have it. In a small tree
 * all are looked at, else the finder's ancestors are, who have it under the same number. It is
 * the one that stands in connect(2) or a send with that descriptor; if none does (it did not
 * wait), the one with the lowest pid: it was there first, as a rule.
 *
 * All this reads what the kernel lets the caller read of its own processes. A process that has
 * made itself undumpable is not found.
 */
#include "sandbox/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "sandbox/procs_read.h"
#include "sandbox/proctree.h"

#define DEADLINE_NS 40000000
#define REREAD_EVERY_MS 1000
#define RECENT 8
#define HINTS 64
#define NEXT_FDS 8
#define SMALL_TREE 64
#define HOLDERS 8
#define SIGHTS 4096

/* Where a socket was seen. */
struct sight {
	uint32_t inode;
	pid_t pid;
	int fd;
};

/* A process that was found lately. */
struct recent {
	pid_t pid;
	int fds[HINTS]; /* where, the latest first */
	size_t fd_count;
	int highest;
};

struct procs {
	struct proctree tree;
	struct sight sights[SIGHTS];  /* by inode */
	struct recent recent[RECENT]; /* the latest first; pid 0: none */
	size_t rest_at;		      /* in the tree: where scan_rest() goes on */
	int64_t reread_ms;	      /* when that was done last */
};

struct holder {
	pid_t pid;
	int fd;
};

struct search {
	struct procs *procs;
	uint32_t inodes[OWNER_BATCH]; /* 0: none */
	struct holder holders[OWNER_BATCH][HOLDERS];
	size_t holder_count[OWNER_BATCH];
	size_t count, left; /* questions; those without a holder */
	uint64_t begin_ns;  /* of CPU time */
};

static bool over(const struct search *s)
{
	return procs_cpu_ns() - s->begin_ns >= DEADLINE_NS;
}

/* --- descriptors --- */

static bool held_by(const struct search *s, size_t i, pid_t pid)
{
	for (size_t k = 0; k < s->holder_count[i]; k++) {
		if (s->holders[i][k].pid == pid)
			return true;
	}
	return false;
}

static void add_holder(struct search *s, size_t i, pid_t pid, int fd)
{
	size_t n = s->holder_count[i];

	if (n == HOLDERS || held_by(s, i, pid))
		return;
	s->left -= n == 0;
	s->holders[i][n] = (struct holder){ pid, fd };
	s->holder_count[i]++;
}

/* Several questions may be about one socket. */
static void match(struct search *s, pid_t pid, int fd, uint32_t inode)
{
	for (size_t i = 0; inode && i < s->count; i++) {
		if (s->inodes[i] == inode)
			add_holder(s, i, pid, fd);
	}
}

struct scan {
	struct search *search;
	pid_t pid;
};

static bool on_fd(void *ctx, int fd, uint32_t inode)
{
	struct scan *scan = ctx;

	scan->search->procs->sights[inode % SIGHTS] = (struct sight){ inode, scan->pid,
								      fd };
	match(scan->search, scan->pid, fd, inode);
	/* The clock is asked now and then. */
	return fd % 64 || !over(scan->search);
}

static void scan(struct search *s, pid_t pid)
{
	procs_each_socket(pid, on_fd, &(struct scan){ s, pid });
}

/* Looks where the sockets were seen. */
static void look_again(struct search *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct sight *seen = &s->procs->sights[s->inodes[i] % SIGHTS];
		int dir = -1;

		if (s->inodes[i] && seen->inode == s->inodes[i])
			dir = procs_open_fds(seen->pid);
		if (dir < 0)
			continue;
		match(s, seen->pid, seen->fd, procs_socket(dir, seen->fd));
		close(dir);
	}
}

/* --- those that were found lately --- */

static void remember_fd(struct recent *r, int fd)
{
	size_t i;

	for (i = 0; i < r->fd_count && r->fds[i] != fd; i++)
		;
	if (i == r->fd_count)
		r->fd_count = MIN(r->fd_count + 1, (size_t)HINTS);
	i = MIN(i, (size_t)HINTS - 1);
	memmove(r->fds + 1, r->fds, i * sizeof(*r->fds));
	r->fds[0] = fd;
	r->highest = MAX(r->highest, fd);
}

static void remember(struct procs *p, const struct holder *h)
{
	struct recent found = { .pid = h->pid };
	size_t i;

	for (i = 0; i < RECENT && p->recent[i].pid != h->pid; i++)
		;
	if (i < RECENT)
		found = p->recent[i];
	i = MIN(i, (size_t)RECENT - 1);
	memmove(p->recent + 1, p->recent, i * sizeof(found));
	remember_fd(&found, h->fd);
	p->recent[0] = found;
}

/* A copy: what is found is remembered afterwards. */
static void probe(struct search *s, const struct recent *r)
{
	int dir = procs_open_fds(r->pid);

	if (dir < 0)
		return;
	for (size_t i = 0; i < r->fd_count && s->left; i++)
		match(s, r->pid, r->fds[i], procs_socket(dir, r->fds[i]));
	for (int fd = r->highest + 1; fd <= r->highest + NEXT_FDS && s->left; fd++)
		match(s, r->pid, fd, procs_socket(dir, fd));
	close(dir);
}

static bool is_recent(const struct procs *p, pid_t pid)
{
	for (size_t i = 0; i < RECENT; i++) {
		if (p->recent[i].pid == pid)
			return true;
	}
	return false;
}

/* --- the tree --- */

static void scan_entry(struct search *s, struct proctree_entry *e)
{
	e->fd_count = procs_fd_count(e->pid);
	if (e->fd_count < 0)
		proctree_gone(&s->procs->tree, e);
	else
		scan(s, e->pid);
}

static bool wants_scan(const struct search *s, const struct proctree_entry *e)
{
	return e->ours && !e->gone && !is_recent(s->procs, e->pid);
}

static void scan_new(struct search *s)
{
	struct proctree *t = &s->procs->tree;

	for (size_t i = t->count; i-- > 0 && s->left && !over(s);) {
		if (t->list[i].is_new && wants_scan(s, &t->list[i]))
			scan_entry(s, &t->list[i]);
	}
}

/* Begins where the last one has ended: so that a search that is cut short gets on. */
static void scan_rest(struct search *s)
{
	struct procs *p = s->procs;
	struct proctree *t = &p->tree;

	for (size_t i = 0; i < t->count && s->left && !over(s); i++) {
		struct proctree_entry *e = &t->list[p->rest_at++ % t->count];

		if (wants_scan(s, e))
			scan_entry(s, e);
	}
}

static void scan_changed(struct search *s)
{
	struct proctree *t = &s->procs->tree;

	for (size_t i = t->count; i-- > 0 && s->left && !over(s);) {
		struct proctree_entry *e = &t->list[i];

		if (e->ours && !e->gone && !e->is_new &&
		    procs_fd_count(e->pid) != e->fd_count)
			scan_entry(s, e);
	}
}

/* Of a small tree: whoever has one of them, too. */
static void scan_all(struct search *s)
{
	struct proctree *t = &s->procs->tree;

	for (size_t i = t->count; i-- > 0 && !over(s);) {
		if (t->list[i].ours && !t->list[i].gone)
			scan_entry(s, &t->list[i]);
	}
}

static void look_everywhere(struct search *s)
{
	struct procs *p = s->procs;

	proctree_grow(&p->tree);
	if (p->tree.our_count <= SMALL_TREE) {
		scan_all(s);
	} else {
		scan_new(s);
		scan_changed(s);
		scan_rest(s);
	}
	if (!s->left || over(s) || clock_now_ms() - p->reread_ms < REREAD_EVERY_MS)
		return;
	p->reread_ms = clock_now_ms();
	proctree_reread(&p->tree);
	scan_new(s);
}

/* --- whose it is --- */

/* Looks under the same numbers; or, where that is less, at all the process has. */
static void add_ancestor(struct search *s, uint64_t of_finder, pid_t pid, int dir)
{
	int sought = __builtin_popcountll(of_finder);
	long has = sought > 1 ? procs_fd_count(pid) : 0;

	if (has > 0 && has < sought) {
		scan(s, pid);
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		int fd = s->holders[i][0].fd;

		if (of_finder >> i & 1 && procs_socket(dir, fd) == s->inodes[i])
			add_holder(s, i, pid, fd);
	}
}

static void add_ancestors(struct search *s, uint64_t of_finder, pid_t finder)
{
	pid_t pid = procs_parent(finder);

	for (int depth = 0; pid > 1 && pid != s->procs->tree.init && depth < HOLDERS;
	     depth++, pid = procs_parent(pid)) {
		int dir = procs_open_fds(pid);

		if (dir < 0)
			return;
		add_ancestor(s, of_finder, pid, dir);
		close(dir);
	}
}

/* Once for each process that has been found: it may have all of them. */
static void add_all_ancestors(struct search *s)
{
	uint64_t done = 0;

	for (size_t i = 0; i < s->count; i++) {
		pid_t finder = s->holders[i][0].pid;
		uint64_t mine = 0;

		if (done >> i & 1 || s->holder_count[i] != 1)
			continue;
		for (size_t k = i; k < s->count; k++) {
			if (s->holder_count[k] == 1 && s->holders[k][0].pid == finder)
				mine |= UINT64_C(1) << k;
		}
		done |= mine;
		add_ancestors(s, mine, finder);
	}
}

static const struct holder *choose(const struct search *s, size_t i)
{
	const struct holder *list = s->holders[i], *lowest = list;
	size_t n = s->holder_count[i];

	if (n == 0)
		return NULL;
	for (size_t k = 0; k < n && n > 1; k++) {
		if (procs_is_sending(list[k].pid, list[k].fd))
			return &list[k];
		if (list[k].pid < lowest->pid)
			lowest = &list[k];
	}
	return lowest;
}

static void find(struct search *s)
{
	struct procs *p = s->procs;

	look_again(s);
	for (size_t i = 0; i < RECENT && p->recent[i].pid && s->left; i++)
		probe(s, &p->recent[i]);
	for (size_t i = 0; i < RECENT && p->recent[i].pid && s->left && !over(s); i++)
		scan(s, p->recent[i].pid);
	if (s->left)
		look_everywhere(s);
	add_all_ancestors(s);
}

static void start(struct search *s, struct procs *p,
		  const struct owner_question *questions, size_t count)
{
	*s = (struct search){ .procs = p,
			      .count = MIN(count, (size_t)OWNER_BATCH),
			      .begin_ns = procs_cpu_ns() };
	for (size_t i = 0; i < s->count; i++) {
		const struct owner_question *q = &questions[i];

		s->inodes[i] = q->inode ? q->inode :
					  procs_ping_socket(p->tree.init, q->protocol,
							    q->port);
		s->left += s->inodes[i] != 0;
	}
}

/* The next process in `owners`, with all that is its; takes it out. False: there is none. */
static bool next_owner(pid_t owners[static OWNER_BATCH], size_t count,
		       struct owner_answer *answer)
{
	*answer = (struct owner_answer){ .pid = 0 };
	for (size_t i = 0; i < count; i++) {
		if (!answer->pid)
			answer->pid = owners[i];
		if (!owners[i] || owners[i] != answer->pid)
			continue;
		answer->owns |= UINT64_C(1) << i;
		owners[i] = 0;
	}
	return answer->pid != 0;
}

void procs_find(struct procs *p, const struct owner_question *questions, size_t count,
		void (*tell)(void *ctx, const struct owner_answer *answer), void *ctx)
{
	pid_t owners[OWNER_BATCH];
	struct owner_answer answer, next;
	struct search s;
	bool more;

	start(&s, p, questions, count);
	find(&s);
	for (size_t i = 0; i < s.count; i++) {
		const struct holder *h = choose(&s, i);

		owners[i] = h ? h->pid : 0;
		if (h)
			remember(p, h);
	}
	next_owner(owners, s.count, &answer);
	do {
		if (answer.pid)
			procs_describe(&answer);
		more = next_owner(owners, s.count, &next);
		answer.last = !more;
		answer.cut = s.left && over(&s);
		answer.cost_ns = procs_cpu_ns() - s.begin_ns;
		tell(ctx, &answer);
		answer = next;
	} while (more);
}

struct procs *procs_new(pid_t init)
{
	struct procs *p = calloc(1, sizeof(*p));

	if (p)
		proctree_init(&p->tree, init);
	return p;
}

void procs_free(struct procs *p)
{
	if (p)
		proctree_free(&p->tree);
	free(p);
}
