/* The processes of the command's tree, as they come: for procs.c. */
#ifndef SANDBOX_PROCTREE_H
#define SANDBOX_PROCTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct proctree_entry {
	pid_t pid, parent;
	bool ours;     /* a descendant of init */
	bool gone;     /* its children's descent still leads through it */
	bool is_new;   /* came with the last call of proctree_grow() */
	long fd_count; /* procs.c's: when it was looked at last; 0: it wasn't */
};

struct proctree {
	pid_t init;
	pid_t last;	/* the latest number that was given away */
	int dir;	/* /proc */
	off_t distance; /* of a process's number from its place in it; 0: not known */
	struct proctree_entry *list; /* by pid */
	size_t count, room;
	size_t our_count; /* that are not known to be gone */
};

void proctree_init(struct proctree *t, pid_t init);
void proctree_free(struct proctree *t);

/* Takes up the processes that have come since the last call. */
void proctree_grow(struct proctree *t);
/* Forgets what was known and takes up all. */
void proctree_reread(struct proctree *t);
void proctree_gone(struct proctree *t, struct proctree_entry *e);

#endif
