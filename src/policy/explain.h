/* A refusal in words for the user. */
#ifndef POLICY_EXPLAIN_H
#define POLICY_EXPLAIN_H

#include "policy/policy.h"

#define POLICY_EXPLAIN_MAX 1024

/*
 * "blocked tcp 192.0.2.7:443 (default-deny): --allow-cidr 192.0.2.7:443 would allow it", for a
 * target that was refused. An option it suggests is enough by itself. Bytes of names that
 * could do something to a terminal are shown as '?'. Returns out.
 */
const char *policy_explain(const struct verdict *verdict, const struct target *target,
			   char out[static POLICY_EXPLAIN_MAX]);

#endif
