/*
 * The engine reads every byte that the command sends, with a TCP/IP stack and DNS and proxy
 * parsers: it is the part to be attacked. So whoever takes it over is to gain nothing but
 * what the engine is for, connections from the host's network.
 *
 * - Not dumpable (tree.c), no core: its memory (names, keys, other people's bytes) is nobody's.
 * - A user namespace of its own, without a mapped id. This gives an ordinary user the right
 *   to chroot(2), and takes away every right over processes of the same user by ptrace(2).
 *   Host sockets work as before: the network namespace stays, and the kernel knows the
 *   process by the same ids as ever.
 * - An empty root: /proc/tty/ldisc, which the kernel keeps though it has put nothing there
 *   for decades. Where /proc has only processes (subset=pid), our own fdinfo, read-only notes
 *   about our own descriptors. Rejected: a mount namespace with pivot_root(2) to an empty
 *   tmpfs (three times the cost), a directory in /tmp (leaves traces), that of a process that
 *   is dead at once (on a busy machine it is a millisecond until it has run), Landlock (does
 *   not cover unix sockets, not in every kernel).
 * - No capabilities, no_new_privs, and seccomp's allow-list (seccomp_gen.c) on top, which
 *   has no call that takes a path, makes a process, or touches another one.
 *
 * Whatever has to be opened later is opened by the supervisor (broker.c) and sent.
 *
 * All of it or no run; but sanitizers need threads, files and odd system calls: a build with
 * them keeps its root and has no filter.
 */
#include "sandbox/confine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/ns.h"
#include "sandbox/preflight.h"
#include "sandbox/seccomp.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int leave_root(struct error *err)
{
	int r;

	if (unshare(CLONE_NEWUSER) < 0)
		return preflight_namespaces(errno, err);
	/* The kernel forgets it with every gain of capabilities. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_set(err, errno, "have the engine die with the supervisor");
	r = chroot("/proc/tty/ldisc");
	if (r < 0 && errno == ENOENT)
		r = chroot("/proc/self/fdinfo");
	if (r < 0 || chdir("/") < 0)
		return error_set(err, errno, "change the engine's root");
	return 0;
}

int confine_engine(struct error *err)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return error_set(err, errno, "forbid core dumps of the engine");
	if (!SANITIZED && leave_root(err) < 0)
		return -1;
	if (ns_drop_privileges(err) < 0)
		return -1;
	return SANITIZED ? 0 : seccomp_confine_engine(err);
}
