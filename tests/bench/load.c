/*
 * The load generator of the benchmarks: `load MODE ...` measures one thing against an origin,
 * `load serve`, and prints a line of JSON.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SAMPLES_MAX = 1 << 22,
	BATCH = 32,
	DATAGRAM_MAX = 2048,
	ANSWER_SECONDS = 5,
	GRACE_SECONDS = 3, /* for connections under way when the time is up */
	FAILURES_MAX = 1000,
	OPENING_MAX = 128, /* connections in the making at a time */
};

/* --- what all modes need ----------------------------------------------------------------- */

double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

void die(const char *what)
{
	printf("{\"error\": \"%s%s%s\"}\n", what, errno ? ": " : "",
	       errno ? strerror(errno) : "");
	exit(1);
}

struct sockaddr_in endpoint_make(const char *address, int port)
{
	struct sockaddr_in endpoint = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (inet_pton(AF_INET, address, &endpoint.sin_addr) != 1)
		die(address);
	return endpoint;
}

void buffer_set(int fd, int option, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes)))
		die("buffer size");
}

static void answer_timeout_set(int fd, double seconds)
{
	struct timeval time = { (int)seconds, (seconds - (int)seconds) * 1e6 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
}

int dial(const char *address, int port, int type)
{
	struct sockaddr_in endpoint = endpoint_make(address, port);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&endpoint, sizeof(endpoint)))
		die("connect");
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static bool numbers_recv(int fd, unsigned long numbers[2], int flags)
{
	char answer[64];
	ssize_t size = recv(fd, answer, sizeof(answer) - 1, flags);

	if (size <= 0)
		return false;
	answer[size] = 0;
	return sscanf(answer, "%lu %lu", &numbers[0], &numbers[1]) == 2;
}

void control(const char *address, int base, const char *line, unsigned long numbers[2])
{
	int fd = dial(address, base + CONTROL_PORT, SOCK_STREAM);

	answer_timeout_set(fd, ANSWER_SECONDS);
	if (send(fd, line, strlen(line), 0) < 0 || !numbers_recv(fd, numbers, 0))
		die("the origin's control connection");
	close(fd);
}

static struct samples {
	double *microseconds;
	size_t count;
} samples;

static void sample_add(double start)
{
	if (!samples.microseconds &&
	    !(samples.microseconds = malloc(SAMPLES_MAX * sizeof(double))))
		die("memory");
	if (samples.count < SAMPLES_MAX)
		samples.microseconds[samples.count++] = (now_seconds() - start) * 1e6;
}

static int double_compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* After samples_sort(). */
static double percentile(int percent)
{
	return samples.count ? samples.microseconds[samples.count * percent / 100] : 0;
}

static void samples_sort(void)
{
	if (samples.count)
		qsort(samples.microseconds, samples.count, sizeof(double),
		      double_compare);
}

/* --- request and response ---------------------------------------------------------------- */

/* One answer of the same size. False: none came, or only a part. */
static bool answer_recv(int fd, char *data, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = recv(fd, data + have, size - have, 0);

		if (got <= 0)
			return false;
		have += got;
	}
	return true;
}

int latency_measure(const char *address, int base, bool tcp, double seconds, size_t size)
{
	int fd = dial(address, base, tcp ? SOCK_STREAM : SOCK_DGRAM);
	char question[DATAGRAM_MAX] = "", answer[DATAGRAM_MAX];
	double end = now_seconds() + seconds;
	unsigned long lost = 0, inexact = 0;

	if (size < sizeof(uint64_t) || size > sizeof(question))
		die("size");
	answer_timeout_set(fd, tcp ? ANSWER_SECONDS : 0.5);
	for (uint64_t number = 0; now_seconds() < end && lost < 20; number++) {
		double start = now_seconds();

		memcpy(question, &number, sizeof(number));
		if (send(fd, question, size, MSG_NOSIGNAL) < 0 ||
		    !answer_recv(fd, answer, size)) {
			lost++;
			if (tcp)
				die("no answer");
			continue;
		}
		sample_add(start);
		inexact += !!memcmp(question, answer, size);
	}
	samples_sort();
	printf("{\"count\": %zu, \"lost\": %lu, \"inexact\": %lu, \"p50\": %.2f, "
	       "\"p99\": %.2f}\n",
	       samples.count, lost, inexact, percentile(50), percentile(99));
	return samples.count == 0;
}

