/* Whether a query of the child may go out, and what it hears when it may not. */
#ifndef FLOW_ICMP_ADMIT_H
#define FLOW_ICMP_ADMIT_H

#include "base/echo.h"
#include "flow/refusals.h"

/* The protocol of queries to the peer. */
uint8_t echo_protocol(const struct addr *peer);

/* Asks for the verdict of a flow that begins. A refusal is told, and the child hears of it,
 * now or soon. */
bool echo_admit(struct refusals *refusals, struct echo_near *near,
		const struct echo *query);

/* Tells the child errno `err` about the query that is just being read. */
void echo_refuse(struct echo_near *near, const struct echo *query, int err);

#endif
