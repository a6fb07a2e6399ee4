/*
 * Theory of operation
 *
 * Deny always beats allow, and what the user can't undo comes first:
 *
 *   the gateway's own services; loopback and multicast; a synthetic address without a name
 *   offline; block-metadata; block-private; deny-cidr; deny-domain-exact; deny-domain
 *   a route that blocks; resolvers that aren't ours, while names are controlled
 *   proxy-only, for what would not be proxied; what its way, a proxy, can't carry
 *   allow-cidr; allow-domain-exact; allow-domain; default-policy
 *   for what only a domain rule allows: no QUIC, and the name it shows
 *
 * IPv4 inside IPv6 (NAT64, 6to4, Teredo ...): a deny needs one of the addresses to be denied,
 * the outer or an inner. An allow needs the outer one to be allowed: it is where the packet
 * goes, and whose translator it meets there an IPv4 rule doesn't say. Who wants an IPv4 range
 * through NAT64 allows [64:ff9b::192.0.2.0]/120.
 *
 * A synthetic address is no address: the target is its name, and rules for addresses say
 * nothing about it. That the name isn't an address in disguise is seen to here, since the
 * proxy would take it for one.
 *
 * Names count differently. Any name that is known for the address, or that the flow shows, is
 * reason enough to deny. Only names that our resolver answered with this very address allow,
 * since the child can make up all others.
 */
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "policy/sets.h"

#define PORT_DNS 53

static const char *const reason_names[] = {
	[REASON_ALLOWED] = "allowed",
	[REASON_GATEWAY] = "gateway",
	[REASON_MARTIAN] = "martian",
	[REASON_MULTICAST] = "multicast",
	[REASON_UNKNOWN_NAME] = "unknown_name",
	[REASON_OFFLINE] = "offline",
	[REASON_METADATA] = "metadata",
	[REASON_PRIVATE] = "private",
	[REASON_DENY_CIDR] = "deny_cidr",
	[REASON_DENY_DOMAIN_EXACT] = "deny_domain_exact",
	[REASON_DENY_DOMAIN] = "deny_domain",
	[REASON_ROUTE] = "route",
	[REASON_NAME_SERVICE] = "name_service",
	[REASON_PROXY_ONLY] = "proxy_only",
	[REASON_NOT_PROXIED] = "not_proxied",
	[REASON_DEFAULT_DENY] = "default_deny",
	[REASON_QUIC] = "quic",
	[REASON_NAME_MISMATCH] = "name_mismatch",
	[REASON_NAME_MISSING] = "name_missing",
};
static_assert(ARRAY_SIZE(reason_names) == REASON_COUNT, "one name per reason");

/* One row per list; the reason is for those that deny. */
static const struct {
	const char *option;
	enum reason reason;
} lists[] = {
	[POLICY_DENY_CIDR] = { "--deny-cidr", REASON_DENY_CIDR },
	[POLICY_DENY_DOMAIN_EXACT] = { "--deny-domain-exact", REASON_DENY_DOMAIN_EXACT },
	[POLICY_DENY_DOMAIN] = { "--deny-domain", REASON_DENY_DOMAIN },
	[POLICY_ROUTE] = { "--route", REASON_ROUTE },
	[POLICY_NO_PROXY] = { "--no-proxy", REASON_ALLOWED },
	[POLICY_ALLOW_CIDR] = { "--allow-cidr", REASON_ALLOWED },
	[POLICY_ALLOW_DOMAIN_EXACT] = { "--allow-domain-exact", REASON_ALLOWED },
	[POLICY_ALLOW_DOMAIN] = { "--allow-domain", REASON_ALLOWED },
};
static_assert(ARRAY_SIZE(lists) == POLICY_LIST_COUNT, "one row per list");

const char *reason_name(enum reason reason)
{
	return reason_names[reason];
}

const char *policy_list_option(enum policy_list list)
{
	return lists[list].option;
}

static struct readings read_address(const struct addr *a)
{
	struct readings r = { .addrs = { *a }, .count = 1 };