/* --- short connections: connect, a byte, the byte back, close ----------------------------- */

struct short_conn {
	int fd; /* -1: none */
	bool asked;
	double start;
};

static unsigned long done, failed;

static struct sockaddr_in next_port(const char *address, int base)
{
	static unsigned int turn;

	return endpoint_make(address, base + turn++ % ECHO_PORTS);
}

/* One at a time, as a simple program does it. */
static void churn_one(const char *address, int base)
{
	struct sockaddr_in to = next_port(address, base);
	double start = now_seconds();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte = 'b';

	answer_timeout_set(fd, ANSWER_SECONDS);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
	    send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1 ||
	    byte != 'b') {
		failed++;
	} else {
		sample_add(start);
		done++;
	}
	close(fd);
}

/* A connection on its way, watched for whether it stands and for the answer. */
static bool open_watched(struct short_conn *conn, struct sockaddr_in to, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET,
				     .data.ptr = conn };

	conn->start = now_seconds();
	conn->asked = false;
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd >= 0 &&
	    (!connect(conn->fd, (struct sockaddr *)&to, sizeof(to)) ||
	     errno == EINPROGRESS) &&
	    !epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event))
		return true;
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	return false;
}

/* Returns true when the connection has ended, one way or the other. */
static bool short_conn_step(struct short_conn *conn, uint32_t events)
{
	char byte = 'b';
	bool bad = events & EPOLLERR;

	if (!bad && !conn->asked && events & EPOLLOUT) {
		bad = send(conn->fd, &byte, 1, MSG_NOSIGNAL) != 1;
		conn->asked = true;
	}
	if (!bad && !(events & (EPOLLIN | EPOLLHUP)))
		return false;
	if (!bad && recv(conn->fd, &byte, 1, 0) == 1 && byte == 'b') {
		sample_add(conn->start);
		done++;
	} else {
		failed++;
	}
	close(conn->fd);
	conn->fd = -1;
	return true;
}

static void churn_many(const char *address, int base, int parallel, double end)
{
	struct short_conn *conns = calloc(parallel, sizeof(*conns));
	int epoll = epoll_create1(EPOLL_CLOEXEC), live = 0;
	struct epoll_event events[128];

	if (!conns)
		die("memory");
	for (int i = 0; i < parallel; i++)
		conns[i].fd = -1;
	for (;;) {
		double now = now_seconds();
		int ready;

		for (int i = 0; i < parallel && now < end && failed < FAILURES_MAX; i++) {
			if (conns[i].fd >= 0)
				continue;
			if (open_watched(&conns[i], next_port(address, base), epoll))
				live++;
			else
				failed++;
		}
		if (!live || now > end + GRACE_SECONDS)
			break;
		ready = epoll_wait(epoll, events, 128, 100);
		for (int i = 0; i < ready; i++)
			live -= short_conn_step(events[i].data.ptr, events[i].events);
	}
	failed += live;
	free(conns);
}

int churn_measure(const char *address, int base, int parallel, double seconds)
{
	double start = now_seconds(), end = start + seconds, spent;

	if (parallel > 1)
		churn_many(address, base, parallel, end);
	while (parallel == 1 && now_seconds() < end && failed < FAILURES_MAX)
		churn_one(address, base);
	spent = now_seconds() - start;
	samples_sort();
	printf("{\"per_second\": %.1f, \"done\": %lu, \"failed\": %lu, \"p50\": %.1f, "
	       "\"p99\": %.1f}\n",
	       done / spent, done, failed, percentile(50), percentile(99));
	return 0;
}

/* --- many connections that do nothing, then all at once ----------------------------------- */

