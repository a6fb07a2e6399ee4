/* Small things every room needs. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h> /* MIN, MAX */
#include <unistd.h>

/* ASCII only, whatever the locale. */
static inline uint8_t ascii_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Cleanup by scope: `cleanup_fd int fd = -1;`, handed on with steal_fd(&fd). */
static inline void cleanup_fd_fn(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free_fn(void *p)
{
	free(*(void **)p);
}

#define cleanup_fd __attribute__((cleanup(cleanup_fd_fn)))
#define cleanup_free __attribute__((cleanup(cleanup_free_fn)))

/* As calloc(), but what begins at `buffer` is left as it is: nothing is spent on the pages of
 * a large buffer before they are used. */
static inline void *alloc_but(size_t size, size_t buffer)
{
	void *p = malloc(size);

	return p ? memset(p, 0, buffer) : NULL;
}

static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#define steal_ptr(pp)                   \
	({                              \
		__auto_type v_ = *(pp); \
		*(pp) = NULL;           \
		v_;                     \
	})

#endif
