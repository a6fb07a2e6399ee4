/* The flow log as the supervisor's process sees it: how the run began, failed and ended. */
#ifndef CMD_RECORD_H
#define CMD_RECORD_H

#include <signal.h>
#include <sys/types.h>

#include "config/config.h"
#include "event/flowlog.h"

#define RECORD_RUN_ID_MAX 26

struct record {
	bool open;   /* there is a flow log */
	off_t begin; /* where the run's lines begin in it */
	struct logfile file;
	char run_id[RECORD_RUN_ID_MAX];
	struct sigaction file_size_signal; /* SIGXFSZ, as the caller had it */
	struct flowlog log;
	struct counter_sink counter;
	struct events events;
};

/* Opens the flow log, if one is asked for. `r` must be zero, and stays where it is until
 * record_close(). Ignores SIGPIPE and SIGXFSZ from then on. */
int record_open(struct record *r, const struct config *cfg, struct counters *counters,
		struct error *err);
void record_start(struct record *r, const struct config *cfg);
void record_failure(struct record *r, const struct error *err);
/* `exit_code` is the final one. Tells how much was lost, too. */
void record_end(struct record *r, int exit_code);
void record_close(struct record *r);

/* Of a call that was refused before it became a run. */
void record_refusal(const struct config *cfg, struct error *err);

#endif
