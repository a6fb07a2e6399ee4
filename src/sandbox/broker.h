/* What the confined engine can't look up itself, looked up for it by the supervisor. */
#ifndef SANDBOX_BROKER_H
#define SANDBOX_BROKER_H

#include <limits.h>
#include <stdbool.h>

#include "sandbox/supervisor.h"

#define BROKER_WATCHES 16

struct broker {
	const struct supervisor_setup *setup;
	int engine;    /* proto pair, not ours */
	int fd;	       /* readable when broker_event() is due, or -1 */
	bool watching; /* fd is inotify's, not the timer's */
	size_t count;
	struct {
		int wd;
		char name[NAME_MAX + 1]; /* in that directory; "" for any */
	} watches[BROKER_WATCHES];
};

/* Does nothing yet. */
void broker_init(struct broker *b, const struct supervisor_setup *setup);
/* When the command has started; `engine` is where news will be sent. */
void broker_start(struct broker *b, int engine);
void broker_event(struct broker *b);
/* Opens what is to follow a file of the engine's, and sends it. */
void broker_next_file(struct broker *b, int engine, unsigned file);
/* Before `engine` is closed, too. May be called twice. */
void broker_close(struct broker *b);

#endif
