/* Reads blocks back, for tests of who writes them. */
#ifndef TESTS_CAPTURE_BLOCKS_H
#define TESTS_CAPTURE_BLOCKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* The block behind the first n of data[0..len), whose frame is checked; NULL at the end. */
static inline const uint8_t *block(const uint8_t *data, size_t len, unsigned n)
{
	size_t at = 0;

	for (;;) {
		uint32_t total;

		if (at == len)
			return NULL;
		assert_true(len - at >= 12);
		total = get32(data + at + 4);
		assert_true(total >= 12 && total % 4 == 0 && total <= len - at);
		assert_int_equal(get32(data + at + total - 4), total);
		if (n-- == 0)
			return data + at;
		at += total;
	}
}

/* Value and length of an option of a block, whose options begin at `at`. */
static inline const uint8_t *block_option(const uint8_t *b, size_t at, uint16_t code,
					  uint16_t *len)
{
	uint16_t found;

	*len = 0;
	for (; get32(b + 4) - at > 4; at += 4 + ((*len + 3) & ~3)) {
		memcpy(&found, b + at, 2);
		memcpy(len, b + at + 2, 2);
		if (found == code)
			return b + at + 4;
		if (!found)
			break;
	}
	return NULL;
}

#endif
