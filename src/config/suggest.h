/* What somebody may have meant who wrote a name that is not there. */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include <stddef.h>

struct suggestion {
	const char *text; /* what was written, len bytes */
	size_t len;
	size_t best;
	const char *nearest; /* the best that was offered, or NULL when none is near */
};

void suggest_init(struct suggestion *s, const char *text, size_t len);
void suggest_offer(struct suggestion *s, const char *candidate);

#endif
