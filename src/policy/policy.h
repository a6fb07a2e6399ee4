/* The one place where it is decided what may leave. Pure: no I/O, no clock, no state. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/target.h"

enum reason {
	REASON_ALLOWED,
	REASON_GATEWAY,	  /* an address of ours with nobody behind that port */
	REASON_MARTIAN,	  /* loopback, unspecified */
	REASON_MULTICAST, /* multicast, broadcast */
	REASON_COUNT,
};

struct policy {
	struct addr gateway4, gateway6;
};

struct verdict {
	bool allow;
	enum reason reason;
};

/* Total: every target gets a verdict. */
struct verdict policy_decide(const struct policy *policy, const struct target *target);

/* As events name it. */
const char *reason_name(enum reason reason);

#endif
