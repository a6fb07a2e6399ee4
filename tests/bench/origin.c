/*
 * The origin: what the load generator talks to. One thread, one epoll set, level-triggered.
 *
 * Nothing here may be slower than what is measured, so the hot paths (echo, counted datagrams)
 * do one call for each message or batch. A flood of datagrams is sent by a child process: it
 * takes as long as the measurement does.
 */
#include "load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BATCH = 32,
	DATAGRAM_MAX = 2048,
	BACKLOG = 16384
};

struct conn {
	int fd;
	void (*ready)(struct conn *conn, uint32_t events);
	void (*accepted)(struct conn *conn,
			 uint32_t events); /* of a listener's connections */
	struct request request;
	size_t request_size; /* bytes of it that have come */
	struct stream stream;
	struct conn *next_stalled;
};

static int epoll;
static struct conn *stalled;
static uint64_t counted, counted_bytes;
static struct sockaddr_in flood_peer;
static int flood_fd;

static char batch_data[BATCH][DATAGRAM_MAX];
static struct sockaddr_in batch_peer[BATCH];
static struct iovec batch_iov[BATCH];
static struct mmsghdr batch[BATCH];

static void watch(struct conn *conn, int how, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = conn };

	if (epoll_ctl(epoll, how, conn->fd, &event))
		die("epoll_ctl");
}

/* Not even errors are told any more. */
static void unwatch(struct conn *conn)
{
	epoll_ctl(epoll, EPOLL_CTL_DEL, conn->fd, NULL);
}

static struct conn *conn_add(int fd, void (*ready)(struct conn *, uint32_t))
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		die("memory");
	conn->fd = fd;
	conn->ready = ready;
	watch(conn, EPOLL_CTL_ADD, EPOLLIN);
	return conn;
}

static void conn_close(struct conn *conn)
{
	close(conn->fd);
	free(conn);
}

