#include "policy/ranges.h"

bool ranges_martian(const struct addr *a)
{
	static const uint8_t zero[16];

	if (addr_is_v4(a))
		return a->b[12] == 127 || a->b[12] == 0; /* RFC 1122 3.2.1.3 */
	return memcmp(a->b, zero, 12) == 0; /* ::, ::1, ::a.b.c.d (RFC 4291 2.5) */
}

bool ranges_multicast(const struct addr *a)
{
	if (addr_is_v4(a))
		return (a->b[12] & 0xf0) == 0xe0 || addr_v4(a) == 0xffffffff;
	return a->b[0] == 0xff;
}
