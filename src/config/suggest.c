#include "config/suggest.h"

#include <string.h>

#include "base/util.h"

/* Levenshtein's distance. */
static size_t distance(const char *a, size_t a_len, const char *b)
{
	size_t row[64], b_len = strlen(b);

	if (a_len >= ARRAY_SIZE(row) || b_len >= ARRAY_SIZE(row))
		return ARRAY_SIZE(row);
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

void suggest_init(struct suggestion *s, const char *text, size_t len)
{
	*s = (struct suggestion){ .text = text, .len = len, .best = len / 3 + 1 };
}

void suggest_offer(struct suggestion *s, const char *candidate)
{
	size_t d = distance(s->text, s->len, candidate);

	/* An abbreviation is far in letters but near in mind. */
	if (s->len >= 2 && strncmp(s->text, candidate, s->len) == 0)
		d = 0;
	if (d <= s->best && (!s->nearest || d < s->best)) {
		s->nearest = candidate;
		s->best = d;
	}
}
