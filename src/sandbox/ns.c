#include "sandbox/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

pid_t ns_clone(uint64_t flags)
{
	/* Not clone3(2), which seccomp filters refuse, ours among them. */
	return syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

/* The lowest of them from `from` on, or none. */
static unsigned next_kept(const int *fds, size_t count, unsigned from)
{
	unsigned next = ~0U;

	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0 && (unsigned)fds[i] >= from)
			next = MIN(next, (unsigned)fds[i]);
	}
	return next;
}

int ns_keep_fds(const int *fds, size_t count, struct error *err)
{
	unsigned from = STDERR_FILENO + 1, kept;

	do {
		kept = next_kept(fds, count, from);
		if (kept > from && close_range(from, kept - (kept < ~0U), 0) < 0)
			return error_set(err, errno, "close inherited descriptors");
		from = kept + 1;
	} while (kept < ~0U);
	return 0;
}

int ns_write_file(const char *path, const char *text, struct error *err)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0) {
		error_set(err, errno, "open %s", path);
		if (err->code == EROFS)
			error_cure(
				err,
				"This /proc is read-only: let the sandbox around it have "
				"a writable one (bwrap --proc /proc).");
		return -1;
	}
	/* Its first line: an error is a sentence. */
	if (write(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "write \"%.*s\" to %s",
				 (int)strcspn(text, "\n"), text, path);
	return 0;
}

int ns_sysctls(const struct netplan *plan, bool as_root, struct error *err)
{
	char group[32];
	const struct {
		const char *path, *value;
		bool skip;
	} rows[] = {
		/* ping without privileges; the kernel takes only mapped groups */
		{ "/proc/sys/net/ipv4/ping_group_range", group, false },
		{ "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0", false },
		/* The path ends in this machine: BBR's pacing would only slow uploads down. */
		{ "/proc/sys/net/ipv4/tcp_congestion_control", "reno", false },
		/* The tap outlives the engine; its routes must not (rootless.c). */
		{ "/proc/sys/net/ipv4/conf/" NETPLAN_IFNAME
		  "/ignore_routes_with_linkdown",
		  "1", false },
		{ "/proc/sys/net/ipv6/conf/" NETPLAN_IFNAME
		  "/ignore_routes_with_linkdown",
		  "1", !plan->ipv6 },
		/* Counted here and below: the command's own namespace and no other. Root inside
		 * could change it again. */
		{ "/proc/sys/user/max_user_namespaces", "1", as_root },
	};

	snprintf(group, sizeof(group), "%u %u", getegid(), getegid());
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].skip)
			continue;
		if (ns_write_file(rows[i].path, rows[i].value, err) < 0)
			return -1;
	}
	return 0;
}

int ns_drop_privileges(struct error *err)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "set no_new_privs");
	/* The ambient set goes with the permitted set. */
	if (syscall(SYS_capset, &hdr, none) < 0)
		return error_set(err, errno, "drop capabilities");
	return 0;
}

int ns_keep_privileges(struct error *err)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "set no_new_privs");
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) < 0 ||
	    syscall(SYS_capget, &hdr, data) < 0)
		return error_set(err, errno, "drop CAP_SYS_ADMIN");
	for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
		if (i == CAP_TO_INDEX(CAP_SYS_ADMIN))
			data[i].permitted &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &hdr, data) < 0)
		return error_set(err, errno, "drop CAP_SYS_ADMIN");
	return 0;
}
