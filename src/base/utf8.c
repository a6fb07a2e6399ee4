#include "base/utf8.h"

size_t utf8_length(const char *text, const char *end)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t left = end - text, n;
	unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */

	if (c[0] < 0x80)
		return 1;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return 0;
	n = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	/* No longer forms than needed, no surrogates, nothing above U+10FFFF. */
	if (c[0] == 0xe0)
		low = 0xa0;
	else if (c[0] == 0xed)
		high = 0x9f;
	else if (c[0] == 0xf0)
		low = 0x90;
	else if (c[0] == 0xf4)
		high = 0x8f;
	if (left < n || c[1] < low || c[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}