/* Opens them, some at a time; returns how many stand. */
static int open_many(struct short_conn *conns, int count, struct sockaddr_in to,
		     int epoll)
{
	struct epoll_event events[OPENING_MAX];
	int begun = 0, opening = 0, standing = 0;

	while (begun < count || opening) {
		int ready;

		while (begun < count && opening < OPENING_MAX)
			opening += open_watched(&conns[begun++], to, epoll);
		ready = epoll_wait(epoll, events, OPENING_MAX, ANSWER_SECONDS * 1000);
		if (ready <= 0)
			break;
		for (int i = 0; i < ready; i++) {
			struct short_conn *conn = events[i].data.ptr;
			bool good = !(events[i].events & (EPOLLERR | EPOLLHUP));

			if (conn->asked || conn->fd < 0)
				continue;
			conn->asked = true;
			opening--;
			standing += good;
			if (!good) {
				close(conn->fd);
				conn->fd = -1;
			}
		}
	}
	return standing;
}

int hold_measure(const char *address, int base, int count)
{
	struct short_conn *conns = calloc(count, sizeof(*conns));
	int epoll = epoll_create1(EPOLL_CLOEXEC), standing, echoed = 0, ready;
	struct epoll_event events[256];
	char line[16], byte = 'b';
	double start = now_seconds(), last;

	if (!conns)
		die("memory");
	standing = open_many(conns, count, endpoint_make(address, base), epoll);
	printf("{\"opened\": %d, \"seconds\": %.3f}\n", standing, now_seconds() - start);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	start = last = now_seconds();
	for (int i = 0; i < count; i++)
		if (conns[i].fd >= 0)
			(void)!send(conns[i].fd, &byte, 1, MSG_NOSIGNAL);
	while (echoed < standing &&
	       (ready = epoll_wait(epoll, events, 256, ANSWER_SECONDS * 1000)) > 0) {
		for (int i = 0; i < ready; i++) {
			struct short_conn *conn = events[i].data.ptr;

			if (events[i].events & EPOLLIN &&
			    recv(conn->fd, &byte, 1, 0) == 1) {
				echoed++;
				last = now_seconds();
			}
		}
	}
	printf("{\"echoed\": %d, \"seconds\": %.3f}\n", echoed, last - start);
	return 0;
}

/* --- datagrams as fast as they go ---------------------------------------------------------- */

static struct iovec batch_iov[BATCH];
static struct mmsghdr batch[BATCH];

static void batch_make(int size)
{
	static char data[BATCH][DATAGRAM_MAX];

	for (int i = 0; i < BATCH; i++) {
		batch_iov[i] = (struct iovec){ data[i], size };
		batch[i].msg_hdr = (struct msghdr){ .msg_iov = &batch_iov[i],
						    .msg_iovlen = 1 };
	}
}

static void flood_print(unsigned long sent, unsigned long delivered, double seconds)
{
	printf("{\"sent_per_second\": %.0f, \"per_second\": %.0f, \"lost\": %.4f}\n",
	       sent / seconds, delivered / seconds,
	       sent ? 1 - (double)delivered / sent : 0);
}

int flood_up_measure(const char *address, int base, double seconds, int size)
{
	int fd = dial(address, base + COUNT_PORT, SOCK_DGRAM);
	unsigned long sent = 0, before, counted[2] = { 0 };
	double start, spent;

	batch_make(size);
	control(address, base, "zero\n", counted);
	start = now_seconds();
	while ((spent = now_seconds() - start) < seconds) {
		int count = sendmmsg(fd, batch, BATCH, 0);

		sent += count > 0 ? count : 0;
	}
	do { /* until nothing is under way any more */
		before = counted[0];
		usleep(200000);
		control(address, base, "count\n", counted);
	} while (counted[0] != before);
	flood_print(sent, counted[0], spent);
	return 0;
}

