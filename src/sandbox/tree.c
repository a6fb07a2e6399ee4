/*
 * Init comes first, because its way to the command is the longer one; the engine gets ready
 * while init makes the world. Both inherit our memory and with it all they have to know.
 *
 * Each end of a pair lives in exactly one process: every process keeps its own and closes
 * the others' at once. Else a dead process would not be seen as an end of file.
 */
#include "sandbox/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/init.h"
#include "sandbox/ns.h"
#include "sandbox/preflight.h"
#include "sandbox/proto.h"

/* What the engine gets to write what it has, when nobody waits for anything else. */
#define RECORDS_MS 1000

#define INIT_NAMESPACES (CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID)

struct pairs {
	int engine[2]; /* supervisor's end, engine's end */
	int init[2];   /* supervisor's end, init's end */
	int link[2];   /* engine's end, init's end */
};

static int null_stdio(struct error *err)
{
	cleanup_fd int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return error_set(err, errno, "open /dev/null");
	return 0;
}

static int engine_set_up(const struct supervisor_setup *setup, pid_t supervisor,
			 int init_fd, int supervisor_fd, struct error *err)
{
	int kept[2 + SUPERVISOR_ENGINE_FDS_MAX] = { init_fd, supervisor_fd };

	memcpy(kept + 2, setup->engine_fds, sizeof(setup->engine_fds));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
	    prctl(PR_SET_NAME, "childflow-eng") < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    setpgid(0, 0) < 0)
		return error_set(err, errno, "set up the engine");
	/* Dead before it could take us along? */
	if (getppid() != supervisor)
		_exit(EXIT_FAILURE);
	return null_stdio(err) < 0 ? -1 : ns_keep_fds(kept, ARRAY_SIZE(kept), err);
}

static void engine_process(const struct supervisor_setup *setup, pid_t supervisor,
			   int init_fd, int supervisor_fd)
{
	struct error err;

	if (engine_set_up(setup, supervisor, init_fd, supervisor_fd, &err) < 0) {
		proto_send_error(init_fd, &err);
		_exit(EXIT_FAILURE);
	}
	_exit(setup->engine_main(setup->engine_ctx, init_fd, supervisor_fd));
}

static int start_engine(struct tree *tree, const struct supervisor_setup *setup,
			const struct pairs *p, struct error *err)
{
	pid_t self = getpid(), pid = fork();

	if (pid == 0)
		engine_process(setup, self, p->link[0], p->engine[1]);
	if (pid < 0)
		return error_set(err, errno, "fork the engine");
	tree->engine_pid = pid;
	return 0;
}

static int start_init(struct tree *tree, const struct supervisor_setup *setup,
		      const struct command_signals *caller, const struct pairs *p,
		      struct error *err)
{
	const struct init_setup init = {
		.run = setup,
		.backend = &tree->backend,
		.signals = caller,
		.supervisor = p->init[1],
		.engine = p->link[1],
	};
	const struct proto_msg entered = { .type = PROTO_ENTERED };
	pid_t pid = ns_clone(INIT_NAMESPACES);
	int r;

	if (pid == 0)
		init_main(&init);
	if (pid < 0)
		return preflight_namespaces(errno, err);
	tree->init_pid = pid;
	if (tree->backend.ops->enter(&tree->backend, pid, err) < 0)
		return -1;
	r = proto_send(tree->init, &entered, NULL, 0);
	/* If init has died, its end of file tells, or its last word. */
	if (r == 0 || r == -EPIPE)
		return 0;
	error_set(err, -r, "tell init to go on");
	return error_because(err, ERROR_SYNC);
}

static int open_pairs(struct pairs *p, struct error *err)
{
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC;

	if (socketpair(AF_UNIX, type, 0, p->engine) < 0 ||
	    socketpair(AF_UNIX, type, 0, p->init) < 0 ||
	    socketpair(AF_UNIX, type, 0, p->link) < 0)
		return error_set(err, errno, "create socket pairs");
	return 0;
}

int tree_start(struct tree *tree, const struct supervisor_setup *setup,
	       const struct command_signals *caller, struct error *err)
{
	struct pairs p;
	int ret;

	*tree = (struct tree){
		.backend = { .ops = &rootless_backend, .as_root = setup->as_root },
		.engine = -1,
		.init = -1,
		.engine_finishes = setup->engine_finishes,
	};
	if (tree->backend.ops->prepare(&tree->backend, err) < 0 ||
	    open_pairs(&p, err) < 0) {
		err->phase = PHASE_PREFLIGHT;
		return -1;
	}
	tree->engine = p.engine[0];
	tree->init = p.init[0];
	ret = start_init(tree, setup, caller, &p, err);
	if (ret == 0)
		ret = start_engine(tree, setup, &p, err);
	close(p.engine[1]);
	close(p.init[1]);
	close(p.link[0]);
	close(p.link[1]);
	if (ret == 0)
		return 0;
	err->phase = PHASE_PREFLIGHT;
	tree->backend.ops->check(err, tree->init_pid);
	return -1;
}

int tree_reap(pid_t *pid)
{
	int status = 0;

	if (waitpid(*pid, &status, 0) < 0)
		status = 0;
	*pid = 0;
	return status;
}

/* Its last records may still be in its memory. The pair's end is its own. */
static void await_records(const struct tree *tree)
{
	struct pollfd pair = { .fd = tree->engine, .events = POLLIN };
	struct proto_msg msg;

	shutdown(tree->engine, SHUT_WR);
	while (poll(&pair, 1, RECORDS_MS) > 0) {
		if (proto_recv(tree->engine, &msg, NULL, 0) != 1)
			return;
	}
}

void tree_end(struct tree *tree)
{
	if (tree->init_pid)
		kill(tree->init_pid, SIGKILL);
	if (tree->engine_pid && tree->engine >= 0 && tree->engine_finishes)
		await_records(tree);
	if (tree->engine_pid)
		kill(tree->engine_pid, SIGKILL);
	if (tree->engine_pid)
		tree_reap(&tree->engine_pid);
	if (tree->init_pid)
		tree_reap(&tree->init_pid);
	cleanup_fd_fn(&tree->engine);
	cleanup_fd_fn(&tree->init);
}
