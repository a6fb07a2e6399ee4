#include "base/buf.h"

#include <stdlib.h>

#include "base/util.h"

/* A few spare buffers save malloc and page faults under load; more would only hold memory. */
#define SPARE_MAX 16

static struct buf *spare[SPARE_MAX];
static unsigned spare_count;

struct buf *buf_new(void)
{
	struct buf *b = spare_count ? spare[--spare_count] : malloc(sizeof(*b));

	if (b)
		b->refs = 1;
	return b;
}

struct buf *buf_ref(struct buf *b)
{
	b->refs++;
	return b;
}

void buf_unref(struct buf *b)
{
	assert(b->refs > 0);
	if (--b->refs)
		return;
	if (spare_count < SPARE_MAX)
		spare[spare_count++] = b;
	else
		free(b);
}

void buf_trim(void)
{
	while (spare_count)
		free(spare[--spare_count]);
}