int flood_down_measure(const char *address, int base, double seconds, int size)
{
	int fd = dial(address, base + FLOOD_PORT, SOCK_DGRAM);
	int control_fd = dial(address, base + CONTROL_PORT, SOCK_STREAM);
	unsigned long delivered = 0, sent[2] = { 0 };
	char line[64], byte = 'b';
	bool over = false;
	int count = -1;

	buffer_set(fd, SO_RCVBUFFORCE, 8 << 20);
	answer_timeout_set(fd, 0.3);
	for (int i = 0; i < 10 && count != 1; i++) {
		(void)!send(fd, &byte, 1, 0);
		count = recv(fd, &byte, 1, 0);
	}
	if (count != 1)
		die("the origin's flood port");
	batch_make(DATAGRAM_MAX);
	count = snprintf(line, sizeof(line), "flood %d %d\n", size,
			 (int)(seconds * 1000));
	if (send(control_fd, line, count, 0) != count)
		die("the origin's control connection");
	for (;;) {
		count = recvmmsg(fd, batch, BATCH, MSG_WAITFORONE, NULL);
		if (count > 0)
			delivered += count;
		else if (over)
			break;
		else
			over = numbers_recv(control_fd, sent, 0);
	}
	flood_print(sent[0], delivered, seconds);
	return 0;
}

/* --- starting programs --------------------------------------------------------------------- */

struct runs {
	char **command;
	double *milliseconds;
	int count, failed;
};

static void run_once(struct runs *runs)
{
	double start = now_seconds();
	int status;
	pid_t pid;

	errno = posix_spawnp(&pid, runs->command[0], NULL, NULL, runs->command, environ);
	if (errno || waitpid(pid, &status, 0) != pid)
		die(runs->command[0]);
	if (status)
		runs->failed++;
	else
		runs->milliseconds[runs->count++] = (now_seconds() - start) * 1e3;
}

static void runs_print(const char *name, const struct runs *runs)
{
	printf("\"%s_failed\": %d, \"%s\": [", name, runs->failed, name);
	for (int i = 0; i < runs->count; i++)
		printf("%s%.3f", i ? ", " : "", runs->milliseconds[i]);
	printf("]");
}

/* Runs two commands, separated by a "//", in turns; tells the milliseconds of each good run. */
int spawn_measure(int times, char **commands)
{
	struct runs runs[2] = { { .command = commands }, { .command = commands } };

	while (*runs[1].command && strcmp(*runs[1].command, "//"))
		runs[1].command++;
	if (times < 1 || !*runs[1].command || !runs[1].command[1])
		die("spawn: two commands are needed");
	*runs[1].command++ = NULL;
	for (int which = 0; which < 2; which++)
		if (!(runs[which].milliseconds = calloc(times, sizeof(double))))
			die("memory");
	for (int i = 0; i < times * 2; i++)
		run_once(&runs[i % 2]);
	printf("{");
	runs_print("first", &runs[0]);
	printf(", ");
	runs_print("second", &runs[1]);
	printf("}\n");
	return 0;
}

/* --- */

static int usage(void)
{
	fputs("usage: load serve ADDRESS PORT\n"
	      "       load stream ADDRESS PORT SECONDS\n"
	      "       load tcp|udp ADDRESS PORT SECONDS SIZE\n"
	      "       load churn ADDRESS PORT SECONDS PARALLEL\n"
	      "       load up|down ADDRESS PORT SECONDS SIZE\n"
	      "       load hold|stall ADDRESS PORT COUNT\n"
	      "       load spawn TIMES COMMAND... // COMMAND...\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[1] : "", *address = argc > 3 ? argv[2] : "";
	int base = argc > 3 ? atoi(argv[3]) : 0, size = argc > 5 ? atoi(argv[5]) : 0;
	double seconds = argc > 4 ? atof(argv[4]) : 0;

	if (!strcmp(mode, "spawn"))
		return spawn_measure(atoi(argv[2]), argv + 3);
	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(mode, "serve"))
		return origin_serve(address, base);
	if (!seconds)
		return usage();
	if (!strcmp(mode, "stream"))
		return stream_measure(address, base, seconds);
	if (!strcmp(mode, "hold"))
		return hold_measure(address, base, seconds);
	if (!strcmp(mode, "stall"))
		return stall_measure(address, base, seconds);
	if (!size)
		return usage();
	if (!strcmp(mode, "tcp") || !strcmp(mode, "udp"))
		return latency_measure(address, base, *mode == 't', seconds, size);
	if (!strcmp(mode, "churn"))
		return churn_measure(address, base, size, seconds);
	if (!strcmp(mode, "up"))
		return flood_up_measure(address, base, seconds, size);
	if (!strcmp(mode, "down"))
		return flood_down_measure(address, base, seconds, size);
	return usage();
}
