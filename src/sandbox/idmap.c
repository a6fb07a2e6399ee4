/*
 * Id maps are the identity at both levels: a file's owner inside is its owner outside, and
 * `id` prints what it always prints. Only --as-root makes an exception, of a user's own ids.
 *
 * The kernel lets anybody map just the own id, and only after giving up setgroups(2); this
 * needs no setuid helper and no /etc/subuid. With CAP_SETUID and CAP_SETGID (real root, in
 * a container too) all ids of the caller's namespace are mapped, because root reads files
 * of many owners; that is allowed only to a writer in the parent namespace, and as id 0 is
 * among them, to one that has CAP_SETFCAP (user_namespaces(7)).
 */
#include "sandbox/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/ns.h"

int idmap_identity(const char *text, char out[static IDMAP_TEXT_MAX])
{
	size_t used = 0;

	while (*text) {
		unsigned long inside, outside, count;
		int end = 0, n;

		if (sscanf(text, "%lu %lu %lu%n", &inside, &outside, &count, &end) != 3 ||
		    text[end] != '\n')
			return -1;
		n = snprintf(out + used, IDMAP_TEXT_MAX - used, "%lu %lu %lu\n", inside,
			     inside, count);
		if (n >= (int)(IDMAP_TEXT_MAX - used))
			return -1;
		used += n;
		text += end + 1;
	}
	return used ? 0 : -1;
}

static int may_map_all(bool *may, struct error *err)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint32_t need = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SETFCAP;

	static_assert(CAP_SETFCAP < 32, "all in the first word");
	if (syscall(SYS_capget, &hdr, data) < 0)
		return error_set(err, errno, "read our own capabilities");
	*may = (data[0].effective & need) == need;
	return 0;
}

static int whole_map(const char *path, char out[static IDMAP_TEXT_MAX], struct error *err)
{
	char text[IDMAP_TEXT_MAX];
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return error_set(err, errno, "open %s", path);
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return error_set(err, errno, "read %s", path);
	text[n] = '\0';
	if (idmap_identity(text, out) < 0)
		return error_set(err, 0, "%s is not understood", path);
	return 0;
}

static int choose(struct idmap *map, bool as_root, struct error *err)
{
	map->root = geteuid() == 0;
	/* Others than root would become it on the host, too: their own ids are enough. */
	if (may_map_all(&map->whole, err) < 0)
		return -1;
	map->whole &= !as_root || map->root;
	if (map->whole) {
		if (whole_map("/proc/self/uid_map", map->uid, err) < 0)
			return -1;
		return whole_map("/proc/self/gid_map", map->gid, err);
	}
	snprintf(map->uid, sizeof(map->uid), "%u %u 1\n", as_root ? 0 : geteuid(),
		 geteuid());
	snprintf(map->gid, sizeof(map->gid), "%u %u 1\n", as_root ? 0 : getegid(),
		 getegid());
	return 0;
}

int idmap_choose(struct idmap *map, bool as_root, struct error *err)
{
	return choose(map, as_root, err) < 0 ? error_because(err, ERROR_ID_MAPS) : 0;
}

static int write_file(pid_t pid, const char *name, const char *text, struct error *err)
{
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	else
		snprintf(path, sizeof(path), "/proc/self/%s", name);
	return ns_write_file(path, text, err);
}

static int write_uids(const struct idmap *map, pid_t pid, struct error *err)
{
	if (write_file(pid, "uid_map", map->uid, err) == 0)
		return 0;
	/* verify_root_map() in the kernel: the id of the parent namespace's root. */
	if (err->code == EPERM && map->root && !map->whole)
		error_cure(err,
			   "Root without CAP_SETFCAP can't map its own id: add that "
			   "capability (docker run --cap-add SETFCAP), or run childflow "
			   "as an ordinary user.");
	return -1;
}

int idmap_write(const struct idmap *map, pid_t pid, struct error *err)
{
	if (write_uids(map, pid, err) < 0 ||
	    (!map->whole && write_file(pid, "setgroups", "deny", err) < 0) ||
	    write_file(pid, "gid_map", map->gid, err) < 0)
		return error_because(err, ERROR_ID_MAPS);
	return 0;
}
