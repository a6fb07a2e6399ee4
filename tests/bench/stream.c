/*
 * Streams whose every byte is known: word k of a stream is a hash of its seed and k. A byte that
 * is lost, doubled or moved shows at the other end, and an end knows the stream at any offset
 * without keeping any of it.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	STREAM_BYTES = 64 << 20,
	STILL_MS = 500
};

/* The bytes of a stream from an offset on, a chunk at least; valid until the next call. */
static const char *pattern(uint64_t seed, uint64_t offset)
{
	static uint64_t words[CHUNK / 8 + 1];

	for (size_t i = 0; i < CHUNK / 8 + 1; i++) {
		uint64_t word = seed + (offset / 8 + i + 1) * 0x9e3779b97f4a7c15;

		word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93;
		words[i] = word ^ (word >> 29);
	}
	return (const char *)words + offset % 8;
}

ssize_t stream_send(struct stream *stream, int fd, uint64_t limit)
{
	size_t size = limit < CHUNK ? limit : CHUNK;
	ssize_t sent = send(fd, pattern(stream->seed, stream->offset), size,
			    MSG_NOSIGNAL);

	if (sent > 0)
		stream->offset += sent;
	return sent;
}

ssize_t stream_recv(struct stream *stream, int fd)
{
	static char data[CHUNK];
	ssize_t size = recv(fd, data, sizeof(data), 0);

	if (size > 0) {
		stream->wrong += !!memcmp(data, pattern(stream->seed, stream->offset),
					  size);
		stream->offset += size;
	}
	return size;
}

static int request(const char *address, int base, struct request request)
{
	int fd = dial(address, base + STREAM_PORT, SOCK_STREAM);

	if (send(fd, &request, sizeof(request), 0) != sizeof(request))
		die("request");
	return fd;
}

/* Reads to the end; returns what has come in all. */
static uint64_t pull_to_end(struct stream *stream, int fd)
{
	while (stream_recv(stream, fd) > 0)
		;
	close(fd);
	return stream->offset;
}

/* Ends a pushed stream; true if the origin has seen all of it and nothing else. */
static bool push_end(struct stream *stream, int fd)
{
	struct answer answer = { 0 };
	bool exact;

	shutdown(fd, SHUT_WR);
	exact = recv(fd, &answer, sizeof(answer), MSG_WAITALL) == sizeof(answer) &&
		answer.bytes == stream->offset && !answer.wrong;
	close(fd);
	return exact;
}

int stream_measure(const char *address, int base, double seconds)
{
	double end = now_seconds() + seconds;
	unsigned long up = 0, down = 0, inexact = 0;

	for (uint64_t seed = 1; now_seconds() < end; seed++) {
		struct stream out = { .seed = seed }, in = { .seed = seed };
		struct request push = { STREAM_PUSH, seed, 0 };
		int fd = request(address, base, push);

		while (out.offset < STREAM_BYTES &&
		       stream_send(&out, fd, STREAM_BYTES - out.offset) > 0)
			;
		inexact += !push_end(&out, fd) || out.offset != STREAM_BYTES;
		up += out.offset;
		fd = request(address, base,
			     (struct request){ STREAM_PULL, seed, STREAM_BYTES });
		inexact += pull_to_end(&in, fd) != STREAM_BYTES || in.wrong;
		down += in.offset;
	}
	printf("{\"up_bytes\": %lu, \"down_bytes\": %lu, \"inexact\": %lu}\n", up, down,
	       inexact);
	return 0;
}

/* Writes to all of them until nobody has taken anything for a while. */
static void push_until_still(struct stream *streams, const int *fds, int count)
{
	struct epoll_event events[64];
	int epoll = epoll_create1(EPOLL_CLOEXEC), ready;

	for (int i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLOUT, .data.u32 = i };

		epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
	}
	while ((ready = epoll_wait(epoll, events, 64, STILL_MS)) > 0) {
		for (int i = 0; i < ready; i++) {
			int which = events[i].data.u32, fd = fds[which];
			ssize_t sent = stream_send(&streams[which], fd, UINT64_MAX);

			if (sent <= 0 && errno != EAGAIN)
				die("a stalled connection failed");
		}
	}
	close(epoll);
}

static void nonblocking_set(int fd, bool on)
{
	if (fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0))
		die("fcntl");
}

/* Half of the connections' readers are ours, half the origin's: none reads until a line comes on
 * stdin. Then all is delivered, and compared. */
int stall_measure(const char *address, int base, int count)
{
	struct stream *out = calloc(count, sizeof(*out)),
		      *in = calloc(count, sizeof(*in));
	int *push = calloc(count, sizeof(int)), *pull = calloc(count, sizeof(int));
	unsigned long released[2], up = 0, down = 0, inexact = 0;
	char line[16];
	double start;

	if (!out || !in || !push || !pull)
		die("memory");
	control(address, base, "release\n", released); /* of a run that was killed */
	for (int i = 0; i < count; i++) {
		in[i].seed = out[i].seed = i + 1;
		pull[i] = request(address, base,
				  (struct request){ STREAM_PULL_STALLED, i + 1 });
		buffer_set(pull[i], SO_RCVBUF, STALLED_RCVBUF);
		push[i] = request(address, base,
				  (struct request){ STREAM_PUSH_STALLED, i + 1 });
		buffer_set(push[i], SO_SNDBUF, STALLED_SNDBUF);
		nonblocking_set(push[i], true);
	}
	push_until_still(out, push, count);
	puts("{\"stalled\": true}");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	start = now_seconds();
	control(address, base, "release\n", released);
	for (int i = 0; i < count; i++)
		shutdown(push[i], SHUT_WR);
	for (int i = 0; i < count; i++) {
		nonblocking_set(push[i], false);
		inexact += !push_end(&out[i], push[i]);
		up += out[i].offset;
		down += pull_to_end(&in[i], pull[i]);
		inexact += !!in[i].wrong;
	}
	inexact += released[0] != (unsigned long)count || released[1] != down;
	printf("{\"up_bytes\": %lu, \"down_bytes\": %lu, \"inexact\": %lu, \"seconds\": "
	       "%.3f}\n",
	       up, down, inexact, now_seconds() - start);
	return 0;
}
