/*
 * The supervisor stays what the caller has started: same process group, same terminal, and
 * an exit code to wait for. It starts the other two and then only listens.
 *
 *   supervisor --- engine   own process group; gets ready while init makes the world
 *        \----- init        new user, network, mount and PID namespace
 *                 \- command
 *
 * Three SEQPACKET pairs join supervisor, engine and init. None of their ends is ever in a
 * second process, so end of file on one says that the process behind it is dead; the tree
 * needs no other lifeline. What ends how:
 *
 * - engine dead: init has seen it too, cuts the link and ends the tree; exit code 125.
 * - init dead: the kernel has killed the tree; 125.
 * - supervisor dead: both others have asked the kernel to die with it.
 *
 * Signals. All but those of faults are blocked and read from a signalfd, so each is
 * handled between two steps, never within. What a terminal sends (siginfo says: by the
 * kernel) has reached the command already, as it is in the same group; the rest was for us
 * alone and is passed on. A second SIGTERM becomes SIGKILL. When the command is stopped,
 * we stop too, so that the caller's shell gets its prompt; the engine goes on. A SIGCONT
 * makes what init said of stops before it old news: such stops are let be until init has
 * obeyed it, or we would stop once more beside a command that runs.
 */
#include "sandbox/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "sandbox/broker.h"
#include "sandbox/command.h"
#include "sandbox/procs.h"
#include "sandbox/proto.h"
#include "sandbox/terminal.h"
#include "sandbox/tree.h"

/* timeout(1) sends SIGTERM to us and at once again to our group: that is one wish. */
#define TERM_REPEAT_MS 200
/* What we grant engine and init beyond the time they were told. */
#define PATIENCE_MS 3000
#define MOMENT_MS 100
#define DESCRIPTION_MAX 128
/* How long a signal waits for the command to begin. */
#define EARLY_END_MS 1000

enum phase {
	STARTING, /* until the command's exec */
	RUNNING,
	DRAINING, /* the command has ended, the engine delivers */
	LOST,	  /* the engine died while the command ran; init is ending the tree */
	OVER,
};

struct supervisor {
	const struct supervisor_setup *setup;
	struct tree tree;
	struct broker broker;
	struct procs *procs;	       /* made when it is first needed */
	struct command_signals caller; /* as we were started */
	enum phase phase;
	int64_t deadline_ms;  /* DRAINING, LOST, and STARTING with early_end */
	int64_t meanwhile_ms; /* when setup->meanwhile is due */
	int64_t term_ms;      /* when SIGTERM first came, or 0 */
	int early_end;	      /* signal that asked for the end while STARTING */
	unsigned continuing;  /* SIGCONTs that init has not yet obeyed */
	int signals;	      /* signalfd */
	int exit_code;
	bool failed; /* err is to be told */
	struct error err;
};

static void over(struct supervisor *sv, int exit_code)
{
	sv->phase = OVER;
	sv->exit_code = exit_code;
}

static void over_failed(struct supervisor *sv, int exit_code)
{
	over(sv, exit_code);
	sv->failed = true;
}

static int signals_take(struct supervisor *sv, struct error *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	static const int faults[] = { SIGSEGV, SIGBUS,	SIGFPE, SIGILL,
				      SIGTRAP, SIGABRT, SIGSYS };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&all, faults[i]);
	sv->signals = -1;
	/* With SIGCHLD ignored there would be no exit codes. */
	if (sigprocmask(SIG_SETMASK, &all, &sv->caller.mask) < 0 ||
	    sigaction(SIGCHLD, &dfl, &sv->caller.child) < 0 ||
	    sigaction(SIGXFSZ, &ignore, &sv->caller.file_size) < 0 ||
	    sigaction(SIGPIPE, &ignore, NULL) < 0)
		return error_set(err, errno, "take over the signals");
	if (sv->setup->file_size_signal)
		sv->caller.file_size = *sv->setup->file_size_signal;
	sigdelset(&all, SIGCHLD);
	sigdelset(&all, SIGPIPE);
	sigdelset(&all, SIGXFSZ);
	sv->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return sv->signals < 0 ? error_set(err, errno, "create a signalfd") : 0;
}

/* --- events --- */

static void describe(int status, char out[static DESCRIPTION_MAX])
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(
			out, DESCRIPTION_MAX,
			"killed by signal %d, for a system call that it should not need: "
			"please report it",
			SIGSYS);
	else if (WIFSIGNALED(status))
		snprintf(out, DESCRIPTION_MAX, "killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, DESCRIPTION_MAX, "exit status %d", WEXITSTATUS(status));
}

