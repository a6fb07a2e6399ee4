#include "flow/marks.h"

#include "base/errqueue.h"
#include "base/util.h"

static void set(int fd, bool v4, int *now, int v4_option, int v6_option, int value)
{
	if (*now == value)
		return;
	*now = value;
	setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? v4_option : v6_option, &value,
		   sizeof(value));
}

/* We are a hop between the child and the world, which is where the path's MTU is known: the
 * host's own memory of it must not answer for a router that is to be asked again (PROBE). */
void marks_set(struct marks *m, int fd, bool v4, uint8_t childs_ttl, uint8_t tos,
	       bool dont_fragment)
{
	static_assert(IP_PMTUDISC_PROBE == IPV6_PMTUDISC_PROBE &&
			      IP_PMTUDISC_DONT == IPV6_PMTUDISC_DONT,
		      "one set of values for both families");
	set(fd, v4, &m->mtu_mode, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER,
	    dont_fragment ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
	set(fd, v4, &m->ttl, IP_TTL, IPV6_UNICAST_HOPS, MAX(childs_ttl - 1, 1));
	set(fd, v4, &m->tos, IP_TOS, IPV6_TCLASS, tos);
	if (ttl_is_probe(childs_ttl) && !m->tells_ttl) {
		errqueue_want_ttl(fd, v4, true);
		m->tells_ttl = true;
	}
}

/* A socket that is connected to `to`, so that the kernel has found a way. */
static int open_way(const struct endpoint *to, struct sockaddr_storage *sa)
{
	socklen_t len = endpoint_to_sockaddr(to, sa);
	int fd = socket(sa->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)sa, len) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The way to an address of our own begins there. */
void marks_hide_host(const struct addr *to, struct neterror *e)
{
	struct endpoint router = { e->router, 9 }, from = { 0 };
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	cleanup_fd int fd = -1;

	if (addr_eq(&e->router, to))
		return;
	fd = open_way(&router, &sa);
	if (fd >= 0 && getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	    endpoint_from_sockaddr((struct sockaddr *)&sa, &from) &&
	    addr_eq(&from.addr, &e->router))
		e->router = (struct addr){ 0 };
}

uint32_t marks_path_mtu(const struct endpoint *to)
{
	bool v4 = addr_is_v4(&to->addr);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(int);
	cleanup_fd int fd = open_way(to, &sa);
	int mtu;

	if (fd < 0 || getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
				 v4 ? IP_MTU : IPV6_MTU, &mtu, &len))
		return v4 ? 576 : 1280;
	return mtu;
}
