/*
 * Init makes the command's world, starts it, reaps, and holds the network namespace until
 * the engine has delivered the last byte.
 *
 * As process 1 it is what everything else hangs on: when it dies, the kernel kills all
 * processes of the namespace, so its own end is the surest way to end a run. It dies with
 * the supervisor (PDEATHSIG; and end of file on the pair, should the supervisor have died
 * before that was set). It shares the supervisor's process group, but what is sent to that
 * does nothing to it: it stands pending, or is noted (command.c), and so tells what the
 * command has been sent without us.
 *
 * The end of a run has one path, whoever asks for it:
 *
 *   RUNNING  the command runs.            its end, or the engine's: SIGTERM to all, then
 *   ENDING   a grace period.              when it is over: SIGKILL to all, then
 *   KILLED   nothing can stay.            when no child is left (waitpid says ECHILD), then
 *   EMPTY    EXITED is sent; only the supervisor's end of file is awaited.
 *
 * "No child is left" means an empty namespace: orphans become children of process 1.
 */
#include "sandbox/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "sandbox/hide.h"
#include "sandbox/mounts.h"
#include "sandbox/ns.h"
#include "sandbox/procs_read.h"
#include "sandbox/terminal.h"

#define GRACE_MS 2000

enum phase {
	RUNNING,
	ENDING,
	KILLED,
	EMPTY,
};

struct init {
	const struct init_setup *setup;
	enum phase phase;
	int64_t grace_end_ms; /* ENDING */
	int child_signal;     /* signalfd */
	pid_t command;	      /* 0 when reaped */
	int stop_signal;      /* by which it was stopped last, or 0 */
	int wait_status;      /* of the command */
	struct hide hide;
};

/* The supervisor can't be told anything if it is dead: then we end, and all with us. */
static void tell(const struct init *in, const struct proto_msg *msg)
{
	if (proto_send(in->setup->supervisor, msg, NULL, 0) < 0)
		_exit(EXIT_FAILURE);
}

static void fail(const struct init *in, struct error *err) __attribute__((noreturn));

/* Stays until the supervisor has read it: until then it may still work on our /proc files. */
static void fail(const struct init *in, struct error *err)
{
	struct proto_msg msg;

	err->phase = PHASE_CHILD;
	in->setup->backend->ops->check(err, getpid());
	proto_send_error(in->setup->supervisor, err);
	while (proto_recv(in->setup->supervisor, &msg, NULL, 0) == 1)
		;
	_exit(EXIT_FAILURE);
}

/* --- before the command --- */

static int set_up_process(const struct init *in, struct error *err)
{
	/* The supervisor is outside of this PID namespace, so getppid() can't tell whether
	 * it has died before this; its pair can. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    prctl(PR_SET_NAME, "childflow-init") < 0)
		return error_set(err, errno, "set up init");
	return ns_keep_fds((int[]){ in->setup->supervisor, in->setup->engine }, 2, err);
}

static void await_entered(const struct init *in)
{
	struct proto_msg msg;

	/* Whatever else comes is the end: the supervisor has its own words for that. */
	if (proto_recv(in->setup->supervisor, &msg, NULL, 0) != 1 ||
	    msg.type != PROTO_ENTERED)
		_exit(EXIT_FAILURE);
}

/* The link goes first: the engine starts on it while we mount. */
static int set_up_link(const struct init *in, struct netplan *plan, struct error *err)
{
	struct proto_msg msg = { .type = PROTO_TAP };
	int fds[PROTO_FD_COUNT];
	struct backend *be = in->setup->backend;
	int r;

	if (be->ops->attach(be, plan, fds, err) < 0)
		return -1;
	msg.plan = *plan;
	r = proto_send(in->setup->engine, &msg, fds, PROTO_FD_COUNT);
	/* The engine alone holds the tap: with it goes the network. */
	for (int i = 0; i < PROTO_FD_COUNT; i++)
		close(fds[i]);
	/* An engine that is dead is found so in await_engine(), maybe with a last word. */
	if (r == 0 || r == -EPIPE)
		return 0;
	error_set(err, -r, "send the tap to the engine");
	return error_because(err, ERROR_SYNC);
}

