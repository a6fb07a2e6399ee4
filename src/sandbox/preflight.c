#include "sandbox/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

static bool read_text(const char *path, char *out, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	out[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

/* The number in a sysctl, or -1 when this kernel has none. */
static long sysctl_number(const char *path)
{
	char text[32];

	return read_text(path, text, sizeof(text)) ? atol(text) : -1;
}

static bool seccomp_filtered(void)
{
	char text[8192];
	const char *line;

	read_text("/proc/self/status", text, sizeof(text));
	line = strstr(text, "\nSeccomp:");
	return line && atoi(line + strlen("\nSeccomp:")) == 2;
}

/*
 * mountinfo lists what can be reached from our root. Behind chroot(2) into a plain
 * directory nothing in it is mounted on "/".
 */
static bool looks_chrooted(void)
{
	cleanup_free char *line = NULL;
	size_t room = 0;
	char root[8];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	if (!f)
		return false;
	while (!found && getline(&line, &room, f) > 0)
		found = sscanf(line, "%*s %*s %*s %*s %7s", root) == 1 &&
			strcmp(root, "/") == 0;
	fclose(f);
	return !found;
}

bool preflight_inside_childflow(void)
{
	char name[32];

	read_text("/proc/1/comm", name, sizeof(name));
	return strcmp(name, "childflow-init\n") == 0;
}

static int explain_limit(struct error *err)
{
	static const char *const limits[] = { "user", "net", "mnt", "pid" };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces",
			 limits[i]);
		if (sysctl_number(path) == 0)
			return error_cure(err,
					  "The limit is 0; as root, sysctl -w "
					  "user.max_%s_namespaces=10000 allows them.",
					  limits[i]);
	}
	if (preflight_inside_childflow())
		return error_cure(err,
				  "This is inside another childflow, whose command may make "
				  "no namespaces: start the outer one with --as-root.");
	return error_cure(err,
			  "A limit is reached (sysctl user.max_*_namespaces), or they are "
			  "nested too deep.");
}

static const char *why_forbidden(void)
{
	if (sysctl_number("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		return "Users may make none here; as root, sysctl -w "
		       "kernel.unprivileged_userns_clone=1 allows it.";
	if (looks_chrooted())
		return "The kernel makes no user namespaces inside a chroot: enter the "
		       "directory with pivot_root (bwrap, systemd-nspawn) instead.";
	if (seccomp_filtered())
		return "A seccomp filter forbids it, as container engines set: allow "
		       "clone and mount (docker run --security-opt seccomp=unconfined) "
		       "or run childflow outside.";
	return "A security module may forbid it, or this user has no id in the namespace "
	       "it is in: see the kernel's log and /proc/self/uid_map.";
}

int preflight_namespaces(int code, struct error *err)
{
	error_set(err, code, "create user, network, mount and PID namespaces");
	error_because(err, ERROR_NAMESPACES);
	switch (code) {
	case ENOSPC:
	case EUSERS:
		return explain_limit(err);
	case EINVAL:
	case ENOSYS:
		return error_cure(err,
				  "The kernel is too old or was built without them.");
	case EPERM:
	case EACCES:
		return error_cure(err, "%s", why_forbidden());
	default:
		return -1;
	}
}

int preflight_tun(int code, const char *what, struct error *err)
{
	static const struct {
		int code;
		const char *cure;
	} rows[] = {
		{ ENOENT,
		  "As root, modprobe tun loads the driver; in a container pass the "
		  "device in (--device /dev/net/tun)." },
		{ ENODEV, "As root, modprobe tun loads the driver." },
		{ ENXIO, "As root, modprobe tun loads the driver." },
		{ EACCES,
		  "As root, chmod 0666 /dev/net/tun lets users open it. The device "
		  "gives no rights by itself, and 0666 is udev's default." },
		{ EPERM, "A device policy forbids it, as container engines set: pass the "
			 "device in (--device /dev/net/tun)." },
	};

	error_set(err, code, "%s", what);
	error_because(err, ERROR_TAP);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code == code)
			error_cure(err, "%s", rows[i].cure);
	}
	return -1;
}

void preflight_explain(struct error *err, pid_t pid)
{
	char path[64], label[128], program[PATH_MAX];
	ssize_t n;

	if ((err->code != EPERM && err->code != EACCES) || err->cure[0])
		return;
	snprintf(path, sizeof(path), "/proc/%d/attr/current", pid);
	read_text(path, label, sizeof(label));
	if (strncmp(label, "unprivileged_userns", strlen("unprivileged_userns")) != 0)
		return;
	n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[MAX(n, 0)] = '\0';
	error_cure(err,
		   "AppArmor takes the privileges of user namespaces away. As root write "
		   "\"abi <abi/4.0>, profile childflow %.120s flags=(unconfined) "
		   "{ userns, }\" to /etc/apparmor.d/childflow and run "
		   "apparmor_parser -r on it.",
		   program);
}
