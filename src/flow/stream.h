/* DNS over TCP on near channels, for flow/dns.c. */
#ifndef FLOW_STREAM_H
#define FLOW_STREAM_H

#include "base/list.h"
#include "flow/dns.h"

/* The connections of one nameserver. */
struct streams {
	uv_loop_t *loop;
	struct who *attribution;
	struct nameserver *svc;
	struct list open;
	size_t count;
};

void streams_init(struct streams *t, const struct nameserver_deps *deps,
		  struct nameserver *svc);
/* Takes the channel over. */
void streams_accept(struct streams *t, struct channel *near, const struct endpoint *child,
		    const struct endpoint *to);
/* Ends all; their memory is free when the loop has run. */
void streams_close(struct streams *t);

#endif
