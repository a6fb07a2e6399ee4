/*
 * The head of a datagram that a SOCKS5 proxy has relayed. What is read, written again, is read
 * as the same; names that may not be told to a proxy can't be written.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "dial/socks5_udp.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that the sanitizer sees a read past the end. */
	cleanup_free uint8_t *copy = malloc(MAX(size, 1u));
	char name[UINT8_MAX + 1], again_name[UINT8_MAX + 1];
	uint8_t head[SOCKS5_UDP_HEAD_MAX];
	struct relay_peer from, again;
	size_t len, written;

	CHECK(copy);
	memcpy(copy, data, size);
	len = socks5_udp_read_head(copy, size, &from, name);
	CHECK(len <= size);
	if (!len)
		return 0;
	CHECK(!copy[2]);
	CHECK(!from.name || (*name && strlen(name) == copy[4]));
	written = socks5_udp_write_head(&from, head);
	if (!written) {
		CHECK(from.name);
		return 0;
	}
	CHECK(socks5_udp_read_head(head, written, &again, again_name) == written);
	CHECK(again.at.port == from.at.port);
	CHECK(!again.name == !from.name);
	if (!from.name)
		CHECK(addr_eq(&again.at.addr, &from.at.addr));
	return 0;
}
