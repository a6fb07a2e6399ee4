/*
 * The inner half of the two-level user namespace.
 *
 * Init's namespace owns the network, the mounts and the processes. The command lives in a
 * user namespace below it, so even as "root" of its own it would have no power over any of
 * them; and it has none: no capabilities, no_new_privs, and max_user_namespaces=1 above it
 * is used up by its own. The process tells init over a socket pair that closes at exec:
 * end of file is success.
 *
 * With --as-root there is no second namespace: the command is to have power over network and
 * processes. It keeps all capabilities but CAP_SYS_ADMIN, as that one could undo our mounts.
 * Its packets have the same one way out, and the policy stands there.
 *
 * Until exec the process borrows init's memory, as vfork(2) does, with a stack of its own:
 * copying it would cost a third of a millisecond of each run. Under a whole map, which init
 * has to write, the kernel does not keep init from running; then the two take turns, as one
 * memory has one errno: the process waits for init's byte, and init from then on for its exec.
 */
#include "sandbox/command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/ns.h"
#include "sandbox/seccomp.h"
#include "sandbox/terminal.h"

#define STACK_BYTES 65536

/* What the terminal's keys did before they were watched. */
struct keys {
	struct sigaction before[TERMINAL_KEYS];
	sigset_t mask;
};

struct process {
	const struct command_setup *setup;
	struct pathexec program;
	struct keys keys;
	int pair; /* closes at exec */
};

struct report {
	bool tried; /* exec was reached: .why counts, else .error */
	struct pathexec_result why;
	struct error error;
};

static bool written_by_init(const struct command_setup *setup)
{
	return setup->idmap->whole && !setup->as_root;
}

static int out_of_step(int code, const char *what, struct error *err)
{
	error_set(err, code, "%s", what);
	return error_because(err, ERROR_SYNC);
}

/* A whole map is written by init, our parent, which then sends one byte. */
static int take_ids(const struct command_setup *setup, int pair, struct error *err)
{
	char go;

	if (setup->as_root)
		return 0;
	if (!setup->idmap->whole)
		return idmap_write(setup->idmap, 0, err);
	if (recv(pair, &go, 1, 0) != 1)
		return out_of_step(EPIPE, "wait for the id maps", err);
	return 0;
}

/*
 * A key of the terminal must reach the command whenever it is pressed, and once. It signals
 * the group, of which the process is a part from its birth on: what comes before finds only
 * us. So from before the birth on the keys are not blocked but noted, as the kernel lets no
 * process be born while an unblocked signal waits; what is noted then, the process sends to
 * itself. Init goes on noting: that needs no call that could fail beside a command that runs.
 */
static volatile sig_atomic_t noted[NSIG];

static void note_key(int number)
{
	noted[number] = 1;
}

bool command_has_key(int number)
{
	return noted[number];
}

static int watch_keys(struct keys *keys, struct error *err)
{
	const struct sigaction note = { .sa_handler = note_key, .sa_flags = SA_RESTART };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(terminal_keys); i++) {
		if (sigaction(terminal_keys[i], &note, &keys->before[i]) < 0)
			return error_set(err, errno, "watch the terminal's keys");
		sigaddset(&set, terminal_keys[i]);
	}
	if (sigprocmask(SIG_UNBLOCK, &set, &keys->mask) < 0)
		return error_set(err, errno, "watch the terminal's keys");
	return 0;
}

/* Not raise(3): it knows its thread by init's memory. */
static int restore_keys(const struct keys *keys)
{
	if (sigprocmask(SIG_SETMASK, &keys->mask, NULL) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(terminal_keys); i++) {
		if (sigaction(terminal_keys[i], &keys->before[i], NULL) < 0)
			return -1;
		if (noted[terminal_keys[i]])
			kill(getpid(), terminal_keys[i]);
	}
	return 0;
}

