#include "policy/policy.h"

#include "base/util.h"
#include "policy/ranges.h"

static const char *const reason_names[] = {
	[REASON_ALLOWED] = "allowed",
	[REASON_GATEWAY] = "gateway",
	[REASON_MARTIAN] = "martian",
	[REASON_MULTICAST] = "multicast",
};
static_assert(ARRAY_SIZE(reason_names) == REASON_COUNT, "one name per reason");

const char *reason_name(enum reason reason)
{
	return reason_names[reason];
}

static enum reason decide(const struct policy *p, const struct target *t)
{
	const struct addr *a = &t->to.addr;

	if (addr_eq(a, &p->gateway4) || addr_eq(a, &p->gateway6))
		return REASON_GATEWAY;
	if (ranges_martian(a))
		return REASON_MARTIAN;
	if (ranges_multicast(a))
		return REASON_MULTICAST;
	return REASON_ALLOWED;
}

struct verdict policy_decide(const struct policy *policy, const struct target *target)
{
	enum reason reason = decide(policy, target);

	return (struct verdict){ .allow = reason == REASON_ALLOWED, .reason = reason };
}
