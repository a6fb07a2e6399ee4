/*
 * The rootless backend: a tap in the child's network namespace, its descriptor in the
 * engine's hands and nowhere else.
 *
 * The tap is made persistent. Closing an ordinary one waits for an RCU grace period, tens
 * of milliseconds at the end of each run; a persistent one dies with its namespace, which
 * the kernel takes down in the background. The price: when the engine dies, the device
 * stays, without carrier, and connections would hang instead of failing. Two remedies, each
 * enough by itself: routes over a link without carrier are ignored (ns_sysctls()), and init
 * takes the link down when its pair with the engine breaks (detach).
 *
 * Virtio-net headers with checksum and segmentation offload are asked for from the start:
 * the child's kernel then hands out segments of 64 KiB behind an ordinary MTU.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/util.h"
#include "sandbox/backend.h"
#include "sandbox/netlink.h"
#include "sandbox/preflight.h"

#define TUN_PATH "/dev/net/tun"

static int rootless_prepare(struct backend *be, struct error *err)
{
	return idmap_choose(&be->idmap, be->as_root, err);
}

static int rootless_enter(struct backend *be, pid_t init, struct error *err)
{
	return idmap_write(&be->idmap, init, err);
}

static int open_tap(struct error *err)
{
	const unsigned offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	struct ifreq req = {
		.ifr_name = NETPLAN_IFNAME,
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	cleanup_fd int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return preflight_tun(errno, "open " TUN_PATH, err);
	if (ioctl(fd, TUNSETIFF, &req) < 0)
		return preflight_tun(errno, "create " NETPLAN_IFNAME " with " TUN_PATH,
				     err);
	if (ioctl(fd, TUNSETOFFLOAD, offload | TUN_F_TSO_ECN) < 0 &&
	    ioctl(fd, TUNSETOFFLOAD, offload) < 0)
		return error_set(err, errno, "set the offloads of " NETPLAN_IFNAME);
	if (ioctl(fd, TUNSETPERSIST, 1) < 0)
		return error_set(err, errno, "make " NETPLAN_IFNAME " persistent");
	return steal_fd(&fd);
}

static int rootless_attach(struct backend *be, struct netplan *plan,
			   int fds[static PROTO_FD_COUNT], struct error *err)
{
	struct netlink_batch batch;
	cleanup_fd int tap = open_tap(err), diag = -1;

	if (tap < 0)
		return error_because(err, ERROR_TAP);
	be->tap_index = if_nametoindex(NETPLAN_IFNAME);
	if (!be->tap_index)
		return error_set(err, errno, "find " NETPLAN_IFNAME);
	/* Only a socket made inside sees the child's sockets, whoever uses it. */
	diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		      NETLINK_SOCK_DIAG);
	if (diag < 0)
		return error_set(err, errno, "open a sock_diag socket");
	be->route_sock = netlink_open(err);
	if (be->route_sock < 0)
		return -1;
	if (netlink_has_ipv6(&plan->ipv6, err) < 0)
		return -1;
	netlink_build(&batch, plan, be->tap_index);
	if (netlink_commit(be->route_sock, &batch, err) < 0)
		return -1;
	fds[PROTO_FD_TAP] = steal_fd(&tap);
	fds[PROTO_FD_DIAG] = steal_fd(&diag);
	return 0;
}

static void rootless_detach(struct backend *be)
{
	struct netlink_batch batch;
	struct error err;

	/* On failure the link without carrier still has no usable routes. */
	netlink_build_down(&batch, be->tap_index);
	netlink_commit(be->route_sock, &batch, &err);
}

const struct backend_ops rootless_backend = {
	.prepare = rootless_prepare,
	.enter = rootless_enter,
	.attach = rootless_attach,
	.detach = rootless_detach,
	.check = preflight_explain,
};
