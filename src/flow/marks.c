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

uint32_t marks_path_mtu(const struct endpoint *to)
{
	bool v4 = addr_is_v4(&to->addr);
	struct sockaddr_storage sa;
	socklen_t sa_len = endpoint_to_sockaddr(to, &sa), len = sizeof(int);
	cleanup_fd int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int mtu;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sa_len) < 0 ||
	    getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu,
		       &len))
		return v4 ? 576 : 1280;
	return mtu;
}
