/*
 * Errors of set-up: one sentence on the caller's stack.
 *
 * A function that can fail before the command runs takes `struct error *err`, fills it with
 * error_set() and returns -1. Callers put their own words in front with error_wrap().
 * It is printed once, in main.c. The data path uses -errno instead.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/* What could not be done, as programs want to know it: one for all whose cure is the same. */
enum error_reason {
	ERROR_UNKNOWN,
	ERROR_NAMESPACES,
	ERROR_ID_MAPS,
	ERROR_PRIVATE_MOUNTS,
	ERROR_RESOLV_CONF,
	ERROR_HOSTS,
	ERROR_SYNC, /* our processes, with each other, before the command runs */
	ERROR_TAP,
	ERROR_CAPTURE,
	ERROR_SHUTDOWN, /* what ran beside the command has failed */
	ERROR_REASON_COUNT,
};

/* Where in the course of things. */
enum error_phase {
	PHASE_RUN,
	PHASE_CLI,
	PHASE_PREFLIGHT,
	PHASE_CHILD, /* in the command's world, before the command */
	PHASE_COUNT,
};

struct error {
	int code; /* errno, or 0 when no system call failed */
	enum error_reason reason;
	enum error_phase phase;
	char text[512]; /* "what: why" */
	char cure[384]; /* what the user can do about it; may be empty */
};

/* Sets the sentence, ": strerror(code)" behind it when code is not 0. Returns -1. */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "fmt: " before the sentence. Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Says what could not be done, unless that was said nearer to the place. Returns -1. */
int error_because(struct error *err, enum error_reason reason);

/* As logs and stderr have them: "tap_create_blocked", "child_bootstrap". */
const char *error_reason_name(enum error_reason reason);
const char *error_phase_name(enum error_phase phase);

/* Sets the cure, a sentence of its own. Returns -1. */
int error_cure(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
