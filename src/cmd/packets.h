/* The capture as the supervisor's process sees it: its files, opened and followed up. */
#ifndef CMD_PACKETS_H
#define CMD_PACKETS_H

#include "capture/capture.h"
#include "config/config.h"
#include "sandbox/supervisor.h"

struct packets {
	struct capture_setup setup;
	struct capture *capture; /* or NULL */
};

/* Opens the files, if any are asked for, and has the engine inherit them. `p` must be zero,
 * and stays where it is until packets_close(). The command's stdout may be another one from
 * then on. */
int packets_open(struct packets *p, const struct config *cfg,
		 struct supervisor_setup *supervisor, struct error *err);
void packets_close(struct packets *p);

#endif
