#include "sandbox/proto.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * PROTO_FD_COUNT)];
};

int proto_send(int sock, const struct proto_msg *msg, const int *fds, size_t fd_count)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = sizeof(*msg) };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = &control.align;
	ssize_t n;

	assert(fd_count <= PROTO_FD_COUNT);
	if (fd_count) {
		hdr.msg_control = &control;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	do
		n = sendmsg(sock, &hdr, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int proto_send_error(int sock, const struct error *err)
{
	struct proto_msg msg = { .type = PROTO_FAILED, .error = *err };

	return proto_send(sock, &msg, NULL, 0);
}

/* Hands over what fits in fds and closes the rest. */
static void take_fds(struct msghdr *hdr, int *fds, size_t fd_count)
{
	struct cmsghdr *c;
	size_t taken = 0;

	for (c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (taken < fd_count)
				fds[taken++] = fd;
			else
				close(fd);
		}
	}
}

int proto_recv(int sock, struct proto_msg *msg, int *fds, size_t fd_count)
{
	union control control;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	for (size_t i = 0; i < fd_count; i++)
		fds[i] = -1;
	do
		n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
	/* A peer that died with a message of ours unread resets the pair, which is told once
	 * and before what it had still sent. */
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n == 0)
		return 0;
	if (n < 0)
		return -errno;
	take_fds(&hdr, fds, fd_count);
	if (n == sizeof(*msg) && !(hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	for (size_t i = 0; i < fd_count; i++)
		cleanup_fd_fn(&fds[i]);
	return -EPROTO;
}
