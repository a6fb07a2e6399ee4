/* Finds the addresses of a name for ourselves: in a hosts file, then by the resolver. */
#ifndef DNS_LOOKUP_H
#define DNS_LOOKUP_H

#include "base/resolve.h"
#include "dns/hosts.h"
#include "dns/resolver.h"

/* Plain memory of the caller. */
struct lookup {
	struct resolve resolve;
	struct resolver *resolver;
	const struct hosts *hosts; /* or NULL */
	uv_loop_t *loop;
};

/* All three must live on; hosts may be NULL. */
void lookup_init(struct lookup *l, uv_loop_t *loop, struct resolver *resolver,
		 const struct hosts *hosts);

#endif
