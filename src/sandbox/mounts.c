/*
 * Mounts of the command's world.
 *
 * Goal: /etc with our resolver files, /proc and /sys of the new namespaces, and none of the
 * sockets through which a library would have the host resolve names for the command.
 * These files are a convenience, not the control (the engine answers every port 53); but
 * they must be right, and must stay so whatever the host does meanwhile:
 *
 * - /etc becomes a read-only overlay of a small tmpfs on top of the host's /etc. Rejected:
 *   bind mounts over the files. The host's rename(2) over such a file (every DHCP client
 *   does it) removes the mount, symbolic links lead elsewhere, and an absent file gives
 *   nothing to mount on. They remain the second choice, where the overlay is refused or
 *   where /etc has mounts of its own (containers), which an overlay would not show. Each is
 *   then put onto the directory entry itself, be it a symbolic link, dangling or not.
 * - The tmpfs is staged on /sys and vanishes under the new sysfs: no name in /tmp, no
 *   umount(2), which costs a grace period. It is made read-only as a whole once filled.
 * - Resolver sockets are hidden by one empty directory of that tmpfs, mounted over each
 *   place (hide.c).
 * - Everything is private: what the host mounts later can't uncover anything.
 *
 * Nothing here is optional. If a step fails, the command does not start.
 */
#include "sandbox/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/hide.h"
#include "sandbox/preflight.h"

#define STAGE "/sys"
#define STAGE_ETC STAGE "/etc"
#define STAGE_EMPTY STAGE "/empty"
#define STAGE_NOTHING STAGE "/nothing"
#define CGROUP "/sys/fs/cgroup"

static int write_file(const char *path, const char *text, size_t len, struct error *err)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ssize_t n;

	/* fchmod: the caller's umask is none of this file's business. */
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return error_set(err, errno, "create %s", path);
	n = write(fd, text, len);
	if (n < 0 || (size_t)n != len)
		return error_set(err, n < 0 ? errno : ENOSPC, "write %s", path);
	return 0;
}

