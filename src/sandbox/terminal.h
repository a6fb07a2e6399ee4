/* The caller's terminal and job control. */
#ifndef SANDBOX_TERMINAL_H
#define SANDBOX_TERMINAL_H

#include <stdbool.h>

/* Whether this signal, when the terminal sent it to us, went to our whole process group. */
bool terminal_signal(int number);

#define TERMINAL_KEYS 3

/* The signals by which a terminal, or its end, asks for the end. */
extern const int terminal_keys[TERMINAL_KEYS];

bool terminal_key(int number);

/* Stops the calling process as `number` has stopped the command; returns when continued. */
void terminal_stop(int number);

/*
 * Makes the caller's process group the foreground group again, if the group that is now has
 * no process any more (a shell inside has died with the terminal in its hands).
 */
void terminal_restore(void);

#endif
