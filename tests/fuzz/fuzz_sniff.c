/*
 * The readers of a TCP client's first bytes. The input's first two bytes say after how many
 * of the others we are asked for the first time: what is decided then must stay decided.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/util.h"
#include "flow/sniff.h"
#include "fuzz.h"

typedef enum sniff_result (*sniff_fn)(const uint8_t *b, size_t len,
				      char name[static SNIFF_NAME_MAX]);

static void check_name(const char *name)
{
	char again[SNIFF_NAME_MAX], text[ADDR_TEXT_MAX];
	struct addr addr;

	if (strchr(name, ':')) {
		CHECK(addr_parse(name, &addr));
		CHECK(!strcmp(addr_format(&addr, text), name));
		return;
	}
	CHECK(sniff_take_name((const uint8_t *)name, strlen(name), again));
	CHECK(!strcmp(name, again));
}

static enum sniff_result sniff(sniff_fn fn, const uint8_t *data, size_t size, char *name)
{
	/* A copy of its own size, so that the sanitizer sees a read past the end. */
	cleanup_free uint8_t *copy = malloc(MAX(size, 1u));
	enum sniff_result r;

	CHECK(copy);
	memcpy(copy, data, size);
	r = fn(copy, size, name);
	CHECK(r <= SNIFF_NOT_THIS_PROTOCOL);
	CHECK(r != SNIFF_NEED_MORE || size < SNIFF_MAX);
	if (r == SNIFF_NAME)
		check_name(name);
	return r;
}

static void check(sniff_fn fn, const uint8_t *data, size_t size, size_t first)
{
	char name[SNIFF_NAME_MAX], early[SNIFF_NAME_MAX];
	enum sniff_result r = sniff(fn, data, size, name);
	enum sniff_result part = sniff(fn, data, first, early);

	if (part == SNIFF_NEED_MORE)
		return;
	CHECK(part == r);
	if (r == SNIFF_NAME)
		CHECK(!strcmp(name, early));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t first;

	if (size < 2)
		return 0;
	first = data[0] << 8 | data[1];
	data += 2;
	size -= 2;
	first = size ? first % (size + 1) : 0;
	check(sniff_tls, data, size, first);
	check(sniff_http, data, size, first);
	check(sniff_first_bytes, data, size, first);
	return 0;
}
