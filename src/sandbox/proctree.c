/*
 * The kernel gives away the numbers of processes in order, and begins again when they are used
 * up; the latest one stands in /proc/loadavg. And /proc lists processes by number, so that its
 * descriptor can be set to a place in the middle: those between the number that was the latest
 * before and the one that is it now are new, and only these are looked at for their parent. On
 * a host with thousands of processes that is a hundred times cheaper than reading all of it.
 *
 * If a number was missed, for 32,768 processes came meanwhile, a process isn't found; so who
 * doesn't find one may proctree_reread().
 */
#include "sandbox/proctree.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/procs_read.h"

#define DEPTH_MAX 64
#define COUNT_MAX 100000 /* dead ones included; then all is read anew */

static size_t place_of(const struct proctree *t, pid_t pid)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (t->list[middle].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct proctree_entry *find(const struct proctree *t, pid_t pid)
{
	size_t i = place_of(t, pid);

	return i < t->count && t->list[i].pid == pid ? &t->list[i] : NULL;
}

static bool descends(const struct proctree *t, const struct proctree_entry *e)
{
	for (int depth = 0; e && depth < DEPTH_MAX; depth++) {
		if (e->ours || e->parent == t->init)
			return true;
		if (e->parent <= 1)
			return false;
		e = find(t, e->parent);
	}
	return false;
}

static bool make_room(struct proctree *t)
{
	size_t room = MAX(t->room * 2, (size_t)256);
	struct proctree_entry *more;

	if (t->count < t->room)
		return true;
	more = realloc(t->list, room * sizeof(*more));
	if (!more)
		return false;
	t->list = more;
	t->room = room;
	return true;
}

struct reading {
	struct proctree *tree;
	pid_t to;
};

static bool add(void *ctx, int pid)
{
	struct reading *r = ctx;
	struct proctree *t = r->tree;
	size_t i = place_of(t, pid);
	bool known = i < t->count && t->list[i].pid == pid;

	if (pid > r->to)
		return false;
	if (known)
		proctree_gone(t, &t->list[i]); /* the number is another's now */
	else if (!make_room(t))
		return false;
	if (!known)
		memmove(t->list + i + 1, t->list + i,
			(t->count++ - i) * sizeof(*t->list));
	t->list[i] = (struct proctree_entry){ .pid = pid, .is_new = true };
	return true;
}

static void read_range(struct proctree *t, pid_t from, pid_t to)
{
	off_t place = from > 1 && t->distance ? from + t->distance : 0;

	if (t->dir < 0)
		t->dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir < 0 || lseek(t->dir, place, SEEK_SET) < 0)
		return;
	procs_each_number(t->dir, place ? NULL : &t->distance, add,
			  &(struct reading){ t, to });
}

/* Whether it has come after init. */
static bool is_younger(const struct proctree *t, pid_t pid)
{
	return t->last >= t->init ? pid > t->init && pid <= t->last :
				    pid > t->init || pid <= t->last;
}

/* The parents of those that are new, then whose they are: a parent may have the higher number. */
static void find_descent(struct proctree *t, bool all)
{
	for (size_t i = 0; i < t->count; i++) {
		struct proctree_entry *e = &t->list[i];

		if (e->is_new && (all || is_younger(t, e->pid)))
			e->parent = procs_parent(e->pid);
	}
	for (size_t i = 0; i < t->count; i++) {
		if (!t->list[i].is_new)
			continue;
		t->list[i].ours = descends(t, &t->list[i]);
		t->our_count += t->list[i].ours;
	}
}

void proctree_init(struct proctree *t, pid_t init)
{
	*t = (struct proctree){ .init = init, .dir = -1 };
}

void proctree_free(struct proctree *t)
{
	cleanup_fd_fn(&t->dir);
	free(t->list);
}

void proctree_grow(struct proctree *t)
{
	pid_t before = t->last;

	for (size_t i = 0; i < t->count; i++)
		t->list[i].is_new = false;
	t->last = procs_last_pid();
	if (!before || !t->last || t->count >= COUNT_MAX) {
		t->count = t->our_count = 0;
		read_range(t, 1, INT_MAX);
	} else if (t->last >= before) {
		read_range(t, before + 1, t->last);
	} else {
		read_range(t, before + 1, INT_MAX);
		read_range(t, 1, t->last);
	}
	find_descent(t, false);
}

void proctree_reread(struct proctree *t)
{
	t->count = t->our_count = 0;
	t->last = procs_last_pid();
	read_range(t, 1, INT_MAX);
	find_descent(t, true);
}

void proctree_gone(struct proctree *t, struct proctree_entry *e)
{
	t->our_count -= e->ours && !e->gone;
	e->gone = true;
}