static void init_ended(struct supervisor *sv, int status)
{
	char how[DESCRIPTION_MAX];

	describe(status, how);
	error_set(&sv->err, 0,
		  "init, the sandbox's first process, ended unexpectedly (%s)", how);
	error_because(&sv->err, sv->phase == STARTING ? ERROR_SYNC : ERROR_SHUTDOWN);
	over_failed(sv, SUPERVISOR_EXIT_FAILED);
}

/*
 * Whether init was killed from outside, which has made the engine give up. The kernel
 * closes a dead process's two pairs in no certain order, so ours may take a moment more.
 */
static bool init_was_killed(struct supervisor *sv)
{
	struct pollfd pair = { .fd = sv->tree.init };
	struct proto_msg msg;
	int status;

	if (poll(&pair, 1, MOMENT_MS) != 1 || !(pair.revents & POLLHUP))
		return false;
	status = tree_reap(&sv->tree.init_pid);
	if (!WIFSIGNALED(status))
		return false;
	/* It may have told what we have not read yet. */
	while (proto_recv(sv->tree.init, &msg, NULL, 0) == 1) {
		if (msg.type == PROTO_STARTED)
			sv->phase = RUNNING;
	}
	init_ended(sv, status);
	return true;
}

static void on_engine_end(struct supervisor *sv)
{
	int status;
	char how[DESCRIPTION_MAX];

	status = tree_reap(&sv->tree.engine_pid);
	broker_close(&sv->broker);
	close(sv->tree.engine);
	sv->tree.engine = -1;
	if (sv->phase == DRAINING && status == 0) {
		over(sv, sv->exit_code);
		return;
	}
	if (sv->phase != DRAINING && WIFEXITED(status) && init_was_killed(sv))
		return;
	describe(status, how);
	switch (sv->phase) {
	case STARTING:
		error_set(&sv->err, 0, "the engine ended during the start (%s)", how);
		error_because(&sv->err, ERROR_SYNC);
		break;
	case RUNNING:
		error_set(&sv->err, 0,
			  "the engine ended while the command was running (%s): "
			  "its network was cut and it was ended",
			  how);
		error_because(&sv->err, ERROR_SHUTDOWN);
		break;
	default:
		error_set(&sv->err, 0,
			  "the engine ended before it had delivered everything (%s)",
			  how);
		error_because(&sv->err, ERROR_SHUTDOWN);
		over_failed(sv, SUPERVISOR_EXIT_FAILED);
		return;
	}
	/* Init has the engine's own sentence, or ends the tree: it says when. */
	sv->phase = LOST;
	sv->failed = true;
	sv->deadline_ms = clock_now_ms() + PATIENCE_MS;
}

static void tell_owner(void *ctx, const struct owner_answer *answer)
{
	const struct supervisor *sv = ctx;
	const struct proto_msg msg = { .type = PROTO_OWNER, .owner = *answer };

	/* A dead engine is noticed by its end of file. */
	proto_send(sv->tree.engine, &msg, NULL, 0);
}

static void on_whose(struct supervisor *sv, const struct proto_msg *msg)
{
	if (!sv->procs)
		sv->procs = procs_new(sv->tree.init_pid);
	if (sv->procs)
		procs_find(sv->procs, msg->whose.list, msg->whose.count, tell_owner, sv);
	else
		tell_owner(sv, &(struct owner_answer){ .last = true });
}

/* Nobody needs the child's network any more: init can go while the engine tidies up. */
static void on_drained(struct supervisor *sv, const struct proto_msg *msg)
{
	if (msg->lost.flows || msg->lost.bytes)
		log_warn("%" PRIu64 " bytes on %" PRIu64
			 " connections could not be delivered "
			 "within %g s (--drain-timeout)",
			 msg->lost.bytes, msg->lost.flows,
			 sv->setup->drain_timeout_ms / 1000.0);
	kill(sv->tree.init_pid, SIGKILL);
	/* Its end is no news. */
	close(steal_fd(&sv->tree.init));
}

static void on_engine(struct supervisor *sv)
{
	struct proto_msg msg;

	if (proto_recv(sv->tree.engine, &msg, NULL, 0) != 1) {
		on_engine_end(sv);
		return;
	}
	if (msg.type == PROTO_NEXT_FILE)
		broker_next_file(&sv->broker, sv->tree.engine, msg.file);
	if (msg.type == PROTO_FILE_BEGUN && sv->setup->file_begun)
		sv->setup->file_begun(sv->setup->next_file_ctx, msg.file);
	if (msg.type == PROTO_WHOSE)
		on_whose(sv, &msg);
	if (msg.type == PROTO_DRAINED && sv->phase == DRAINING)
		on_drained(sv, &msg);
}

