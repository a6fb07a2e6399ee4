/* Namespaces and privileges: the system calls that glibc has no functions for. */
#ifndef SANDBOX_NS_H
#define SANDBOX_NS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/netplan.h"

/*
 * fork() with CLONE_NEW* flags. The child has no second thread and must not rely on
 * pthread_atfork() handlers. Returns as fork() does.
 */
pid_t ns_clone(uint64_t flags);

/* Closes every descriptor above 2 but these; those below 0 are none. */
int ns_keep_fds(const int *fds, size_t count, struct error *err);

/* Writes text to a file of /proc in one write(2). */
int ns_write_file(const char *path, const char *text, struct error *err);

/*
 * The settings of the child's network and user namespaces; called in them with their
 * capabilities, with tap0 made and the ids mapped.
 */
int ns_sysctls(const struct netplan *plan, bool as_root, struct error *err);

/*
 * Gives up all capabilities, and by no_new_privs the way back to them. The bounding set
 * stays as it is: programs with file capabilities (ping) could not be executed otherwise.
 */
int ns_drop_privileges(struct error *err);

/*
 * Keeps the capabilities but for the one over mounts, and no way to more: what is hidden
 * (mounts.c) stays so. A namespace of its own for mounts can still be made.
 */
int ns_keep_privileges(struct error *err);

#endif
