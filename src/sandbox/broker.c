/*
 * The host's list of DNS servers is followed: inotify tells when /etc/resolv.conf may have
 * become another one, supervisor_setup.resolvers_read() says whether it has, and the engine
 * is sent the new list.
 *
 * The file is replaced in many ways: written to, renamed over, removed and made again, or it
 * is a symbolic link whose own target, or whose target's target, changes so. Watched are the
 * directory of each link of that chain, for the one name that matters in it, and the file
 * itself, which may be bind-mounted from elsewhere. A directory that is missing stands for
 * by the nearest one above it that isn't. After each such event everything is watched anew,
 * before the file is read: what happens later is another event.
 *
 * Closing an inotify descriptor can wait for a grace period of 14 ms, so nothing is watched
 * in the first half second of a run: shorter ones never pay for it. The file is read after
 * that in any case.
 *
 * If nothing can be watched (inotify's limits), a warning is given and the run goes on.
 */
#include "sandbox/broker.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "sandbox/proto.h"

#define DELAY_MS 500
#define LINKS_MAX 8 /* beside the file: each adds one watch */

/* clang-format off */
#define CHANGES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | \
		 IN_DELETE_SELF | IN_MOVE_SELF)
/* clang-format on */

static bool watch(struct broker *b, const char *path, const char *name)
{
	int wd = inotify_add_watch(b->fd, path, CHANGES);

	if (wd < 0)
		return false;
	b->watches[b->count].wd = wd;
	snprintf(b->watches[b->count++].name, sizeof(b->watches[0].name), "%s", name);
	return true;
}

/* The length of the directory's part of an absolute path: 1 for "/". */
static size_t dir_length(const char *path)
{
	return MAX(strrchr(path, '/') - path, 1);
}

/* The directory of path for its last name; if it is missing, what is above it, for any. */
static bool watch_dir(struct broker *b, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.*s", (int)dir_length(path), path);
	while (!watch(b, dir, name)) {
		if ((errno != ENOENT && errno != ENOTDIR) || !dir[1])
			return false;
		dir[dir_length(dir)] = '\0';
		name = "";
	}
	return true;
}

/* Turns the path of a symbolic link into what it leads to. False if it is none. */
static bool follow(char path[static PATH_MAX])
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	if (target[0] == '/')
		snprintf(joined, sizeof(joined), "%s", target);
	else
		snprintf(joined, sizeof(joined), "%.*s/%s", (int)dir_length(path), path,
			 target);
	if (strlen(joined) >= PATH_MAX)
		return false;
	strcpy(path, joined);
	return true;
}

static bool watch_all(struct broker *b)
{
	char path[PATH_MAX];
	int links = 0;

	b->count = 0;
	b->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (b->fd < 0)
		return false;
	snprintf(path, sizeof(path), "%s", b->setup->resolvers_path);
	do {
		if (!watch_dir(b, path))
			return false;
	} while (++links <= LINKS_MAX && follow(path));
	/* It may be missing just now. */
	watch(b, path, "");
	return true;
}

static void tell_engine(struct broker *b)
{
	struct proto_msg msg = { .type = PROTO_RESOLVERS };

	msg.resolvers.count = b->setup->resolvers_read(b->setup->resolvers_ctx,
						       msg.resolvers.list);
	/* A dead engine is noticed by its end of file. */
	if (msg.resolvers.count)
		proto_send(b->engine, &msg, NULL, 0);
}

static void look(struct broker *b)
{
	int old = b->fd;

	b->watching = watch_all(b);
	if (!b->watching) {
		log_warn("%s can't be watched (%s): its changes won't be followed",
			 b->setup->resolvers_path, strerror(errno));
		broker_close(b);
	}
	close(old);
	tell_engine(b);
}

static bool matters(const struct broker *b, const struct inotify_event *e)
{
	for (size_t i = 0; i < b->count; i++) {
		const char *name = b->watches[i].name;

		if (b->watches[i].wd == e->wd &&
		    (!e->len || !name[0] || strcmp(name, e->name) == 0))
			return true;
	}
	return e->mask & IN_Q_OVERFLOW;
}

/* Takes all that waits. Returns whether any of it matters. */
static bool take_events(const struct broker *b)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *e;
	bool any = false;
	ssize_t n;

	while ((n = read(b->fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n; at += sizeof(*e) + e->len) {
			e = (const void *)(buf + at);
			any |= matters(b, e);
		}
	}
	return any;
}

void broker_init(struct broker *b, const struct supervisor_setup *setup)
{
	*b = (struct broker){ .setup = setup, .engine = -1, .fd = -1 };
}

void broker_start(struct broker *b, int engine)
{
	const struct itimerspec delay = { .it_value.tv_nsec = DELAY_MS * 1000000 };

	b->engine = engine;
	if (!b->setup->resolvers_read)
		return;
	b->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->fd < 0 || timerfd_settime(b->fd, 0, &delay, NULL) < 0)
		log_warn("changes of %s won't be followed: %s", b->setup->resolvers_path,
			 strerror(errno));
}

void broker_event(struct broker *b)
{
	if (!b->watching || take_events(b))
		look(b);
}

void broker_next_file(struct broker *b, int engine, unsigned file)
{
	struct proto_msg msg = { .type = PROTO_FILE, .file = file };
	const struct supervisor_setup *s = b->setup;
	cleanup_fd int fd = s->next_file ? s->next_file(s->next_file_ctx, file) : -1;

	/* A dead engine is noticed by its end of file. */
	proto_send(engine, &msg, &fd, fd >= 0);
}

void broker_close(struct broker *b)
{
	cleanup_fd_fn(&b->fd);
	b->fd = -1;
}
