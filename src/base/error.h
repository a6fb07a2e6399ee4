/*
 * Errors of set-up: one sentence on the caller's stack.
 *
 * A function that can fail before the command runs takes `struct error *err`, fills it with
 * error_set() and returns -1. Callers put their own words in front with error_wrap().
 * It is printed once, in main.c. The data path uses -errno instead.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

struct error {
	int code;	/* errno, or 0 when no system call failed */
	char text[512]; /* "what: why" */
	char cure[384]; /* what the user can do about it; may be empty */
};

/* Sets the sentence, ": strerror(code)" behind it when code is not 0. Returns -1. */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "fmt: " before the sentence. Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Sets the cure, a sentence of its own. Returns -1. */
int error_cure(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