	if (!addr_is_v4(a))
		r.count += ranges_embedded(a, r.addrs + 1);
	return r;
}

static bool any(const struct readings *r, bool (*is)(const struct addr *a))
{
	for (size_t i = 0; i < r->count; i++)
		if (is(&r->addrs[i]))
			return true;
	return false;
}

static struct traffic traffic_of(const struct target *t)
{
	switch (t->protocol) {
	case IPPROTO_TCP:
		return (struct traffic){ TRAFFIC_TCP, t->to.port };
	case IPPROTO_UDP:
		return (struct traffic){ TRAFFIC_UDP, t->to.port };
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return (struct traffic){ .kind = TRAFFIC_ICMP };
	default:
		return (struct traffic){ .kind = TRAFFIC_WHOLE };
	}
}

/* --- private --- */

/* Those that overlap are equal. */
static int compare_ranges(const void *a, const void *b)
{
	const struct addr_range *x = a, *y = b;

	if (memcmp(&x->last, &y->first, sizeof(x->last)) < 0)
		return -1;
	return memcmp(&x->first, &y->last, sizeof(x->first)) > 0;
}

static bool is_host(const struct policy *p, const struct addr *a)
{
	const struct addr_range only = { *a, *a };

	return p->host_count &&
	       bsearch(&only, p->host, p->host_count, sizeof(only), compare_ranges);
}

int policy_set_host_addresses(struct policy *p, const struct addr_range *ranges,
			      size_t count)
{
	struct addr_range *copy = NULL;

	if (count) {
		copy = calloc(count, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, ranges, count * sizeof(*copy));
		qsort(copy, count, sizeof(*copy), compare_ranges);
	}
	free(p->host);
	p->host = copy;
	p->host_count = count;
	return 0;
}

static bool is_private(const struct policy *p, const struct readings *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (ranges_private(&r->addrs[i]) || is_host(p, &r->addrs[i]))
			return true;
	return false;
}

bool policy_is_private(const struct policy *policy, const struct addr *a)
{
	struct readings r = read_address(a);

	return is_private(policy, &r);
}

/* --- lists --- */

static bool match(const struct policy *p, enum policy_list list, uint32_t rule,
		  const char *name, struct verdict *v)
{
	if (rule == NO_RULE)
		return false;
	*v = (struct verdict){ .allow = lists[list].reason == REASON_ALLOWED,
			       .reason = lists[list].reason,
			       .list = list,
			       .rule = &p->sets->rules.lists[list]->rules[rule],
			       .name = name };
	return true;
}

static bool match_cidr(const struct policy *p, enum policy_list list,
		       const struct addr *addrs, size_t count,
		       const struct traffic *traffic, struct verdict *v)
{
	uint32_t rule = NO_RULE;

	for (size_t i = 0; p->sets && i < count; i++)
		rule = MIN(rule, cidr_set_find(&p->sets->lists[list].cidrs, &addrs[i],
					       traffic));
	return match(p, list, rule, NULL, v);
}

static bool match_name(const struct policy *p, enum policy_list list, const char *name,
		       const struct traffic *traffic, struct verdict *v)
{
	if (!p->sets || !name)
		return false;
	return match(p, list,
		     domain_set_find(&p->sets->lists[list].domains, name, traffic), name,
		     v);
}

/* By any name there is. */
static bool deny_by_name(const struct policy *p, enum policy_list list,
			 const struct target *t, const struct traffic *traffic,
			 struct verdict *v)
{
	if (t->name_only && match_name(p, list, t->name, traffic, v))
		return true;
	for (size_t i = 0; i < t->known_count; i++)
		if (match_name(p, list, t->known[i].name, traffic, v))
			return true;
	return match_name(p, list, t->seen_name, traffic, v);
}

const char *policy_next_own_name(const struct target *t, size_t *i)
{
	if (t->name_only)
		return (*i)++ == 0 ? t->name : NULL;
	while (*i < t->known_count) {
		const struct known_name *k = &t->known[(*i)++];

		if (k->ours)
			return k->name;
	}
	return NULL;
}

