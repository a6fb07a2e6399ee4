/* Starts the command: in its own user namespace, without privileges, unless as root. */
#ifndef SANDBOX_COMMAND_H
#define SANDBOX_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "sandbox/idmap.h"
#include "sandbox/pathexec.h"

/* The signal state childflow was started with: the command's, but for SIGPIPE. */
struct command_signals {
	sigset_t mask;
	struct sigaction child, file_size;
};

struct command_setup {
	char **argv;
	const struct idmap *idmap;
	const struct command_signals *signals;
	bool as_root; /* keeps init's user namespace, and capabilities in it */
};

/*
 * Called by init, which must hold no descriptor for the command above 2. Returns the
 * command's pid once exec has succeeded. Returns 0 when it could not be executed, with
 * *why filled in, and -1 with err when a step before exec failed; either way the process
 * is reaped.
 */
pid_t command_start(const struct command_setup *setup, struct pathexec_result *why,
		    struct error *err);

/*
 * Whether this key of the terminal has come since command_start() began: then the command has
 * it, if it is in the caller's process group.
 */
bool command_has_key(int number);

#endif
