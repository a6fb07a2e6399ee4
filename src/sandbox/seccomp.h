/* The system call filters: which calls the command can't, and the engine can, make. */
#ifndef SANDBOX_SECCOMP_H
#define SANDBOX_SECCOMP_H

#include "base/error.h"

/*
 * For the calling process and all it starts, for good. Need no_new_privs, and no memory.
 * What they hold is told in seccomp_gen.c.
 */
int seccomp_confine_command(struct error *err);
int seccomp_confine_engine(struct error *err);

#endif