static bool allow_by_name(const struct policy *p, enum policy_list list,
			  const struct target *t, const struct traffic *traffic,
			  struct verdict *v)
{
	const char *name;

	for (size_t i = 0; (name = policy_next_own_name(t, &i));)
		if (match_name(p, list, name, traffic, v))
			return true;
	return false;
}

/* --- steps of the decision; each is true when it has decided --- */

static bool refuse(struct verdict *v, enum reason reason)
{
	*v = (struct verdict){ .reason = reason };
	return true;
}

static bool refuse_always(const struct readings *r, struct verdict *v)
{
	if (any(r, ranges_martian))
		return refuse(v, REASON_MARTIAN);
	if (any(r, ranges_multicast))
		return refuse(v, REASON_MULTICAST);
	return false;
}

static bool refuse_address(const struct policy *p, const struct readings *r,
			   const struct traffic *traffic, struct verdict *v)
{
	if (p->block_metadata && any(r, ranges_metadata))
		return refuse(v, REASON_METADATA);
	if (p->block_private && is_private(p, r))
		return refuse(v, REASON_PRIVATE);
	return match_cidr(p, POLICY_DENY_CIDR, r->addrs, r->count, traffic, v);
}

bool policy_is_name_service(const struct target *t)
{
	/* DNS over TLS, over QUIC; mDNS; LLMNR; NetBIOS (RFC 1002: its datagrams carry
	 * names, too) */
	static const uint16_t ports[] = { 853, 5353, 5355, 137, 138 };

	if (t->protocol != IPPROTO_TCP && t->protocol != IPPROTO_UDP)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		if (t->to.port == ports[i])
			return true;
	return false;
}

bool policy_has_domains(const struct policy *p)
{
	return p->sets && p->sets->has_domains;
}

bool policy_uses_names(const struct policy *p)
{
	return policy_has_domains(p) || (p->sets && p->sets->has_routes);
}

static bool names_are_controlled(const struct policy *p)
{
	return p->proxy_only || policy_has_domains(p);
}

/* Two names, or one that is none: whichever the server takes it for could be denied. */
static bool refuse_ambiguous(const struct policy *p, const struct target *t,
			     struct verdict *v)
{
	if (p->sets && p->sets->has_deny_domains && t->seen_name && !t->seen_name[0])
		return refuse(v, REASON_NAME_MISMATCH);
	return false;
}

static void block(struct verdict *v, const struct way *way)
{
	*v = (struct verdict){ .reason = REASON_ROUTE,
			       .list = way->list,
			       .rule = way->rule,
			       .name = way->name };
}

/* Where the target leaves, if it may. */
struct exit {
	struct way way;
	enum route route;
	enum reason shut; /* why it can't leave there, or REASON_ALLOWED */
};

/* What a way can't carry is refused, rather than it leaves by another one; only datagrams may
 * be allowed to. */
static struct exit find_exit(const struct policy *p, const struct target *t,
			     const struct readings *r, const struct traffic *traffic)
{
	struct exit e = { .way = policy_find_way(p, t, r, traffic) };

	e.route = e.way.route;
	if (policy_route_carries(p, e.route, t->protocol))
		return e;
	/* We would have to ask for the address of what is only a name. */
	if (p->proxy_only)
		e.shut = REASON_PROXY_ONLY;
	else if (t->name_only)
		e.shut = REASON_NOT_PROXIED;
	else if (t->protocol == IPPROTO_UDP && p->proxy_udp_direct)
		e.route = ROUTE_DIRECT;
	else if (e.route != ROUTE_DIRECT)
		e.shut = REASON_NOT_PROXIED;
	return e;
}

static bool refuse_way(const struct policy *p, const struct target *t,
		       const struct exit *exit, struct verdict *v)
{
	if (exit->way.blocks) {
		block(v, &exit->way);
		return true;
	}
	if (names_are_controlled(p) && policy_is_name_service(t))
		return refuse(v, REASON_NAME_SERVICE);
	return exit->shut != REASON_ALLOWED && refuse(v, exit->shut);
}