static int stage(const struct mounts_setup *setup, struct error *err)
{
	char path[PATH_MAX];

	if (mount("childflow", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		return error_set(err, errno, "mount a tmpfs on " STAGE);
	if (mkdir(STAGE_ETC, 0755) < 0 || chmod(STAGE_ETC, 0755) < 0 ||
	    mkdir(STAGE_EMPTY, 0555) < 0 || chmod(STAGE_EMPTY, 0555) < 0)
		return error_set(err, errno, "create the directories of " STAGE);
	if (write_file(STAGE_NOTHING, "", 0, err) < 0)
		return -1;
	for (size_t i = 0; i < setup->etc_count; i++) {
		const struct etc_file *f = &setup->etc[i];

		snprintf(path, sizeof(path), STAGE_ETC "/%s", f->name);
		if (write_file(path, f->text, f->len, err) < 0)
			return -1;
	}
	/* Whoever runs in there may write, whatever the user: it goes to the engine only. */
	if (setup->keys && (mkfifo(STAGE_ETC "/" MOUNTS_KEYS_NAME, 0622) < 0 ||
			    chmod(STAGE_ETC "/" MOUNTS_KEYS_NAME, 0622) < 0))
		return error_set(err, errno, "create %s", MOUNTS_KEYS);
	if (mount(NULL, STAGE, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
		  NULL) < 0)
		return error_set(err, errno, "make the tmpfs read-only");
	return 0;
}

static int cover_file(const char *name, struct error *err)
{
	char from[PATH_MAX], to[PATH_MAX];
	cleanup_fd int fd = -1;

	snprintf(from, sizeof(from), STAGE_ETC "/%s", name);
	snprintf(to, sizeof(to), "/etc/%s", name);
	fd = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "open_tree %s", from);
	/* Without MOVE_MOUNT_T_SYMLINKS a symbolic link is covered, not followed. */
	if (move_mount(fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) == 0)
		return 0;
	/* Without the file glibc uses files and DNS by itself. */
	if (errno == ENOENT && strcmp(name, "nsswitch.conf") == 0)
		return 0;
	error_set(err, errno, "mount our file on %s", to);
	error_because(err, strcmp(name, "hosts") == 0 ? ERROR_HOSTS : ERROR_RESOLV_CONF);
	if (err->code == ENOENT)
		error_cure(err,
			   "Create an empty %s to mount on: the kernel allows no overlay "
			   "over /etc here.",
			   to);
	return -1;
}

static int cover_etc(const struct mounts_setup *setup, struct error *err)
{
	/* Refused (EINVAL) where something is mounted below /etc, which it would not show. */
	if (mount("childflow", "/etc", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV,
		  "lowerdir=" STAGE_ETC ":/etc") == 0)
		return 0;
	for (size_t i = 0; i < setup->etc_count; i++) {
		if (cover_file(setup->etc[i].name, err) < 0)
			return -1;
	}
	return setup->keys ? cover_file(MOUNTS_KEYS_NAME, err) : 0;
}

/* A new /proc or /sys must not show more than the old one does (mount_too_revealing()). */
static int refused(const char *what, struct error *err)
{
	error_set(err, errno, "%s", what);
	if (err->code == EPERM && preflight_inside_childflow())
		error_cure(
			err,
			"This is inside another childflow, and it was started by root: "
			"start the outer one as an ordinary user.");
	else if (err->code == EPERM)
		error_cure(err,
			   "Parts of the old one are hidden, as container engines do it; "
			   "the kernel then allows no new one. Unmask it (docker run "
			   "--security-opt systempaths=unconfined) or run childflow "
			   "outside.");
	return -1;
}

/* sysfs shows the interfaces of the network namespace it was mounted in. */
static int mount_sys(const struct mounts_setup *setup, int cgroup, struct error *err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int ret = -1;

	if (!setup->guard_kernel)
		ret = mount("sysfs", "/sys", "sysfs", flags, NULL);
	/* Where the old one is read-only (containers), a new one may only be so, too. */
	if (ret < 0)
		ret = mount("sysfs", "/sys", "sysfs", flags | MS_RDONLY, NULL);
	if (ret < 0)
		return refused("mount a new /sys", err);
	if (cgroup >= 0 &&
	    move_mount(cgroup, "", AT_FDCWD, CGROUP, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "put " CGROUP " back");
	return 0;
}

static int mount_proc(struct error *err)
{
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return refused("mount a new /proc", err);
	return 0;
}

/* The old directory may lie under a new mount: there it would still show the host's. */
static int return_to(const char *cwd, struct error *err)
{
	bool covered = hide_is_below(cwd, "/etc") || hide_is_below(cwd, "/proc") ||
		       hide_is_below(cwd, "/sys") || hide_concerns(cwd);

	if (!covered || chdir(cwd) == 0)
		return 0;
	if (chdir("/") < 0)
		return error_set(err, errno, "change to /");
	return 0;
}

int mounts_set_up(const struct mounts_setup *setup, struct error *err)
{
	char cwd[PATH_MAX] = "";
	cleanup_fd int cgroup = -1;

	/* Without a path (a removed directory) it is under none of our mounts. */
	if (!getcwd(cwd, sizeof(cwd))) {
		if (errno != ENOENT && errno != ERANGE && errno != ENAMETOOLONG)
			return error_set(err, errno, "find out the current directory");
		cwd[0] = '\0';
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		error_set(err, errno, "make mounts private");
		return error_because(err, ERROR_PRIVATE_MOUNTS);
	}
	cgroup = open_tree(AT_FDCWD, CGROUP,
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (cgroup < 0 && errno != ENOENT)
		return error_set(err, errno, "open_tree " CGROUP);
	if (stage(setup, err) < 0)
		return error_because(err, ERROR_RESOLV_CONF);
	if (cover_etc(setup, err) < 0 ||
	    hide_resolvers(setup->hide, STAGE_EMPTY, STAGE_NOTHING, err) < 0 ||
	    mount_sys(setup, cgroup, err) < 0 || mount_proc(err) < 0)
		return -1;
	return return_to(cwd, err);
}

static int make_readonly(const char *path, struct error *err)
{
	if (mount(path, path, NULL, MS_BIND, NULL) < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "bind %s", path);
	if (mount(NULL, path, NULL,
		  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0)
		return error_set(err, errno, "make %s read-only", path);
	return 0;
}

int mounts_guard_kernel(struct error *err)
{
	if (make_readonly("/proc/sys", err) < 0)
		return -1;
	return make_readonly("/proc/sysrq-trigger", err);
}
