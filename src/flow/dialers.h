/* The ways out of this machine. */
#ifndef FLOW_DIALERS_H
#define FLOW_DIALERS_H

#include "base/dialer.h"
#include "base/relay.h"
#include "policy/rule.h"

/* By enum route; NULL: there is none. */
struct dialers {
	struct dialer *by_route[ROUTE_BLOCK];
	struct relayer *relayers[ROUTE_BLOCK]; /* of datagrams, beside ROUTE_DIRECT */
};

#endif
