/*
 * Libraries that few runs need, loaded by those that do: linked, each would cost every start
 * its loading, and every fork its pages.
 *
 * Whoever uses one lists its functions once, as `#define LIST(X) X(function) X(another)`. A
 * struct { LIST(DYNLIB_POINTER) } has pointers of the functions' own types and is filled
 * by the names { LIST(DYNLIB_NAME) }. The library is the one that configure has linked with.
 */
#ifndef BASE_DYNLIB_H
#define BASE_DYNLIB_H

#include <stddef.h>

#include "base/error.h"

#define DYNLIB_POINTER(function) __typeof__(function) *function;
#define DYNLIB_NAME(function) #function,

struct dynlib {
	const char *soname;
	const char *what; /* "libpcap, which reads packets,": for the error */
	const char *const *names;
	size_t count;
	void *functions; /* the struct of pointers */
};

/* Again is for free. 0, or -1 with *err set: it is not installed. */
int dynlib_load(const struct dynlib *lib, struct error *err);

#endif
