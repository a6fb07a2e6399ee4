/* UTF-8 as RFC 3629 has it: no longer forms than needed, no surrogates. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* The bytes of the character at text, or 0 when it is none. text < end. */
size_t utf8_length(const char *text, const char *end);

#endif
