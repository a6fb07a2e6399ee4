/* The child's nsswitch.conf: name look-ups go through files and DNS, nothing else. */
#ifndef SANDBOX_NSSWITCH_H
#define SANDBOX_NSSWITCH_H

#include <stddef.h>

/*
 * Renders the child's text from the host's: its "hosts" database becomes "files dns", all
 * other lines stay. Returns malloc'ed text of *out_len bytes, or NULL without memory. Pure.
 */
char *nsswitch_render(const char *host, size_t len, size_t *out_len);

#endif