static void allow(const struct policy *p, const struct target *t,
		  const struct traffic *traffic, struct verdict *v)
{
	*v = (struct verdict){ .allow = true, .reason = REASON_ALLOWED };
	if (!t->name_only && match_cidr(p, POLICY_ALLOW_CIDR, &t->to.addr, 1, traffic, v))
		return;
	if (allow_by_name(p, POLICY_ALLOW_DOMAIN_EXACT, t, traffic, v) ||
	    allow_by_name(p, POLICY_ALLOW_DOMAIN, t, traffic, v))
		v->by_name = p->default_deny;
	else if (p->default_deny)
		refuse(v, REASON_DEFAULT_DENY);
}

/* The name that the flow shows is one of its own, and one that is allowed. */
static bool shows_allowed_name(const struct policy *p, const struct target *t,
			       const struct traffic *traffic)
{
	struct verdict v;
	const char *name;

	for (size_t i = 0; (name = policy_next_own_name(t, &i));)
		if (domain_eq(name, t->seen_name))
			return match_name(p, POLICY_ALLOW_DOMAIN_EXACT, name, traffic,
					  &v) ||
			       match_name(p, POLICY_ALLOW_DOMAIN, name, traffic, &v);
	return false;
}

/* Where every client shows a name. */
static bool is_web(const struct target *t)
{
	return t->to.port == PORT_HTTPS || t->to.port == PORT_HTTP;
}

bool policy_name_is_enough(const struct target *t, const char *name)
{
	if (t->protocol != IPPROTO_TCP || !t->sniffed)
		return true;
	return t->seen_name ? domain_eq(t->seen_name, name) : !is_web(t);
}

/* What only a domain rule allows must show a name. */
static void check_shown(const struct policy *p, const struct target *t,
			const struct traffic *traffic, struct verdict *v)
{
	if (t->protocol == IPPROTO_UDP && t->to.port == PORT_HTTPS && !p->allow_quic)
		refuse(v, REASON_QUIC);
	if (t->protocol != IPPROTO_TCP || !t->sniffed)
		return;
	if (!t->seen_name && is_web(t))
		refuse(v, REASON_NAME_MISSING);
	else if (t->seen_name && !shows_allowed_name(p, t, traffic))
		refuse(v, REASON_NAME_MISMATCH);
}

/* --- decisions --- */

static bool is_gateway(const struct policy *p, const struct target *t)
{
	return addr_eq(&t->to.addr, &p->gateway4) || addr_eq(&t->to.addr, &p->gateway6);
}

/* Ping and port 53 are answered there, nothing else is. */
static struct verdict decide_gateway(const struct target *t,
				     const struct traffic *traffic)
{
	return (struct verdict){ .allow = traffic->kind == TRAFFIC_ICMP ||
					  (traffic->kind != TRAFFIC_WHOLE &&
					   t->to.port == PORT_DNS),
				 .reason = REASON_GATEWAY };
}

bool policy_asks_own_only(const struct policy *p)
{
	return p->own_resolvers || p->default_deny || p->proxy || p->proxy_only ||
	       policy_uses_names(p);
}

struct verdict policy_decide_name(const struct policy *p, const struct target *t)
{
	/* A rule about some ports leaves the name itself alone, unless it allows. */
	static const struct traffic whole = { .kind = TRAFFIC_WHOLE };
	static const struct traffic some = { .kind = TRAFFIC_SOME };
	struct way way;
	struct verdict v;

