/* Names of hosts and domains, as options and URLs spell them. */
#ifndef CONFIG_DOMAIN_H
#define CONFIG_DOMAIN_H

#include "base/error.h"

/*
 * The name as DNS sees it: ASCII, lower case, no trailing dot, labels of letters, digits and
 * inner hyphens. Names of other scripts are converted (IDNA 2008, RFC 5891). Returns text to
 * free(), or NULL with a sentence that quotes what is wrong. Addresses and numbers are no
 * names.
 */
char *domain_parse(const char *text, struct error *err);

#endif
