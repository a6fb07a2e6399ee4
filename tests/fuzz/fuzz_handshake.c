/*
 * A proxy's side of a handshake. The first byte says which dialect is spoken, with which
 * credentials and about what kind of target; the second in pieces of how many bytes the rest
 * comes, which must make no difference.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "dial/handshake.h"
#include "fuzz.h"

static const struct handshake_ops *const dialects[] = { &http_handshake,
							&socks5_handshake,
							&socks4_handshake };

struct outcome {
	struct handshake h;
	size_t taken, said;
};

static void drain(struct outcome *o, bool at_once)
{
	CHECK(o->h.out_len <= sizeof(o->h.out));
	if (!at_once)
		return;
	o->said += o->h.out_len;
	o->h.out_len = 0;
}

static void run(struct outcome *o, const struct handshake_ops *ops,
		const struct proxy *proxy, const struct handshake_to *to,
		const uint8_t *data, size_t size, size_t piece)
{
	o->taken = o->said = 0;
	CHECK(!ops->check(proxy));
	ops->begin(&o->h, proxy, to);
	CHECK(o->h.state == HANDSHAKE_MORE && o->h.out_len);
	drain(o, true);
	while (o->taken < size && o->h.state == HANDSHAKE_MORE) {
		size_t n = MIN(piece, size - o->taken), used;
		/* A copy of its own size, so that the sanitizer sees a read past the end. */
		uint8_t *copy = malloc(n);

		CHECK(copy);
		memcpy(copy, data + o->taken, n);
		used = ops->step(&o->h, copy, n);
		free(copy);
		CHECK(used <= n && used > 0);
		CHECK(used == n || o->h.state != HANDSHAKE_MORE);
		o->taken += used;
		drain(o, piece % 2);
	}
	drain(o, true);
	CHECK(o->taken <= HANDSHAKE_HEADER_MAX + 1);
	if (o->h.state != HANDSHAKE_FAILED)
		return;
	CHECK(o->h.err > 0 && o->h.why[0]);
	for (const char *c = o->h.why; *c; c++)
		CHECK(*c >= ' ' && *c <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, pieces;
	struct proxy proxy = { 0 };
	struct handshake_to to = { .port = 443 };
	const struct handshake_ops *ops;
	size_t piece;

	if (size < 2)
		return 0;
	ops = dialects[data[0] % ARRAY_SIZE(dialects)];
	if (data[0] & 0x40) {
		proxy.user = "demo";
		proxy.password = ops == &socks4_handshake ? "" : "word";
	}
	if (data[0] & 0x80)
		CHECK(handshake_take_name("www.example.org", to.name));
	piece = data[1] ? data[1] : 1;
	data += 2;
	size -= 2;
	run(&whole, ops, &proxy, &to, data, size, SIZE_MAX);
	run(&pieces, ops, &proxy, &to, data, size, piece);
	CHECK(whole.taken == pieces.taken && whole.said == pieces.said);
	CHECK(whole.h.state == pieces.h.state && !strcmp(whole.h.why, pieces.h.why));
	return 0;
}