static bool would_block(ssize_t result)
{
	return result < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_echo(struct conn *conn, uint32_t events)
{
	static char data[CHUNK];
	ssize_t size = recv(conn->fd, data, sizeof(data), 0);

	if (would_block(size))
		return;
	if (size <= 0 || send(conn->fd, data, size, MSG_NOSIGNAL) != size)
		conn_close(conn);
}

static void on_writable(struct conn *conn, uint32_t events)
{
	uint64_t left = conn->request.kind == STREAM_PULL ?
				conn->request.bytes - conn->stream.offset :
				UINT64_MAX;

	if (events & (EPOLLERR | EPOLLHUP) && conn->request.kind == STREAM_PULL) {
		conn_close(conn);
	} else if (left == 0) {
		shutdown(conn->fd, SHUT_WR);
		conn->ready = on_echo; /* nothing comes but the end */
		watch(conn, EPOLL_CTL_MOD, EPOLLIN);
	} else {
		ssize_t size = stream_send(&conn->stream, conn->fd, left);

		/* One that is stalled is kept until the release, which counts it. */
		if (size <= 0 && !would_block(size))
			unwatch(conn);
	}
}

static void on_pushed(struct conn *conn, uint32_t events)
{
	ssize_t size = stream_recv(&conn->stream, conn->fd);
	struct answer answer = { conn->stream.offset, conn->stream.wrong };

	if (size > 0 || would_block(size))
		return;
	if (size == 0)
		(void)!send(conn->fd, &answer, sizeof(answer), MSG_NOSIGNAL);
	conn_close(conn);
}

static void stream_begin(struct conn *conn)
{
	bool pull = conn->request.kind == STREAM_PULL ||
		    conn->request.kind == STREAM_PULL_STALLED;

	conn->stream.seed = conn->request.seed;
	conn->ready = pull ? on_writable : on_pushed;
	watch(conn, EPOLL_CTL_MOD, pull ? EPOLLOUT : EPOLLIN);
	if (conn->request.kind != STREAM_PULL_STALLED &&
	    conn->request.kind != STREAM_PUSH_STALLED)
		return;
	conn->next_stalled = stalled;
	stalled = conn;
	if (pull) {
		buffer_set(conn->fd, SO_SNDBUF, STALLED_SNDBUF);
	} else {
		buffer_set(conn->fd, SO_RCVBUF, STALLED_RCVBUF);
		unwatch(conn);
	}
}

static void on_request(struct conn *conn, uint32_t events)
{
	char *to = (char *)&conn->request + conn->request_size;
	ssize_t size = recv(conn->fd, to, sizeof(conn->request) - conn->request_size, 0);

	if (would_block(size))
		return;
	if (size <= 0) {
		conn_close(conn);
		return;
	}
	conn->request_size += size;
	if (conn->request_size == sizeof(conn->request))
		stream_begin(conn);
}

/* Stalled readers read from now on, stalled writers end here. */
static int release(char *answer, size_t size)
{
	unsigned long streams = 0, bytes = 0;
	struct conn *conn;

	while ((conn = stalled)) {
		stalled = conn->next_stalled;
		if (conn->request.kind == STREAM_PULL_STALLED) {
			streams++;
			bytes += conn->stream.offset;
			shutdown(conn->fd, SHUT_WR);
			conn->ready = on_echo;
		}
		unwatch(conn);
		watch(conn, EPOLL_CTL_ADD, EPOLLIN);
	}
	return snprintf(answer, size, "%lu %lu\n", streams, bytes);
}

/* Sends for so long, tells how many on the control connection, and ends. */
static void flood(int control_fd, int size, int milliseconds)
{
	double end = now_seconds() + milliseconds / 1e3;
	unsigned long sent = 0;
	char answer[64];

	for (int i = 0; i < BATCH; i++) {
		batch_iov[i].iov_len = size;
		batch_peer[i] = flood_peer;
		batch[i].msg_hdr.msg_namelen = sizeof(flood_peer);
	}
	while (now_seconds() < end) {
		int done = sendmmsg(flood_fd, batch, BATCH, 0);

		sent += done > 0 ? done : 0;
	}
	size = snprintf(answer, sizeof(answer), "%lu 0\n", sent);
	(void)!send(control_fd, answer, size, MSG_NOSIGNAL);
	_exit(0);
}

/* "release", "zero", "count", "flood SIZE MILLISECONDS": each is answered by two numbers. */
static void on_control(struct conn *conn, uint32_t events)
{
	char line[64], answer[64];
	ssize_t size = recv(conn->fd, line, sizeof(line) - 1, 0);
	int length, milliseconds;

	if (would_block(size))
		return;
	if (size <= 0) {
		conn_close(conn);
		return;
	}
	line[size] = 0;
	if (sscanf(line, "flood %d %d", &length, &milliseconds) == 2) {
		if (length > 0 && length <= DATAGRAM_MAX && !fork())
			flood(conn->fd, length, milliseconds);
		return;
	}
	if (!strcmp(line, "release\n")) {
		size = release(answer, sizeof(answer));
	} else {
		if (!strcmp(line, "zero\n"))
			counted = counted_bytes = 0;
		size = snprintf(answer, sizeof(answer), "%lu %lu\n",
				(unsigned long)counted, (unsigned long)counted_bytes);
	}
	if (send(conn->fd, answer, size, MSG_NOSIGNAL) != size)
		conn_close(conn);
}

/* Receives what there is, at most a batch, ready to be sent back. */
static int batch_recv(int fd)
{
	int count;

	for (int i = 0; i < BATCH; i++) {
		batch_iov[i] = (struct iovec){ batch_data[i], DATAGRAM_MAX };
		batch[i].msg_hdr = (struct msghdr){
			.msg_name = &batch_peer[i],
			.msg_namelen = sizeof(batch_peer[i]),
			.msg_iov = &batch_iov[i],
			.msg_iovlen = 1,
		};
	}
	count = recvmmsg(fd, batch, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++)
		batch_iov[i].iov_len = batch[i].msg_len;
	return count;
}

static void on_udp_echo(struct conn *conn, uint32_t events)
{
	int count = batch_recv(conn->fd);

	if (count <= 0)
		return;
	if (conn->fd == flood_fd)
		flood_peer = batch_peer[count - 1];
	sendmmsg(conn->fd, batch, count, 0);
}

static void on_udp_count(struct conn *conn, uint32_t events)
{
	int count = batch_recv(conn->fd);

	for (int i = 0; i < count; i++) {
		counted++;
		counted_bytes += batch[i].msg_len;
	}
}

static void on_connection(struct conn *listener, uint32_t events)
{
	for (int i = 0; i < BATCH; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		conn_add(fd, listener->accepted);
	}
}

static int bind_to(const char *address, int port, int type)
{
	struct sockaddr_in endpoint = endpoint_make(address, port);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&endpoint, sizeof(endpoint)))
		die("bind");
	if (type == SOCK_DGRAM)
		buffer_set(fd, SO_RCVBUFFORCE, 8 << 20);
	else if (listen(fd, BACKLOG))
		die("listen");
	return fd;
}

int origin_serve(const char *address, int base)
{
	struct epoll_event events[256];

	signal(SIGCHLD, SIG_IGN);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < ECHO_PORTS; i++)
		conn_add(bind_to(address, base + i, SOCK_STREAM), on_connection)
			->accepted = on_echo;
	conn_add(bind_to(address, base + STREAM_PORT, SOCK_STREAM), on_connection)
		->accepted = on_request;
	conn_add(bind_to(address, base + CONTROL_PORT, SOCK_STREAM), on_connection)
		->accepted = on_control;
	conn_add(bind_to(address, base, SOCK_DGRAM), on_udp_echo);
	conn_add(bind_to(address, base + COUNT_PORT, SOCK_DGRAM), on_udp_count);
	flood_fd = bind_to(address, base + FLOOD_PORT, SOCK_DGRAM);
	conn_add(flood_fd, on_udp_echo);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll, events, 256, -1);

		for (int i = 0; i < count; i++) {
			struct conn *conn = events[i].data.ptr;

			conn->ready(conn, events[i].events);
		}
	}
}
