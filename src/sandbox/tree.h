/* The supervisor's two processes: starting, waiting for and ending them. */
#ifndef SANDBOX_TREE_H
#define SANDBOX_TREE_H

#include <sys/types.h>

#include "base/error.h"
#include "sandbox/backend.h"
#include "sandbox/command.h"
#include "sandbox/supervisor.h"

struct tree {
	struct backend backend;
	pid_t engine_pid, init_pid; /* 0 when not running */
	bool engine_finishes;	    /* it writes what it has before it is killed */
	int engine, init;	    /* proto pairs, the supervisor's ends, or -1 */
};

/* Starts both. The caller has taken over the signals and calls tree_end() in any case. */
int tree_start(struct tree *tree, const struct supervisor_setup *setup,
	       const struct command_signals *caller, struct error *err);

/* Waits for a process that is ending; returns its wait status. */
int tree_reap(pid_t *pid);

/* Kills what still runs, reaps it and closes the pairs. The kernel ends all inside with
 * init. */
void tree_end(struct tree *tree);

#endif
