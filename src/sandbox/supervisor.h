/* Runs a command in its sandbox: what the rest of the program sees of this room. */
#ifndef SANDBOX_SUPERVISOR_H
#define SANDBOX_SUPERVISOR_H

#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/netplan.h"
#include "sandbox/mounts.h"
#include "sandbox/proto.h"

/* Exit codes that are childflow's own. */
enum {
	SUPERVISOR_EXIT_LEAK =
		120, /* something was blocked, though the command succeeded */
	SUPERVISOR_EXIT_FAILED = 125,
	SUPERVISOR_EXIT_NOT_EXECUTABLE = 126,
	SUPERVISOR_EXIT_NOT_FOUND = 127,
	SUPERVISOR_EXIT_SIGNAL = 128, /* plus the signal's number */
};

#define SUPERVISOR_ENGINE_FDS_MAX 8

struct supervisor_setup {
	char **command;
	struct netplan plan;
	const struct etc_file *etc;
	size_t etc_count;
	unsigned drain_timeout_ms;
	bool as_root;
	/*
	 * The host's DNS servers, in order of preference, when they have changed since the
	 * last call; 0 when they haven't or can't be told just now. Called in the supervisor
	 * after a change of resolvers_path, or of what that links to. NULL: not to be
	 * followed.
	 */
	size_t (*resolvers_read)(void *ctx,
				 struct endpoint out[static PROTO_RESOLVERS_MAX]);
	void *resolvers_ctx;
	const char *resolvers_path;
	/*
	 * Runs in the engine's process: own process group, not dumpable, no descriptors above
	 * 2 but the two (proto.h) and engine_fds, stdin and stdout on /dev/null, all signals blocked but
	 * those of faults, SIGPIPE ignored. It still has the caller's privileges, which it is
	 * to drop. Returns its exit status; anything but 0, and an end that nobody has asked
	 * for, is a failed run. Closing supervisor_fd says that the process ends now.
	 */
	int engine_fds[SUPERVISOR_ENGINE_FDS_MAX]; /* it keeps these; 0: none */
	bool keys;	      /* the command finds a pipe for TLS keys, at MOUNTS_KEYS */
	bool engine_finishes; /* it may have more to write when all else is over */
	/* Opens, in the supervisor, the file that is to follow one of the engine's, by its
	 * number; -1: there is none. */
	int (*next_file)(void *ctx, unsigned file);
	/* It is being written, and the one before it is no more. */
	void (*file_begun)(void *ctx, unsigned file);
	void *next_file_ctx;
	/* Called in the supervisor while the command runs; returns after how many milliseconds it
	 * wants to be called again. NULL: nobody wants that. */
	unsigned (*meanwhile)(void *ctx);
	void *meanwhile_ctx;
	/* What SIGXFSZ was when we were started, if that was changed; NULL: what it is. */
	const struct sigaction *file_size_signal;
	int (*engine_main)(void *ctx, int init_fd, int supervisor_fd);
	void *engine_ctx;
};

/* Has the engine keep fd, above 2. */
static inline void supervisor_keep(struct supervisor_setup *setup, int fd)
{
	size_t i = 0;

	while (setup->engine_fds[i])
		i++;
	assert(i + 1 < SUPERVISOR_ENGINE_FDS_MAX);
	setup->engine_fds[i] = fd;
}

/*
 * Returns 0 and the exit code the run has earned, or -1 with err filled in and one of our
 * own exit codes. No process of the run is left either way. To be called once, without
 * other threads or children; the process's signals stay blocked afterwards.
 */
int supervisor_run(const struct supervisor_setup *setup, int *exit_code,
		   struct error *err);

#endif
