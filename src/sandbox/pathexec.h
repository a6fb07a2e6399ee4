/* execvp(3) with an answer to "not found, or not executable?". */
#ifndef SANDBOX_PATHEXEC_H
#define SANDBOX_PATHEXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct pathexec {
	char **candidates; /* full paths in the order to try, NULL at the end */
	char **argv;	   /* the caller's */
	char **sh_argv;	   /* argv with room for the shell in front of it */
	bool is_path;	   /* argv[0] is one: no search */
};

struct pathexec_result {
	int code;   /* errno of the candidate that counts */
	bool found; /* there is such a file: exit code 126, else 127 */
};

/*
 * Lays out everything the search needs, so that pathexec_run() needs no memory. `path` is
 * the value of PATH or NULL for the system's default. The program lives until exec: there
 * is no counterpart that frees.
 */
int pathexec_prepare(struct pathexec *pe, char **argv, const char *path,
		     struct error *err);

/* Executes the first candidate that can be; returns only if none can. */
struct pathexec_result pathexec_run(const struct pathexec *pe, char **envp);

#endif
