/* resolv.conf(5): which resolvers the host uses, and the file the child sees. */
#ifndef DNS_RESOLVCONF_H
#define DNS_RESOLVCONF_H

#include <stddef.h>

#include "base/addr.h"
#include "base/error.h"

#define RESOLVCONF_SERVERS_MAX 3 /* glibc's MAXNS; further lines count for nobody */

struct resolvconf {
	struct addr servers[RESOLVCONF_SERVERS_MAX];
	size_t n_servers; /* 0 only when no nameserver line was usable */
	char *kept; /* the search, domain and options lines, trimmed, each ended by \n */
	char *warnings; /* what was skipped: "line 3: …\n" for each; "" for nothing */
};

/* Parses text of len bytes; out is freed by resolvconf_free(). Without any nameserver line
 * the one server is 127.0.0.1, as for glibc. -1 only without memory. */
int resolvconf_parse(const char *text, size_t len, struct resolvconf *out,
		     struct error *err);
/* The same from a file. A file that doesn't exist counts as empty. */
int resolvconf_read(const char *path, struct resolvconf *out, struct error *err);
void resolvconf_free(struct resolvconf *rc);

/* The child's file: `kept` (a resolvconf's, or "" under --dns), then our gateways. gateway6
 * may be NULL. Returns text to free(), or NULL without memory. */
char *resolvconf_render(const char *kept, const struct addr *gateway4,
			const struct addr *gateway6);

#endif
