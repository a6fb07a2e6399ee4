#include "flow/guard_dns.h"

static struct verdict judge(const struct guard *g, const char *name)
{
	const struct target t = { .name = name, .dns_question = true };

	return policy_decide_name(g->policy, &t);
}

static enum nameserver_standing standing(void *ctx, const char *name)
{
	struct verdict v = judge(ctx, name);

	if (v.allow)
		return v.rule ? NAMESERVER_ALLOWED : NAMESERVER_UNNAMED;
	return v.reason == REASON_DEFAULT_DENY ? NAMESERVER_UNNAMED : NAMESERVER_DENIED;
}

static enum route route_of(void *ctx, const char *name)
{
	struct verdict v = judge(ctx, name);

	return v.no_way ? ROUTE_BLOCK : v.route;
}

/* What stands for a name is no answer of a server's: it would lead to another host. */
static bool is_synthetic(const struct guard *g, const struct addr *addr)
{
	return g->pool && pool_contains(g->pool, addr);
}

static enum nameserver_class classify(void *ctx, const struct addr *addr)
{
	static const enum nameserver_class classes[] = {
		[ANSWER_CLASS_PUBLIC] = NAMESERVER_PUBLIC,
		[ANSWER_CLASS_PRIVATE] = NAMESERVER_PRIVATE,
		[ANSWER_CLASS_NEVER] = NAMESERVER_NEVER,
	};
	const struct guard *g = ctx;
	enum reason why;

	if (is_synthetic(g, addr))
		return NAMESERVER_NEVER;
	return classes[policy_classify_answer(g->policy, addr, &why)];
}

static void on_refused(void *ctx, const struct nameserver_refused *r)
{
	const struct guard *g = ctx;
	char name[NAME_TEXT_MAX];
	const struct target t = { .protocol = r->who->protocol,
				  .to = r->who->to,
				  .name = name_to_text(&r->q->name, name),
				  .dns_question = true };
	struct verdict v;
	enum reason why;
	struct event ev = {
		.kind = EVENT_POLICY_VIOLATION,
		.protocol = r->who->protocol,
		.child = r->who->child,
		.remote = r->who->to,
		.process = r->who->who ? who_process(r->who->who) : NULL,
		.policy_violation = { .target = &t,
				      .verdict = &v,
				      .audit = g->audit,
				      .stripped = r->addr,
				      .alias = r->alias },
	};

	if (r->addr && is_synthetic(g, r->addr)) {
		v = (struct verdict){ .reason = REASON_UNKNOWN_NAME };
		ev.policy_violation.audit = false;
	} else if (r->addr) {
		bool never = policy_classify_answer(g->policy, r->addr, &why) ==
			     ANSWER_CLASS_NEVER;

		v = (struct verdict){ .reason = why };
		ev.policy_violation.audit = g->audit && !never;
	} else {
		v = judge(g, r->alias ? r->alias : name);
	}
	event_emit(g->events, &ev);
}

struct nameserver_rules guard_dns_rules(struct guard *g)
{
	const struct policy *p = g->policy;

	return (struct nameserver_rules){
		.ctx = g,
		.standing = standing,
		.route = route_of,
		.classify = classify,
		.refused = on_refused,
		.offline = p->offline,
		.only_allowed_asked = p->default_deny && !p->allow_dns,
		.only_allowed_private = p->default_deny,
		.strips_private = p->block_private,
		.names_rule = policy_has_domains(p),
		.audit = g->audit,
	};
}
