/* Process 1 of the command's PID namespace. */
#ifndef SANDBOX_INIT_H
#define SANDBOX_INIT_H

#include "sandbox/backend.h"
#include "sandbox/command.h"
#include "sandbox/supervisor.h"

struct init_setup {
	const struct supervisor_setup *run;
	struct backend *backend;
	const struct command_signals *signals;
	int supervisor; /* proto pairs, init's ends */
	int engine;
};

/* Runs in the new namespaces until the supervisor hangs up. */
void init_main(const struct init_setup *setup) __attribute__((noreturn));

#endif
