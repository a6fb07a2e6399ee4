/* The one place where it is decided what may leave. Pure: no I/O, no clock. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/error.h"
#include "base/target.h"
#include "policy/rule.h"

/* In the order in which they are looked for. */
enum reason {
	REASON_ALLOWED,
	REASON_GATEWAY,	     /* an address of ours */
	REASON_MARTIAN,	     /* loopback, unspecified */
	REASON_MULTICAST,    /* multicast, broadcast */
	REASON_UNKNOWN_NAME, /* a synthetic address that stands for no name */
	REASON_OFFLINE,
	REASON_METADATA,
	REASON_PRIVATE,
	REASON_DENY_CIDR,
	REASON_DENY_DOMAIN_EXACT,
	REASON_DENY_DOMAIN,
	REASON_ROUTE,	     /* a route that blocks */
	REASON_NAME_SERVICE, /* a resolver that isn't ours, while names are controlled */
	REASON_PROXY_ONLY,
	REASON_NOT_PROXIED, /* its way is a proxy that can't carry it */
	REASON_DEFAULT_DENY,
	REASON_QUIC,	      /* allowed by name, but shows none that we could read */
	REASON_NAME_MISMATCH, /* shows a name that doesn't allow it */
	REASON_NAME_MISSING,  /* shows none */
	REASON_COUNT,
};

/* The lists in the order in which they are consulted. */
enum policy_list {
	POLICY_NO_LIST,
	POLICY_DENY_CIDR,
	POLICY_DENY_DOMAIN_EXACT,
	POLICY_DENY_DOMAIN,
	POLICY_ROUTE,	 /* rules of any kind, each with its route */
	POLICY_NO_PROXY, /* the same; all are direct */
	POLICY_ALLOW_CIDR,
	POLICY_ALLOW_DOMAIN_EXACT,
	POLICY_ALLOW_DOMAIN,
	POLICY_LIST_COUNT,
};

struct policy_rules {
	const struct rule_list *lists[POLICY_LIST_COUNT]; /* NULL: no rules */
};

struct policy_sets;

/* Zeros allow everything but what is refused always. */
struct policy {
	struct addr gateway4, gateway6;
	bool offline, block_metadata, block_private;
	bool default_deny;
	bool proxy; /* one is configured: the way of what no route speaks of */
	bool proxy_only;
	bool proxy_udp_direct; /* datagrams that a proxy can't carry go without it */
	/* Bit n speaks of route n. */
	uint64_t udp_routes;  /* they carry datagrams */
	uint64_t name_routes; /* names are resolved at their other end */
	bool own_resolvers;   /* whichever server is asked, ours answer */
	bool allow_dns;	      /* default_deny leaves DNS questions alone */
	bool allow_quic;      /* UDP port 443 may rest on a domain rule */
	/* What could rest on a domain rule is asked for the name it shows, whatever the rules
	 * are: it is to be known what a rule would have met. */
	bool learns;

	struct policy_sets *sets; /* by policy_compile(), or NULL: no rules */
	struct addr_range *host;  /* by policy_set_host_addresses() */
	size_t host_count;
};

struct verdict {
	bool allow;
	enum reason reason;
	enum policy_list list;	 /* where the rule stands that decided */
	const struct rule *rule; /* or NULL: no rule did */
	const char *name;	 /* the target's name that the rule matched, or NULL */
	/* Its way, also of what is refused: an audit lets it go on. Of a question: ROUTE_DIRECT
	 * when a resolver is to be asked, else the name is to be resolved at the other end. */
	enum route route;
	bool no_way; /* whatever the rules say, it can't leave by it, nor by another one */
	/* The permission rests on a domain rule: the flow must show a name. */
	bool by_name;
	/* The first bytes should be read, and the target decided again with what they show. */
	bool sniff;
};

/*
 * Makes the rules ready to be consulted. The lists must stay as they are until policy_free().
 * p has none yet. On failure it has none either.
 */
int policy_compile(struct policy *p, const struct policy_rules *rules, struct error *err);
/* Frees what the policy owns; the switches stay. */
void policy_free(struct policy *p);

/* Replaces the addresses that are the host's own, in ranges that don't overlap. Returns 0 or
 * -ENOMEM: the old ones hold. */
int policy_set_host_addresses(struct policy *p, const struct addr_range *ranges,
			      size_t count);

/* Total: every target gets a verdict. */
struct verdict policy_decide(const struct policy *policy, const struct target *target);

/* The two halves of the decision about a DNS question. May target->name be asked of our
 * resolvers? Allowed with a rule means that an allow list names it. */
struct verdict policy_decide_name(const struct policy *policy,
				  const struct target *target);
/* May questions to target->to be taken at all, whatever they ask? */
struct verdict policy_decide_server(const struct policy *policy,
				    const struct target *target);

/* Questions to any server go to our resolvers: the answers of others mustn't count. */
bool policy_asks_own_only(const struct policy *policy);

/* block_private speaks of the address: private, special-purpose, or the host's own. An IPv4
 * address inside of it counts too. */
bool policy_is_private(const struct policy *policy, const struct addr *a);

/* What an address means as the answer to a DNS question. */
enum answer_class {
	ANSWER_CLASS_PUBLIC,
	ANSWER_CLASS_PRIVATE, /* of a private network, special-purpose, or the host's own */
	ANSWER_CLASS_NEVER,   /* loopback, link-local, metadata, unspecified, multicast */
};

/* An IPv4 address inside counts too. *why is what a refusal of it is called. */
enum answer_class policy_classify_answer(const struct policy *policy,
					 const struct addr *a, enum reason *why);

/* A domain rule for `name`, one of the target's own names, would be enough for it: by what it
 * has shown, if that was looked at. */
bool policy_name_is_enough(const struct target *target, const char *name);

/* There are rules about names: they have to be known. */
bool policy_has_domains(const struct policy *policy);
/* There are rules or routes that look at the names known for an address. */
bool policy_uses_names(const struct policy *policy);

/* As events name it. */
const char *reason_name(enum reason reason);

/* "--deny-cidr"; NULL for POLICY_NO_LIST. */
const char *policy_list_option(enum policy_list list);

#endif
