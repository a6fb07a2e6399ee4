/* Which process of the command's tree has a socket? Looked up in /proc by the supervisor. */
#ifndef SANDBOX_PROCS_H
#define SANDBOX_PROCS_H

#include <sys/types.h>

#include "base/owner.h"

struct procs;

/* `init` is the tree's first process, as this PID namespace counts. NULL without memory. */
struct procs *procs_new(pid_t init);
void procs_free(struct procs *p);

/* Finds the owners of at most OWNER_BATCH sockets and tells each process, at least one answer,
 * before it returns. Takes some tens of milliseconds at most. */
void procs_find(struct procs *p, const struct owner_question *questions, size_t count,
		void (*tell)(void *ctx, const struct owner_answer *answer), void *ctx);

#endif
