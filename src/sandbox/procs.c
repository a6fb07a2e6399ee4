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
 *   4. processes that are new since the last look at /proc, the newest first;
 *   5. those that have not as many descriptors as before (since Linux 6.2 that is the size of
 *      the directory);
 *   6. all others of the tree, the newest first;
 *   7. at most once a second: /proc is read anew, for a number may have been used again.
 *
 * All but the first two are hints where to look: whoever is named has the socket now.
 *
 * The tree is init's descendants; orphans are init's children. A process is looked at for its
 * parent once. DEADLINE_MS ends every search: what is not found then is unknown.
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
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/procs_read.h"

#define DEADLINE_MS 40
#define THOROUGH_EVERY_MS 1000
#define RECENT 8
#define HINTS 64
#define NEXT_FDS 8
#define SMALL_TREE 64
#define HOLDERS 8
#define DEPTH_MAX 64
#define SIGHTS 4096

struct seen {
	pid_t pid, parent;
	bool is_new;   /* since the listing before */
	long fd_count; /* when it was looked at last; 0: it wasn't */
};

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
	pid_t init;
	struct sight sights[SIGHTS]; /* by inode */
	struct seen *seen;	     /* by pid */
	size_t count;
	struct recent recent[RECENT]; /* the latest first; pid 0: none */
	int64_t thorough_ms;	      /* when that was done last */
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
	int64_t deadline_ms;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static bool over(const struct search *s)
{
	return now_ms() >= s->deadline_ms;
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

static struct seen *find_seen(struct seen *list, size_t count, pid_t pid)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (list[middle].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && list[low].pid == pid ? &list[low] : NULL;
}

static bool is_ours(const struct procs *p, const struct seen *s)
{
	for (int depth = 0; s && depth < DEPTH_MAX; depth++) {
		if (s->parent == p->init)
			return true;
		if (s->parent <= 1)
			return false;
		s = find_seen(p->seen, p->count, s->parent);
	}
	return false;
}

/* Reads /proc. With `thorough` nothing that was known counts. */
static void refresh(struct procs *p, bool thorough)
{
	size_t count;
	pid_t *pids = procs_list(&count);
	struct seen *now = pids ? calloc(count + 1, sizeof(*now)) : NULL;

	for (size_t i = 0; now && i < count; i++) {
		struct seen *old = find_seen(p->seen, p->count, pids[i]);

		now[i].pid = pids[i];
		now[i].is_new = !old;
		now[i].fd_count = old ? old->fd_count : 0;
		if (old && !thorough)
			now[i].parent = old->parent;
		/* Numbers grow, until they begin again: then a thorough look finds it. */
		else if (thorough || pids[i] > p->init)
			now[i].parent = procs_parent(pids[i]);
	}
	free(pids);
	if (!now)
		return;
	free(p->seen);
	p->seen = now;
	p->count = count;
}

static size_t tree_size(const struct procs *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->count && n <= SMALL_TREE; i++)
		n += is_ours(p, &p->seen[i]);
	return n;
}

static void scan_seen(struct search *s, struct seen *seen)
{
	seen->fd_count = procs_fd_count(seen->pid);
	scan(s, seen->pid);
}

/* Those that are new, or those that aren't. */
static void scan_tree(struct search *s, bool is_new)
{
	struct procs *p = s->procs;

	for (size_t i = p->count; i-- > 0 && s->left && !over(s);) {
		struct seen *seen = &p->seen[i];

		if (seen->is_new == is_new && !is_recent(p, seen->pid) &&
		    is_ours(p, seen))
			scan_seen(s, seen);
	}
}

static void scan_changed(struct search *s)
{
	struct procs *p = s->procs;

	for (size_t i = p->count; i-- > 0 && s->left && !over(s);) {
		struct seen *seen = &p->seen[i];

		if (!seen->is_new && is_ours(p, seen) &&
		    procs_fd_count(seen->pid) != seen->fd_count)
			scan_seen(s, seen);
	}
}

/* Of a small tree: whoever has one of them, too. */
static void scan_all(struct search *s)
{
	struct procs *p = s->procs;

	for (size_t i = p->count; i-- > 0 && !over(s);) {
		if (is_ours(p, &p->seen[i]))
			scan_seen(s, &p->seen[i]);
	}
}

static void look_everywhere(struct search *s)
{
	struct procs *p = s->procs;

	refresh(p, false);
	if (tree_size(p) <= SMALL_TREE) {
		scan_all(s);
	} else {
		scan_tree(s, true);
		scan_changed(s);
		scan_tree(s, false);
	}
	if (!s->left || over(s) || now_ms() - p->thorough_ms < THOROUGH_EVERY_MS)
		return;
	p->thorough_ms = now_ms();
	refresh(p, true);
	scan_tree(s, true);
	scan_tree(s, false);
}

/* --- whose it is --- */

static void add_ancestors(struct search *s, size_t i)
{
	struct holder h = s->holders[i][0];
	pid_t pid = procs_parent(h.pid);

	for (int depth = 0; pid > 1 && pid != s->procs->init && depth < HOLDERS;
	     depth++, pid = procs_parent(pid)) {
		int dir = procs_open_fds(pid);

		if (dir < 0)
			return;
		if (procs_socket(dir, h.fd) == s->inodes[i])
			add_holder(s, i, pid, h.fd);
		close(dir);
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
	for (size_t i = 0; i < s->count; i++) {
		if (s->holder_count[i] == 1)
			add_ancestors(s, i);
	}
}

static void start(struct search *s, struct procs *p,
		  const struct owner_question *questions, size_t count)
{
	*s = (struct search){ .procs = p,
			      .count = MIN(count, (size_t)OWNER_BATCH),
			      .deadline_ms = now_ms() + DEADLINE_MS };
	for (size_t i = 0; i < s->count; i++) {
		const struct owner_question *q = &questions[i];

		s->inodes[i] = q->inode ?
				       q->inode :
				       procs_ping_socket(p->init, q->protocol, q->port);
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
	uint64_t begin_ns = procs_cpu_ns();
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
		answer.cost_ns = procs_cpu_ns() - begin_ns;
		tell(ctx, &answer);
		answer = next;
	} while (more);
}

struct procs *procs_new(pid_t init)
{
	struct procs *p = calloc(1, sizeof(*p));

	if (p)
		p->init = init;
	return p;
}

void procs_free(struct procs *p)
{
	if (p)
		free(p->seen);
	free(p);
}
