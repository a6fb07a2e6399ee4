/* What check.c and the files of more rules share. */
#ifndef CONFIG_CHECK_INTERNAL_H
#define CONFIG_CHECK_INTERNAL_H

#include "config/check.h"
#include "config/options.h"

#define SUBJECTS_MAX 4

/* The sentence is: subjects, says, object, tail. */
struct check {
	bool (*fails)(const struct config *cfg);
	enum option_id subjects[SUBJECTS_MAX];
	const char *says;
	enum option_id object; /* 0: none */
	const char *tail;
	const char *cure;
};

/* How proxies are used. */
extern const struct check check_routes[];
extern const size_t check_routes_count;

static inline bool check_has_proxy(const struct config *c)
{
	return c->proxies.count || c->routes.own.count;
}

#endif
