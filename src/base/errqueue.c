#include "base/errqueue.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "base/util.h"

static void set(int fd, bool v4, int v4_option, int v6_option, int value)
{
	setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? v4_option : v6_option, &value,
		   sizeof(value));
}

int errqueue_enable(int fd, bool v4)
{
	int on = 1;

	return setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
			  v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on)) < 0 ?
		       -errno :
		       0;
}

void errqueue_disable(int fd, bool v4)
{
	set(fd, v4, IP_RECVERR, IPV6_RECVERR, 0);
}

void errqueue_want_ttl(int fd, bool v4, bool want)
{
	set(fd, v4, IP_RECVTTL, IPV6_RECVHOPLIMIT, want);
}

/* Redirects are for hosts, and quenches for nobody (RFC 6633). */
static bool is_an_error(bool v4, uint8_t type)
{
	if (v4)
		return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
		       type == ICMP_PARAMETERPROB;
	return type >= ICMP6_DST_UNREACH && type <= ICMP6_PARAM_PROB;
}

static bool read_error(const struct sock_extended_err *ee, struct neterror *out)
{
	bool v4 = ee->ee_origin == SO_EE_ORIGIN_ICMP;
	struct endpoint router = { 0 };

	if ((!v4 && ee->ee_origin != SO_EE_ORIGIN_ICMP6) || !is_an_error(v4, ee->ee_type))
		return false;
	*out = (struct neterror){
		.type = ee->ee_type,
		.code = ee->ee_code,
		.info = ee->ee_info,
	};
	if (endpoint_from_sockaddr(SO_EE_OFFENDER(ee), &router))
		out->router = router.addr;
	return true;
}

/* Everything the control messages say; false when that is no message of a router. */
static bool read_control(struct msghdr *msg, struct neterror *out)
{
	const struct sock_extended_err *ee = NULL;
	int ttl = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		bool v4 = c->cmsg_level == IPPROTO_IP;

		if (!v4 && c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == (v4 ? IP_RECVERR : IPV6_RECVERR) &&
		    c->cmsg_len >=
			    CMSG_LEN(sizeof(*ee) + (v4 ? sizeof(struct sockaddr_in) :
							 sizeof(struct sockaddr_in6))))
			ee = (const void *)CMSG_DATA(c);
		else if (c->cmsg_type == (v4 ? IP_TTL : IPV6_HOPLIMIT))
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	}
	if (!ee || !read_error(ee, out))
		return false;
	out->ttl = ttl;
	return true;
}

bool errqueue_next(int fd, struct errqueue_entry *e)
{
	for (;;) {
		_Alignas(struct cmsghdr) uint8_t control[512];
		struct sockaddr_storage sa = { 0 };
		struct iovec iov = { e->data, sizeof(e->data) };
		struct msghdr msg = {
			.msg_name = &sa,
			.msg_namelen = sizeof(sa),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT);

		if (n < 0)
			return false;
		if (!read_control(&msg, &e->error) ||
		    !endpoint_from_sockaddr((struct sockaddr *)&sa, &e->to))
			continue;
		e->len = n;
		return true;
	}
}
