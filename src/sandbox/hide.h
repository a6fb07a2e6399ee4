/* Hides the sockets of the host's resolvers from the command. */
#ifndef SANDBOX_HIDE_H
#define SANDBOX_HIDE_H

#include <stdbool.h>

#include "base/error.h"

struct hide {
	int dir, file; /* empty ones, O_PATH: what is mounted over a place */
	int fd;	       /* to be polled; -1 without */
	bool watching; /* fd is inotify's, not the timer's */
};

/* Hides what is there. `dir` and `file` are empty and read-only, in the mount namespace. */
int hide_resolvers(struct hide *h, const char *dir, const char *file, struct error *err);

/* From now on what appears is hidden as well, when hide_event() is called for a readable fd. */
int hide_watch(struct hide *h, struct error *err);
void hide_event(struct hide *h);

/* Tells each place that is there now and would be hidden. */
void hide_each_place(void (*tell)(void *ctx, const char *place), void *ctx);

/* Whether a path is that of a place to hide or below one. */
bool hide_concerns(const char *path);

/* Whether path is dir or below it. */
bool hide_is_below(const char *path, const char *dir);

#endif