static int set_up_view(struct init *in, const struct netplan *plan, struct error *err)
{
	const struct supervisor_setup *run = in->setup->run;
	const struct mounts_setup mounts = {
		.etc = run->etc,
		.etc_count = run->etc_count,
		.hide = &in->hide,
		.keys = run->keys,
		.guard_kernel = in->setup->backend->idmap.root,
	};

	if (mounts_set_up(&mounts, err) < 0 || ns_sysctls(plan, run->as_root, err) < 0)
		return -1;
	return mounts.guard_kernel ? mounts_guard_kernel(err) : 0;
}

/* The engine reads what programs write. It must have come to it through our mounts: another
 * way to the same pipe is another pipe. */
static int send_keys(const struct init *in, struct error *err)
{
	struct proto_msg msg = { .type = PROTO_KEYS };
	cleanup_fd int fd = open(MOUNTS_KEYS, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_set(err, errno, "open %s", MOUNTS_KEYS);
	r = proto_send(in->setup->engine, &msg, &fd, 1);
	return r && r != -EPIPE ? error_set(err, -r, "send the keys' pipe") : 0;
}

static int set_up_world(struct init *in, struct error *err)
{
	struct netplan plan = in->setup->run->plan;

	if (set_up_process(in, err) < 0 || set_up_link(in, &plan, err) < 0)
		return -1;
	await_entered(in);
	if (set_up_view(in, &plan, err) < 0)
		return -1;
	return in->setup->run->keys ? send_keys(in, err) : 0;
}

static void await_engine(const struct init *in)
{
	struct proto_msg msg;

	if (proto_recv(in->setup->engine, &msg, NULL, 0) != 1)
		_exit(EXIT_FAILURE);
	if (msg.type == PROTO_READY)
		return;
	if (msg.type == PROTO_FAILED)
		tell(in, &msg);
	_exit(EXIT_FAILURE);
}

static void start_command(struct init *in)
{
	struct proto_msg msg = { .type = PROTO_STARTED };
	const struct command_setup command = {
		.argv = in->setup->run->command,
		.idmap = &in->setup->backend->idmap,
		.signals = in->setup->signals,
		.as_root = in->setup->run->as_root,
	};
	struct pathexec_result why;
	struct error err;

	/* Root inside shares our user namespace: it may not look into our memory. */
	if (command.as_root)
		prctl(PR_SET_DUMPABLE, 0);
	in->command = command_start(&command, &why, &err);
	if (in->command < 0)
		fail(in, &err);
	if (in->command == 0) {
		msg = (struct proto_msg){
			.type = PROTO_EXEC_FAILED,
			.exec = { .code = why.code, .found = why.found },
		};
		tell(in, &msg);
		_exit(EXIT_FAILURE);
	}
	msg.pid = in->command;
	tell(in, &msg);
	/* Not before: the ids of a child that can't be dumped can't be mapped, as other
	 * commands' must be. */
	prctl(PR_SET_DUMPABLE, 0);
}

/* --- while it runs --- */

static void kill_all(struct init *in)
{
	in->phase = KILLED;
	kill(-1, SIGKILL);
}

static void end_all(struct init *in)
{
	in->phase = ENDING;
	in->grace_end_ms = clock_now_ms() + GRACE_MS;
	kill(-1, SIGTERM);
	kill(-1, SIGCONT); /* a stopped process can't act on SIGTERM */
}

static void tell_stop(const struct init *in)
{
	const struct proto_msg msg = {
		.type = PROTO_STOPPED,
		.stop_signal = in->stop_signal,
	};

	tell(in, &msg);
}

static void on_command_status(struct init *in, int status)
{
	if (WIFSTOPPED(status)) {
		in->stop_signal = WSTOPSIG(status);
		tell_stop(in);
		return;
	}
	in->command = 0;
	in->wait_status = status;
}

/* Reaps all there is to reap. Returns whether any process is left. */
static bool reap(struct init *in)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid == in->command)
			on_command_status(in, status);
	}
	return pid == 0;
}

static void on_child_signal(struct init *in)
{
	struct proto_msg msg = { .type = PROTO_EXITED };
	struct signalfd_siginfo info;

	if (read(in->child_signal, &info, sizeof(info)) < 0 && errno != EAGAIN)
		_exit(EXIT_FAILURE);
	if (in->phase == EMPTY)
		return;
	if (!reap(in)) {
		in->phase = EMPTY;
		msg.wait_status = in->wait_status;
		tell(in, &msg);
	} else if (in->command == 0 && in->phase == RUNNING) {
		end_all(in);
	}
}

