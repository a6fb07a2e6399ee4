#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the load generator's two halves agree on: ports, counted from a base, and the streams. */
enum {
	ECHO_PORTS = 16,   /* TCP, BASE and on: every byte comes back. UDP on BASE, too */
	STREAM_PORT = 16,  /* TCP: a struct request, then its stream */
	CONTROL_PORT = 17, /* TCP: lines, see on_control() */
	COUNT_PORT = 18,   /* UDP: counted and thrown away */
	FLOOD_PORT = 19,   /* UDP: comes back; who wrote last is flooded on request */
};

/* Who sends, and whether the reader doesn't read (and the writer writes) until the release. */
enum stream_kind {
	STREAM_PULL,
	STREAM_PUSH,
	STREAM_PULL_STALLED,
	STREAM_PUSH_STALLED
};

struct request {
	uint64_t kind;
	uint64_t seed;
	uint64_t bytes; /* of STREAM_PULL */
};

/* The origin's word on a pushed stream. */
struct answer {
	uint64_t bytes;
	uint64_t wrong; /* chunks that were not what they should be */
};

enum {
	CHUNK = 64 * 1024,
	STALLED_SNDBUF = 256 * 1024,
	STALLED_RCVBUF = 64 * 1024
};

/* One end of a stream, whose bytes follow from the seed and their offset. */
struct stream {
	uint64_t seed, offset, wrong;
};

/* These return what send() and recv() do, at most a chunk; what comes in is compared. */
ssize_t stream_send(struct stream *stream, int fd, uint64_t limit);
ssize_t stream_recv(struct stream *stream, int fd);

double now_seconds(void);
/* Ends the program; the harness finds the words where it looks for the figures. */
_Noreturn void die(const char *what);
struct sockaddr_in endpoint_make(const char *address, int port);
void buffer_set(int fd, int option, int bytes);

/* Serves until it is killed. Says "ready" when it does. */
int origin_serve(const char *address, int base);

int latency_measure(const char *address, int base, bool tcp, double seconds, size_t size);
int churn_measure(const char *address, int base, int parallel, double seconds);
int hold_measure(const char *address, int base, int count);
int flood_up_measure(const char *address, int base, double seconds, int size);
int flood_down_measure(const char *address, int base, double seconds, int size);
int stream_measure(const char *address, int base, double seconds);
int stall_measure(const char *address, int base, int count);
int spawn_measure(int times, char **commands);

/* For the measuring side: a connected socket, blocking. */
int dial(const char *address, int port, int type);
/* Sends the origin a line and returns its answer, two numbers at most. */
void control(const char *address, int base, const char *line, unsigned long numbers[2]);

#endif
