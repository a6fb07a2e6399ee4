/* SHA-256 (FIPS 180-4) of short texts, to name what a run was allowed to do. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>

#define SHA256_HEX_MAX 65 /* with the NUL */

/* Writes the digest in lower-case hexadecimal to out and returns out. */
const char *sha256_hex(const void *data, size_t len, char out[static SHA256_HEX_MAX]);

#endif
