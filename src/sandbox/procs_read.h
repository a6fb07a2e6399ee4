/* What we read in /proc, file by file. Whatever can't be read is 0 or NULL. */
#ifndef SANDBOX_PROCS_READ_H
#define SANDBOX_PROCS_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/owner.h"

/* Tells each name that is a number, until on_number() returns false. *distance, if not NULL,
 * becomes how far the place of a number in the directory, for lseek(), is from it. */
void procs_each_number(int dir, off_t *distance, bool (*on_number)(void *ctx, int number),
		       void *ctx);

/* The number that was given away last in our PID namespace. */
pid_t procs_last_pid(void);
pid_t procs_parent(pid_t pid);
bool procs_is_stopped(pid_t pid);

/* /proc/PID/fd, to be closed; -1 when it may not be read. */
int procs_open_fds(pid_t pid);
/* How many descriptors it has; 0 where the kernel doesn't tell (before Linux 6.2); -1: there is
 * no such process. */
long procs_fd_count(pid_t pid);
/* The inode of the socket that `fd` of that directory is; 0: it is none. */
uint32_t procs_socket(int dir, int fd);
/* Tells each descriptor that is a socket, until on_fd() returns false. */
void procs_each_socket(pid_t pid, bool (*on_fd)(void *ctx, int fd, uint32_t inode),
		       void *ctx);

/* The inode of the ping socket with that identifier in the network of `pid`. */
uint32_t procs_ping_socket(pid_t pid, uint8_t protocol, uint16_t identifier);

/* Whether a thread waits in connect(2) or a send on its descriptor `fd`. */
bool procs_is_sending(pid_t pid, int fd);

/* Fills in comm and exe for pid. */
void procs_describe(struct owner_answer *answer);

/* CPU time of this thread. */
uint64_t procs_cpu_ns(void);

#endif