static int restore_signals(const struct process *p, struct error *err)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	const struct command_signals *signals = p->setup->signals;

	if (restore_keys(&p->keys) < 0 || sigaction(SIGPIPE, &dfl, NULL) < 0 ||
	    sigaction(SIGCHLD, &signals->child, NULL) < 0 ||
	    sigaction(SIGXFSZ, &signals->file_size, NULL) < 0 ||
	    sigprocmask(SIG_SETMASK, &signals->mask, NULL) < 0)
		return error_set(err, errno, "restore the signals");
	return 0;
}

static int prepare(const struct process *p, struct error *err)
{
	if (take_ids(p->setup, p->pair, err) < 0 ||
	    (p->setup->as_root ? ns_keep_privileges(err) : ns_drop_privileges(err)) < 0)
		return -1;
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return error_set(err, errno, "close inherited descriptors");
	if (seccomp_confine_command(err) < 0)
		return -1;
	/* Last: whoever is stopped here stops init, too, which waits for the exec. */
	return restore_signals(p, err);
}

static int run(void *arg)
{
	const struct process *p = arg;
	struct report report = { 0 };

	if (prepare(p, &report.error) == 0) {
		report.tried = true;
		report.why = pathexec_run(&p->program, environ);
	}
	/* If init is gone, so are we. */
	send(p->pair, &report, sizeof(report), MSG_NOSIGNAL);
	return EXIT_FAILURE;
}

static pid_t start(struct process *p)
{
	static char stack[STACK_BYTES] __attribute__((aligned(16)));
	int flags = CLONE_VM | SIGCHLD;

	if (!p->setup->as_root)
		flags |= CLONE_NEWUSER;
	if (!written_by_init(p->setup))
		flags |= CLONE_VFORK;
	return clone(run, stack + sizeof(stack), flags, p);
}

/* Variables by which glibc would ask other names than the command has typed. */
static void scrub_environment(void)
{
	unsetenv("LOCALDOMAIN");
	unsetenv("RES_OPTIONS");
	unsetenv("HOSTALIASES");
}

/* Returns 1 when exec has succeeded, 0 and -1 as command_start(). */
static int await_exec(int pair, struct pathexec_result *why, struct error *err)
{
	struct report report;
	ssize_t n = recv(pair, &report, sizeof(report), 0);

	/* It has left our byte unread, which is told before its own last words are. */
	if (n < 0 && errno == ECONNRESET)
		n = recv(pair, &report, sizeof(report), 0);
	/* Exec, or a death before it: waitpid() tells. */
	if (n == 0)
		return 1;
	if (n != sizeof(report))
		return out_of_step(n < 0 ? errno : EPROTO, "start the command", err);
	*why = report.why;
	*err = report.error;
	return report.tried ? 0 : -1;
}

static int no_namespace(struct error *err)
{
	error_set(err, errno, "create the command's user namespace");
	return error_because(err, ERROR_NAMESPACES);
}

pid_t command_start(const struct command_setup *setup, struct pathexec_result *why,
		    struct error *err)
{
	struct process process = { .setup = setup };
	int pair[2], ret;
	pid_t pid;

	scrub_environment();
	if (pathexec_prepare(&process.program, setup->argv, getenv("PATH"), err) < 0 ||
	    watch_keys(&process.keys, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "create a socket pair");
	process.pair = pair[1];
	pid = start(&process);
	ret = pid < 0 ? no_namespace(err) : 0;
	close(pair[1]);
	if (ret == 0 && written_by_init(setup))
		ret = idmap_write(setup->idmap, pid, err);
	/* If it has died, that is what await_exec() finds. */
	if (ret == 0 && written_by_init(setup) &&
	    send(pair[0], "", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		ret = out_of_step(errno, "tell the command its ids", err);
	if (ret == 0)
		ret = await_exec(pair[0], why, err);
	close(pair[0]);
	if (ret == 1)
		return pid;
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return ret;
}
