/*
 * What a capture makes of a frame: the first ten bytes are its virtio-net header, which a
 * command that is root can choose as well, the next says what is done with it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "capture/capture_internal.h"
#include "fuzz.h"

#define CUT 1
#define FROM_CHILD 2
#define SOCKET_V6 4
#define PIECES 8

struct run {
	size_t len;
	uint8_t mode;
	unsigned count;
	struct known_flow flow;
};

/* Buffers of just the size that is needed, so that the sanitizer sees a byte beyond. */
static uint8_t *copy_of(const uint8_t *data, size_t len, size_t more)
{
	uint8_t *copy = malloc(MAX(len + more, 1u));

	CHECK(copy);
	memcpy(copy, data, len);
	return copy;
}

static void check_block(const uint8_t *data, size_t len)
{
	struct pcapng_buf buf = { .room = len + PCAPNG_OVERHEAD };
	struct pcapng_packet p = {
		.data = data, .captured = len, .original = len, .pid = 1
	};

	buf.data = malloc(buf.room);
	CHECK(buf.data);
	CHECK(pcapng_packet(&buf, &p));
	CHECK(pcapng_block_len(buf.data, buf.len) == buf.len);
	free(buf.data);
}

static void on_packet(void *ctx, uint8_t *data, size_t len, struct shape *s)
{
	struct run *run = ctx;
	cleanup_free uint8_t *exact = copy_of(data, len, 0);
	cleanup_free uint8_t *out = copy_of(data, len, 20);
	struct endpoint from, to;
	struct shape inner;
	size_t n;

	run->count++;
	CHECK(len <= run->len);
	CHECK(!s->protocol || (s->l4 <= len && s->data <= len));
	check_block(exact, len);
	cut_complete(exact, len, s);
	if (s->protocol == IPPROTO_ICMP || s->protocol == IPPROTO_ICMPV6)
		capture_quoted(exact, len, s, &inner, &from, &to);
	keys_client_random(exact + s->data, len - s->data);
	if (!cut_endpoints(exact, s, &from, &to))
		return;
	n = egress_rewrite(out, exact, len, s, run->mode & FROM_CHILD, &run->flow);
	CHECK(n <= len + 20);
	if (n) {
		struct shape again = cut_shape(out, n);

		CHECK(again.protocol == s->protocol);
		CHECK(cut_endpoints(out, &again, &from, &to));
	}
}

static void check_lines(const uint8_t *data, size_t size)
{
	cleanup_free uint8_t *exact = copy_of(data, size, 0);
	struct keys_line key;

	keys_parse((const char *)exact, size, &key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr vh;
	struct run run = { 0 };
	struct iovec iov[2];
	size_t first;

	if (size < sizeof(vh) + 1)
		return 0;
	memcpy(&vh, data, sizeof(vh));
	run.mode = data[sizeof(vh)];
	data += sizeof(vh) + 1;
	size -= sizeof(vh) + 1;
	run.len = size;
	CHECK(addr_parse(run.mode & SOCKET_V6 ? "2001:db8::1" : "192.0.2.1",
			 &run.flow.local.addr));
	run.flow.peer = run.flow.local;
	first = run.mode & PIECES ? size / 3 : size;
	iov[0] = (struct iovec){ copy_of(data, first, 0), first };
	iov[1] = (struct iovec){ copy_of(data + first, size - first, 0), size - first };
	cut_frame(&(struct frame){ .from_child = run.mode & FROM_CHILD,
				   .vh = &vh,
				   .iov = iov,
				   .iov_count = 2 },
		  run.mode & CUT, on_packet, &run);
	CHECK(run.count > 0);
	check_lines(data, size);
	free(iov[0].iov_base);
	free(iov[1].iov_base);
	return 0;
}
