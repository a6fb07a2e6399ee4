#include "sandbox/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/util.h"

bool terminal_signal(int number)
{
	switch (number) {
	case SIGINT:
	case SIGQUIT:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGWINCH:
		return true;
	case SIGHUP:
	case SIGCONT:
		/* A line that drops tells the leader of its session and nobody else. */
		return getsid(0) != getpid();
	default:
		return false;
	}
}

const int terminal_keys[TERMINAL_KEYS] = { SIGINT, SIGQUIT, SIGHUP };

bool terminal_key(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(terminal_keys); i++) {
		if (terminal_keys[i] == number)
			return true;
	}
	return false;
}

void terminal_stop(int number)
{
	sigset_t one, old;

	/* SIGSTOP can't be blocked and needs no unblocking; neither is harmful for it. */
	sigemptyset(&one);
	sigaddset(&one, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &one, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

void terminal_restore(void)
{
	cleanup_fd int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	pid_t group = fd < 0 ? -1 : tcgetpgrp(fd);

	/* SIGTTOU is blocked, so a background group may do this. If it fails, it is the
	 * shell's turn anyway. */
	if (group > 0 && kill(-group, 0) < 0 && errno == ESRCH)
		tcsetpgrp(fd, getpgrp());
}