static void on_exited(struct supervisor *sv, int status)
{
	const struct proto_msg drain = {
		.type = PROTO_DRAIN,
		.drain_timeout_ms = sv->setup->drain_timeout_ms,
	};

	if (sv->phase == LOST) {
		over_failed(sv, SUPERVISOR_EXIT_FAILED);
		return;
	}
	sv->exit_code = WIFSIGNALED(status) ? SUPERVISOR_EXIT_SIGNAL + WTERMSIG(status) :
					      WEXITSTATUS(status);
	sv->phase = DRAINING;
	sv->deadline_ms = clock_now_ms() + sv->setup->drain_timeout_ms + PATIENCE_MS;
	/* If the engine is dead, its end of file comes next. */
	proto_send(sv->tree.engine, &drain, NULL, 0);
}

static void on_exec_failed(struct supervisor *sv, int code, bool found)
{
	const char *name = sv->setup->command[0];

	if (found && code == ENOENT)
		error_set(&sv->err, 0, "cannot run '%.200s': its interpreter is missing",
			  name);
	else if (found || strchr(name, '/'))
		error_set(&sv->err, code, "cannot run '%.200s'", name);
	else
		error_set(&sv->err, 0, "cannot run '%.200s': not found in PATH", name);
	sv->err.phase = PHASE_CHILD;
	over_failed(sv,
		    found ? SUPERVISOR_EXIT_NOT_EXECUTABLE : SUPERVISOR_EXIT_NOT_FOUND);
}

static void on_init_end(struct supervisor *sv)
{
	/* Init leaves once it has ended the tree of a lost engine. */
	if (sv->phase == LOST)
		over_failed(sv, SUPERVISOR_EXIT_FAILED);
	else
		init_ended(sv, tree_reap(&sv->tree.init_pid));
}

static void on_init(struct supervisor *sv)
{
	struct proto_msg msg;

	if (proto_recv(sv->tree.init, &msg, NULL, 0) != 1) {
		on_init_end(sv);
		return;
	}
	switch (msg.type) {
	case PROTO_STARTED:
		if (sv->phase != STARTING)
			break;
		sv->phase = RUNNING;
		broker_start(&sv->broker, sv->tree.engine);
		break;
	case PROTO_STOPPED:
		if (sv->continuing == 0)
			terminal_stop(msg.stop_signal);
		break;
	case PROTO_CONTINUED:
		sv->continuing--;
		break;
	case PROTO_EXITED:
		on_exited(sv, msg.wait_status);
		break;
	case PROTO_EXEC_FAILED:
		on_exec_failed(sv, msg.exec.code, msg.exec.found);
		break;
	case PROTO_FAILED:
		sv->err = msg.error;
		over_failed(sv, SUPERVISOR_EXIT_FAILED);
		break;
	default:
		break;
	}
}

/* --- signals --- */

static bool asks_to_end(int number)
{
	return number == SIGTERM || terminal_key(number);
}

static void forward(struct supervisor *sv, int number, bool from_terminal)
{
	const struct proto_msg msg = {
		.type = PROTO_SIGNAL,
		.signal = { .number = number, .from_terminal = from_terminal },
	};

	/* A dead init is noticed by its end of file. */
	if (proto_send(sv->tree.init, &msg, NULL, 0) == 0 && number == SIGCONT)
		sv->continuing++;
}

/*
 * The command may have begun without our knowing it yet, and then decides itself. So a signal
 * waits at init for it; one that asks for the end does so for a moment only. What a terminal
 * sends the command has, or gets when it is born (command.c).
 */
static void on_early_signal(struct supervisor *sv, int number, bool from_terminal)
{
	if (number == SIGKILL) {
		over(sv, SUPERVISOR_EXIT_SIGNAL + number);
		return;
	}
	forward(sv, number, from_terminal);
	if (asks_to_end(number) && !sv->early_end) {
		sv->early_end = number;
		sv->deadline_ms = clock_now_ms() + EARLY_END_MS;
	}
}

/* Returns whether this is a repetition that means nothing; a later one is a SIGKILL. */
static bool note_term(struct supervisor *sv, int *number)
{
	int64_t now = clock_now_ms();

	if (!sv->term_ms) {
		sv->term_ms = now;
		return false;
	}
	if (now - sv->term_ms < TERM_REPEAT_MS)
		return true;
	*number = SIGKILL;
	return false;
}