/* Takes signals that stand pending with us, who block them; returns whether there were any. */
static bool take_pending(const int *numbers, size_t count)
{
	const struct timespec at_once = { 0 };
	bool any = false;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		sigaddset(&set, numbers[i]);
	while (sigtimedwait(&set, NULL, &at_once) > 0)
		any = true;
	return any;
}

/*
 * Whether the command has been sent this without us, in the caller's whole group. The group's
 * leader is outside: its id is 0 here. A key has come to the command if we noted it.
 *
 * Signals that stop and continue take each other back, with us as with the command; what the
 * supervisor has read may be taken back by now. So if a stop is pending instead of a SIGCONT,
 * it has come later, and the command must not be continued once more.
 */
static bool command_has(const struct init *in, int number, bool from_terminal)
{
	static const int job_control[] = { SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU };

	if (getpgid(in->command) != 0)
		return false;
	if (number == SIGCONT)
		return take_pending(job_control, ARRAY_SIZE(job_control));
	if (from_terminal && terminal_key(number))
		return command_has_key(number);
	if (from_terminal)
		take_pending(&number, 1);
	return from_terminal;
}

static void signal_command(const struct init *in, int number, bool from_terminal)
{
	const struct proto_msg continued = { .type = PROTO_CONTINUED };

	if (in->command != 0 && !command_has(in, number, from_terminal))
		kill(in->command, number);
	if (number != SIGCONT)
		return;
	/* What was told of stops is over; the kernel has forgotten others. Not one that has
	 * come since, but that it tells once only. */
	tell(in, &continued);
	if (in->command != 0 && in->stop_signal && procs_is_stopped(in->command))
		tell_stop(in);
}

static void on_supervisor(struct init *in)
{
	struct proto_msg msg;

	if (proto_recv(in->setup->supervisor, &msg, NULL, 0) != 1)
		_exit(EXIT_SUCCESS);
	if (msg.type != PROTO_SIGNAL || in->phase == EMPTY)
		return;
	if (msg.signal.number == SIGKILL)
		kill_all(in);
	else
		signal_command(in, msg.signal.number, msg.signal.from_terminal);
}

/* The engine says nothing after READY: this is its end. Expected when all is over. */
static void on_engine(struct init *in)
{
	if (in->phase == EMPTY)
		return;
	in->setup->backend->ops->detach(in->setup->backend);
	if (in->phase == RUNNING)
		end_all(in);
}

static int time_left_ms(const struct init *in)
{
	int64_t left = in->grace_end_ms - clock_now_ms();

	return in->phase != ENDING ? -1 : MAX(left, 0);
}

static void serve(struct init *in)
{
	struct pollfd polls[] = {
		{ .fd = in->child_signal, .events = POLLIN },
		{ .fd = in->setup->supervisor, .events = POLLIN },
		{ .fd = in->setup->engine, .events = POLLIN },
		{ .fd = in->hide.fd, .events = POLLIN },
	};

	for (;;) {
		int n = poll(polls, ARRAY_SIZE(polls), time_left_ms(in));

		if (n < 0 && errno != EINTR)
			_exit(EXIT_FAILURE);
		if (n > 0 && polls[0].revents)
			on_child_signal(in);
		if (n > 0 && polls[1].revents)
			on_supervisor(in);
		if (n > 0 && polls[2].revents) {
			on_engine(in);
			polls[2].fd = -1;
		}
		if (n > 0 && polls[3].revents) {
			hide_event(&in->hide);
			polls[3].fd = in->hide.fd;
		}
		if (in->phase == ENDING && time_left_ms(in) == 0)
			kill_all(in);
	}
}

void init_main(const struct init_setup *setup)
{
	struct init in = { .setup = setup };
	struct error err;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (set_up_world(&in, &err) < 0)
		fail(&in, &err);
	await_engine(&in);
	in.child_signal = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	if (in.child_signal < 0) {
		error_set(&err, errno, "create a signalfd");
		fail(&in, &err);
	}
	if (hide_watch(&in.hide, &err) < 0)
		fail(&in, &err);
	start_command(&in);
	serve(&in);
	_exit(EXIT_SUCCESS);
}
