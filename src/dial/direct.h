/* Dials the target itself, from the host's network. */
#ifndef DIAL_DIRECT_H
#define DIAL_DIRECT_H

#include "dial/sock.h"

struct direct {
	struct dialer dialer;
	struct sock_set *socks;
};

void direct_init(struct direct *d, struct sock_set *socks);

#endif
