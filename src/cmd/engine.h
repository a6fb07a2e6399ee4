/* The engine process: wires the rooms, then runs the loop until the run is over. */
#ifndef CMD_ENGINE_H
#define CMD_ENGINE_H

#include "base/netplan.h"
#include "capture/capture.h"
#include "config/config.h"
#include "event/logfile.h"

/* What the supervisor has read for the engine before it forks. */
struct engine_setup {
	const struct config *cfg;
	struct netplan plan;
	struct endpoint *resolvers; /* upstream DNS servers */
	size_t resolver_count;
	bool resolvers_explicit; /* by --dns: every question goes there */
	char *hosts_text;	 /* --hosts-file's content, or NULL */
	size_t hosts_len;
	char *host_hosts_text; /* /etc/hosts when a proxy may stand in it, or NULL */
	size_t host_hosts_len;
	struct counters *counters; /* shared */
	struct logfile *log;	   /* the flow log, or NULL */
	const char *run_id;
	struct capture *capture; /* or NULL */
};

/* Runs in the forked engine process; ctx is a struct engine_setup. Takes both sockets over.
 * Returns the process's exit status: 0 after an orderly end. */
int engine_main(void *ctx, int init_fd, int supervisor_fd);

#endif