static void on_signal(struct supervisor *sv, int number, bool from_terminal)
{
	if (number == SIGTERM && note_term(sv, &number))
		return;
	switch (sv->phase) {
	case STARTING:
		on_early_signal(sv, number, from_terminal);
		break;
	case DRAINING:
		if (number == SIGTSTP)
			terminal_stop(number);
		if (!asks_to_end(number) && number != SIGKILL)
			break;
		log_warn("interrupted before everything the command sent was delivered");
		over(sv, sv->exit_code);
		break;
	default:
		forward(sv, number, from_terminal);
	}
}

static void on_signals(struct supervisor *sv)
{
	struct signalfd_siginfo info;

	while (sv->phase != OVER &&
	       read(sv->signals, &info, sizeof(info)) == sizeof(info))
		on_signal(sv, info.ssi_signo,
			  info.ssi_code == SI_KERNEL && terminal_signal(info.ssi_signo));
}

/* --- the run --- */

static void on_deadline(struct supervisor *sv)
{
	if (sv->phase == STARTING) {
		over(sv, SUPERVISOR_EXIT_SIGNAL + sv->early_end);
		return;
	}
	if (sv->phase == DRAINING) {
		error_set(&sv->err, 0, "the engine does not end");
		error_because(&sv->err, ERROR_SHUTDOWN);
	}
	over_failed(sv, SUPERVISOR_EXIT_FAILED);
}

static int time_left_ms(const struct supervisor *sv)
{
	bool limited = sv->phase == DRAINING || sv->phase == LOST ||
		       (sv->phase == STARTING && sv->early_end);

	return limited ? MAX(sv->deadline_ms - clock_now_ms(), 0) : -1;
}

static int pause_ms(const struct supervisor *sv)
{
	int left = time_left_ms(sv), due;

	if (!sv->setup->meanwhile)
		return left;
	due = MAX(sv->meanwhile_ms - clock_now_ms(), 0);
	return left < 0 ? due : MIN(left, due);
}

/* However much there is to listen to. */
static void do_meanwhile(struct supervisor *sv)
{
	const struct supervisor_setup *setup = sv->setup;

	if (setup->meanwhile && sv->meanwhile_ms <= clock_now_ms())
		sv->meanwhile_ms = clock_now_ms() +
				   setup->meanwhile(setup->meanwhile_ctx);
}

static void listen_until_over(struct supervisor *sv)
{
	while (sv->phase != OVER) {
		/* In this order: a signal that ended the command is read before its end is,
		 * and the engine's death before what init makes of it. */
		struct pollfd polls[] = {
			{ .fd = sv->signals, .events = POLLIN },
			{ .fd = sv->tree.engine, .events = POLLIN },
			{ .fd = sv->tree.init, .events = POLLIN },
			{ .fd = sv->broker.fd, .events = POLLIN },
		};
		int n = poll(polls, ARRAY_SIZE(polls), pause_ms(sv));

		if (n < 0 && errno != EINTR) {
			error_set(&sv->err, errno, "poll");
			over_failed(sv, SUPERVISOR_EXIT_FAILED);
		} else if (n == 0 && time_left_ms(sv) == 0) {
			on_deadline(sv);
		}
		if (n > 0 && polls[0].revents)
			on_signals(sv);
		if (n > 0 && polls[1].revents && sv->phase != OVER)
			on_engine(sv);
		if (n > 0 && polls[2].revents && sv->tree.init >= 0 && sv->phase != OVER)
			on_init(sv);
		if (n > 0 && polls[3].revents && sv->phase != OVER)
			broker_event(&sv->broker);
		if (sv->phase != OVER)
			do_meanwhile(sv);
	}
}

int supervisor_run(const struct supervisor_setup *setup, int *exit_code,
		   struct error *err)
{
	struct supervisor sv = { .setup = setup, .tree = { .engine = -1, .init = -1 } };

	broker_init(&sv.broker, setup);
	if (signals_take(&sv, &sv.err) < 0 ||
	    tree_start(&sv.tree, setup, &sv.caller, &sv.err) < 0)
		over_failed(&sv, SUPERVISOR_EXIT_FAILED);
	listen_until_over(&sv);
	/* Whatever the reason, nothing stays. */
	broker_close(&sv.broker);
	tree_end(&sv.tree);
	procs_free(sv.procs);
	terminal_restore();
	cleanup_fd_fn(&sv.signals);
	*exit_code = sv.exit_code;
	if (!sv.failed)
		return 0;
	*err = sv.err;
	return -1;
}
