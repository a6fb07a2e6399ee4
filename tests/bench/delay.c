/*
 * A long wire for the benchmarks, for kernels without netem:
 *
 *   delay PID PID MILLISECONDS MBIT_PER_SECOND
 *
 * makes a TUN device in the network namespaces of two processes, and every packet that enters
 * the one leaves the other so much later. Says "ready" when the devices are there, and ends when
 * its stdin does.
 *
 * The devices have virtio-net headers, so a segment of 64 KiB crosses as it is, with its
 * checksum still to be made and its header unchanged: what a gigabit costs is some 2000 reads
 * and writes a second. Like a real line it has a rate, too: a packet leaves when those before it
 * have left, and its delay begins then. What waits stands in a ring, bounded in bytes; when that
 * is full, packets are dropped and counted. MBIT_PER_SECOND 0 is a line without a rate.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
	RING_BYTES = 64 << 20,
	PACKET_MAX = 65536 + 64, /* with the virtio-net header */
	READS_MAX = 64,
};

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct packet {
	uint64_t due_ns;
	uint32_t size; /* bytes behind this header; 0: the next one stands at the ring's begin */
	uint32_t stride; /* with this header, rounded up */
};

/* One direction. The ring's packets are contiguous from tail to head. */
struct line {
	int in, out;
	char *ring;
	size_t head, tail, used;
	uint64_t free_ns; /* when the last packet has left */
	unsigned long dropped;
};

static uint64_t delay_ns, mbits;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* A device in the network namespace of that process. */
static int tun_open(const char *pid, const char *name)
{
	unsigned int offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	char path[64];
	int space, fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	space = open(path, O_RDONLY | O_CLOEXEC);
	if (space < 0 || setns(space, CLONE_NEWNET))
		die(path);
	close(space);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &request))
		die("TUNSETIFF");
	if (ioctl(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) &&
	    ioctl(fd, TUNSETOFFLOAD, offloads))
		die("TUNSETOFFLOAD");
	return fd;
}

/* Room for the largest packet at the head, or NULL. */
static struct packet *room_make(struct line *line)
{
	size_t needed = sizeof(struct packet) + PACKET_MAX;
	struct packet *packet;

	if (!line->used)
		line->head = line->tail = 0;
	else if (line->head == line->tail)
		return NULL;
	/* The ring's end is kept free for the packet that leads back to its begin. */
	if (line->head > line->tail &&
	    line->head + needed + sizeof(*packet) > RING_BYTES) {
		packet = (struct packet *)(line->ring + line->head);
		packet->size = 0;
		line->head = 0;
	}
	if (line->used && line->head <= line->tail && line->tail - line->head < needed)
		return NULL;
	return (struct packet *)(line->ring + line->head);
}

static void packet_append(struct line *line, struct packet *packet, size_t size)
{
	uint64_t start = now();

	if (start < line->free_ns)
		start = line->free_ns;
	line->free_ns = start + (mbits ? size * 8000 / mbits : 0);
	packet->due_ns = line->free_ns + delay_ns;
	packet->size = size;
	packet->stride = (sizeof(*packet) + size + 15) & ~15u;
	line->head += packet->stride;
	line->used += packet->stride;
}

static void line_read(struct line *line)
{
	static char lost[PACKET_MAX];

	for (int i = 0; i < READS_MAX; i++) {
		struct packet *packet = room_make(line);
		ssize_t size = read(line->in, packet ? (void *)(packet + 1) : lost,
				    PACKET_MAX);

		if (size <= 0)
			return;
		if (packet)
			packet_append(line, packet, size);
		else
			line->dropped++;
	}
}

/* Sends what is due; returns the time of the next packet, or UINT64_MAX. */
static uint64_t line_write(struct line *line)
{
	while (line->used) {
		struct packet *packet = (struct packet *)(line->ring + line->tail);

		if (!packet->size) {
			line->tail = 0;
			continue;
		}
		if (packet->due_ns > now())
			return packet->due_ns;
		if (write(line->out, packet + 1, packet->size) < 0)
			line->dropped++;
		line->tail += packet->stride;
		line->used -= packet->stride;
	}
	return UINT64_MAX;
}

static void run(struct line lines[2])
{
	struct pollfd polled[] = {
		{ .fd = lines[0].in, .events = POLLIN },
		{ .fd = lines[1].in, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	char byte;

	for (;;) {
		uint64_t next = line_write(&lines[0]), other = line_write(&lines[1]),
			 time = now();
		struct timespec wait = { 0 };

		next = next < other ? next : other;
		if (next > time) {
			wait.tv_sec = (next - time) / 1000000000;
			wait.tv_nsec = (next - time) % 1000000000;
		}
		if (ppoll(polled, 3, next == UINT64_MAX ? NULL : &wait, NULL) < 0 &&
		    errno != EINTR)
			die("ppoll");
		if (polled[2].revents && read(STDIN_FILENO, &byte, 1) <= 0)
			return;
		for (int i = 0; i < 2; i++)
			if (polled[i].revents)
				line_read(&lines[i]);
	}
}

int main(int argc, char **argv)
{
	struct line lines[2] = { 0 };

	if (argc != 5) {
		fputs("usage: delay PID PID MILLISECONDS MBIT_PER_SECOND\n", stderr);
		return 2;
	}
	delay_ns = atof(argv[3]) * 1e6;
	mbits = atoi(argv[4]);
	prctl(PR_SET_TIMERSLACK, 1000);
	lines[0].in = lines[1].out = tun_open(argv[1], "long0");
	lines[1].in = lines[0].out = tun_open(argv[2], "long1");
	for (int i = 0; i < 2; i++) {
		lines[i].ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (lines[i].ring == MAP_FAILED)
			die("mmap");
	}
	puts("ready");
	fflush(stdout);
	run(lines);
	printf("{\"dropped\": %lu}\n", lines[0].dropped + lines[1].dropped);
	return 0;
}
