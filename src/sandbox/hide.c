/*
 * Sockets by which a program would have the host resolve names for it, past our network:
 * glibc asks nscd whatever nsswitch.conf says, others ask their own daemon.
 *
 * An empty directory is mounted over each place that exists (an empty file, where the place
 * is the socket itself). That is not enough for the whole run: a daemon that starts later
 * makes its directory anew, and one that is restarted removes it first, which removes our
 * mount (rmdir(2) in another mount namespace does that). So init watches the directories
 * above the places, and hides what appears. A daemon makes its directory before it is
 * started or before it listens, so the mount is the faster one as a rule; until it is there,
 * a new place can be reached, for less than a millisecond.
 *
 * As in broker.c nothing is watched in the first half second, for closing an inotify
 * descriptor may take 14 ms; all places are looked at when it is over. A directory that the
 * caller may not read can't be watched.
 *
 * Rejected: a tmpfs or an overlay over the whole of /run. The first hides the caller's own
 * sockets too, those of the second can't be connected to.
 */
#include "sandbox/hide.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define DELAY_MS 500

static const char *const runtime[] = { "/run", "/var/run" };
/* Below each of them; a name may be that of a directory or of the socket. */
static const char *const runtime_places[] = {
	"dbus", /* systemd-resolved, avahi and others listen on the system's bus as well */
	"nscd",		  "systemd/resolve", "systemd/machine", /* names of containers */
	"avahi-daemon",	  "mdnsd",	     "nslcd",
	"samba/winbindd", "unbound.ctl", /* its names can be changed there, too */
};
static const char *const other_places[] = {
	"/var/lib/sss/pipes",
	"/var/lib/samba/winbindd_privileged",
};

#define RUNTIME_COUNT (ARRAY_SIZE(runtime) * ARRAY_SIZE(runtime_places))
#define PLACE_COUNT (RUNTIME_COUNT + ARRAY_SIZE(other_places))
#define PLACE_MAX 64

static void place_path(size_t i, char out[static PLACE_MAX])
{
	if (i < RUNTIME_COUNT)
		snprintf(out, PLACE_MAX, "%s/%s", runtime[i / ARRAY_SIZE(runtime_places)],
			 runtime_places[i % ARRAY_SIZE(runtime_places)]);
	else
		snprintf(out, PLACE_MAX, "%s", other_places[i - RUNTIME_COUNT]);
}

bool hide_is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool hide_concerns(const char *path)
{
	char place[PLACE_MAX];

	for (size_t i = 0; i < PLACE_COUNT; i++) {
		place_path(i, place);
		if (hide_is_below(path, place))
			return true;
	}
	return false;
}

void hide_each_place(void (*tell)(void *ctx, const char *place), void *ctx)
{
	char place[PLACE_MAX];
	struct stat st;

	for (size_t i = 0; i < PLACE_COUNT; i++) {
		const char *below = i < RUNTIME_COUNT ?
					    runtime[i / ARRAY_SIZE(runtime_places)] :
					    "/";

		place_path(i, place);
		/* /var/run is another name of /run as a rule. */
		if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode) &&
		    stat(place, &st) == 0)
			tell(ctx, place);
	}
}

static bool is_same(int fd, const struct stat *st)
{
	struct stat mine;

	return fstat(fd, &mine) == 0 && mine.st_dev == st->st_dev &&
	       mine.st_ino == st->st_ino;
}

/* What can't be looked up by us can't be by the command, which has our ids. */
static bool is_absent(int code)
{
	return code == ENOENT || code == ENOTDIR || code == EACCES;
}

static int hide_place(const struct hide *h, const char *place, struct error *err)
{
	struct stat st;
	cleanup_fd int tree = -1;
	int cover;

	if (stat(place, &st) < 0)
		return is_absent(errno) ? 0 : error_set(err, errno, "look at %s", place);
	cover = S_ISDIR(st.st_mode) ? h->dir : h->file;
	/* /var/run is /run as a rule, and the place is hidden already. */
	if (is_same(cover, &st))
		return 0;
	tree = open_tree(cover, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return error_set(err, errno, "open_tree of an empty place");
	if (move_mount(tree, "", AT_FDCWD, place,
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0 &&
	    !is_absent(errno))
		return error_set(err, errno, "hide %s", place);
	return 0;
}

static int hide_all(const struct hide *h, struct error *err)
{
	char place[PLACE_MAX];

	for (size_t i = 0; i < PLACE_COUNT; i++) {
		place_path(i, place);
		if (hide_place(h, place, err) < 0)
			return -1;
	}
	return 0;
}

int hide_resolvers(struct hide *h, const char *dir, const char *file, struct error *err)
{
	h->fd = -1;
	h->watching = false;
	h->dir = open(dir, O_PATH | O_CLOEXEC);
	h->file = open(file, O_PATH | O_CLOEXEC);
	if (h->dir < 0 || h->file < 0)
		return error_set(err, errno, "open %s", h->dir < 0 ? dir : file);
	return hide_all(h, err);
}

int hide_watch(struct hide *h, struct error *err)
{
	const struct itimerspec delay = { .it_value.tv_nsec = DELAY_MS * 1000000 };

	h->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (h->fd < 0 || timerfd_settime(h->fd, 0, &delay, NULL) < 0)
		return error_set(err, errno, "start a timer");
	return 0;
}

/* The directories above the places, up to the first with a name of its own. */
static void watch_all(const struct hide *h)
{
	char path[PLACE_MAX];

	for (size_t i = 0; i < PLACE_COUNT; i++) {
		place_path(i, path);
		for (;;) {
			*strrchr(path, '/') = '\0';
			if (!path[0] || strcmp(path, "/var") == 0)
				break;
			/* One that is watched already stays so; others may be missing. */
			inotify_add_watch(h->fd, path,
					  IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
		}
	}
}

static void start_watching(struct hide *h)
{
	close(h->fd);
	h->watching = true;
	h->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (h->fd < 0)
		log_warn("resolvers of the host that start later won't be hidden: %s",
			 strerror(errno));
}

void hide_event(struct hide *h)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct error err;

	if (!h->watching)
		start_watching(h);
	while (h->fd >= 0 && read(h->fd, buf, sizeof(buf)) > 0)
		;
	/* First watched, then looked at: what comes between is another event. */
	watch_all(h);
	if (hide_all(h, &err) < 0)
		log_warn("%s", err.text);
}