	if (!t->name) {
		refuse(&v, REASON_UNKNOWN_NAME);
		return v;
	}
	way = policy_find_way_of_name(p, t->name);
	if (p->offline)
		refuse(&v, REASON_OFFLINE);
	else if (p->block_metadata && ranges_metadata_name(t->name))
		refuse(&v, REASON_METADATA);
	else if (match_name(p, POLICY_DENY_DOMAIN_EXACT, t->name, &whole, &v) ||
		 match_name(p, POLICY_DENY_DOMAIN, t->name, &whole, &v))
		;
	else if (way.blocks)
		block(&v, &way);
	else if (p->proxy_only && way.route == ROUTE_DIRECT)
		refuse(&v, REASON_PROXY_ONLY);
	else if (match_name(p, POLICY_ALLOW_DOMAIN_EXACT, t->name, &some, &v) ||
		 match_name(p, POLICY_ALLOW_DOMAIN, t->name, &some, &v))
		;
	else if (p->default_deny && !p->allow_dns)
		refuse(&v, REASON_DEFAULT_DENY);
	else
		v = (struct verdict){ .allow = true, .reason = REASON_ALLOWED };
	v.route = way.route;
	v.no_way = p->proxy_only && v.route == ROUTE_DIRECT;
	return v;
}

struct verdict policy_decide_server(const struct policy *p, const struct target *t)
{
	struct readings r = read_address(&t->to.addr);
	struct traffic traffic = traffic_of(t);
	struct verdict v;

	if (!is_gateway(p, t)) {
		if (refuse_always(&r, &v))
			return v;
		/* Its address matters only when it would be asked indeed. */
		if (!policy_asks_own_only(p) && refuse_address(p, &r, &traffic, &v))
			return v;
	}
	return (struct verdict){ .allow = true, .reason = REASON_ALLOWED };
}

static struct verdict decide_question(const struct policy *p, const struct target *t)
{
	struct verdict server = policy_decide_server(p, t);
	struct verdict name = policy_decide_name(p, t);

	if (server.allow)
		return name;
	return name.allow || server.reason < name.reason ? server : name;
}

/* Whatever forbids the target. r is empty when it has no address. */
static bool refuse_target(const struct policy *p, const struct target *t,
			  const struct readings *r, const struct traffic *traffic,
			  const struct exit *exit, struct verdict *v)
{
	if (t->name_only && (!t->name || domain_is_address(t->name)))
		return refuse(v, REASON_UNKNOWN_NAME);
	if (refuse_always(r, v))
		return true;
	if (p->offline)
		return refuse(v, REASON_OFFLINE);
	if (t->name_only && p->block_metadata && ranges_metadata_name(t->name))
		return refuse(v, REASON_METADATA);
	return refuse_address(p, r, traffic, v) ||
	       deny_by_name(p, POLICY_DENY_DOMAIN_EXACT, t, traffic, v) ||
	       deny_by_name(p, POLICY_DENY_DOMAIN, t, traffic, v) ||
	       refuse_ambiguous(p, t, v) || refuse_way(p, t, exit, v);
}

/* Flows that rest on an allow-cidr rule are let be: their names allow nothing. */
static bool wants_name(const struct policy *p, const struct target *t,
		       const struct verdict *v)
{
	if (t->protocol != IPPROTO_TCP || t->sniffed)
		return false;
	if (v->by_name || (p->learns && policy_next_own_name(t, &(size_t){ 0 })))
		return true;
	return p->sets && p->sets->has_deny_domains &&
	       !(p->default_deny && v->list == POLICY_ALLOW_CIDR);
}

struct verdict policy_decide(const struct policy *p, const struct target *t)
{
	struct traffic traffic = traffic_of(t);
	struct readings r = { .count = 0 };
	struct exit exit;
	struct verdict v;

	if (t->dns_question)
		return decide_question(p, t);
	if (!t->name_only) {
		if (is_gateway(p, t))
			return decide_gateway(t, &traffic);
		r = read_address(&t->to.addr);
	}
	exit = find_exit(p, t, &r, &traffic);
	if (!refuse_target(p, t, &r, &traffic, &exit, &v)) {
		allow(p, t, &traffic, &v);
		if (v.by_name)
			check_shown(p, t, &traffic, &v);
		if (v.allow)
			v.sniff = wants_name(p, t, &v);
	}
	v.route = exit.route;
	v.no_way = exit.shut != REASON_ALLOWED;
	return v;
}
