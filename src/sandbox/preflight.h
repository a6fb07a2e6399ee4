/*
 * Why a machine refuses what childflow needs, and what helps. Called after a step has
 * failed, never before: a healthy machine pays nothing.
 */
#ifndef SANDBOX_PREFLIGHT_H
#define SANDBOX_PREFLIGHT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* clone3() of the namespaces failed with errno `code`. Fills in err, returns -1. */
int preflight_namespaces(int code, struct error *err);

/* Whether process 1 is that of another run of ours; asked before our own /proc is mounted. */
bool preflight_inside_childflow(void);

/* open() of the tun device or TUNSETIFF (`what`) failed. Fills in err, returns -1. */
int preflight_tun(int code, const char *what, struct error *err);

/* Adds the cure to the err of a later step if a security module took the privileges of
 * process `pid` away. */
void preflight_explain(struct error *err, pid_t pid);

#endif
