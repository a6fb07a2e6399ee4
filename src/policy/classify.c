#include "policy/policy.h"
#include "policy/ranges.h"

struct reading {
	bool (*is)(const struct addr *a);
	enum reason reason;
};

/* In the order in which they are looked for. */
static const struct reading never[] = {
	{ ranges_martian, REASON_MARTIAN },
	{ ranges_multicast, REASON_MULTICAST },
	{ ranges_metadata, REASON_METADATA },
	{ ranges_link_local, REASON_PRIVATE },
};

static bool is_never(const struct addr *a, enum reason *why)
{
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (never[i].is(a)) {
			*why = never[i].reason;
			return true;
		}
	}
	return false;
}

enum answer_class policy_classify_answer(const struct policy *p, const struct addr *a,
					 enum reason *why)
{
	struct addr inner[RANGES_EMBEDDED_MAX];
	size_t n = addr_is_v4(a) ? 0 : ranges_embedded(a, inner);

	*why = REASON_ALLOWED;
	if (is_never(a, why))
		return ANSWER_CLASS_NEVER;
	for (size_t i = 0; i < n; i++)
		if (is_never(&inner[i], why))
			return ANSWER_CLASS_NEVER;
	if (!policy_is_private(p, a))
		return ANSWER_CLASS_PUBLIC;
	*why = REASON_PRIVATE;
	return ANSWER_CLASS_PRIVATE;
}
