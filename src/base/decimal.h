/* Numbers as text without printf(3), which takes longer than all the rest of a log's line. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DECIMAL_MAX 20 /* digits */

/* Writes its digits, without a NUL, and returns how many. */
static inline size_t decimal_put(uint64_t value, char out[DECIMAL_MAX])
{
	char digits[DECIMAL_MAX];
	size_t at = DECIMAL_MAX;

	do
		digits[--at] = '0' + value % 10;
	while (value /= 10);
	memcpy(out, digits + at, DECIMAL_MAX - at);
	return DECIMAL_MAX - at;
}

#endif
