/*
 * The policy once more, as plainly as possible: linear scans, names as lists of labels,
 * addresses as 128 bits, one long function for the order. It shares rule.h and the structs
 * with the product, and no code.
 */
#ifndef POLICY_NAIVE_H
#define POLICY_NAIVE_H

#include "special.h"
#include "world.h"

struct naive_verdict {
	bool allow, by_name, sniff;
	enum reason reason;
	enum policy_list list;
	const struct rule *rule;
	int route;
};

/* --- names --- */

#define NAIVE_LABELS 32

struct naive_name {
	int count;
	char labels[NAIVE_LABELS][72];
};

static inline struct naive_name naive_split(const char *text)
{
	struct naive_name n = { 0 };
	size_t len = 0;
	bool dot_last = false;

	for (; *text; text++) {
		dot_last = *text == '.';
		if (dot_last) {
			n.count++;
			len = 0;
			continue;
		}
		if (*text == '\\' && text[1])
			n.labels[n.count][len++] = *text++;
		n.labels[n.count][len++] = *text >= 'A' && *text <= 'Z' ? *text + 32 :
									  *text;
	}
	if (!dot_last)
		n.count++;
	return n;
}

static inline bool naive_same_name(const char *a, const char *b)
{
	struct naive_name x = naive_split(a), y = naive_split(b);

	if (x.count != y.count)
		return false;
	for (int i = 0; i < x.count; i++)
		if (strcmp(x.labels[i], y.labels[i]))
			return false;
	return true;
}

static inline bool naive_rule_names(const struct rule *r, const char *name)
{
	struct naive_name n = naive_split(name), d = naive_split(r->domain);
	int more = n.count - d.count;

	if (more < 0)
		return false;
	for (int i = 0; i < d.count; i++)
		if (strcmp(n.labels[more + i], d.labels[i]))
			return false;
	switch (r->kind) {
	case RULE_EXACT:
		return more == 0;
	case RULE_SUBDOMAINS:
		return more > 0;
	default:
		return true;
	}
}

/* --- addresses --- */

static inline int naive_bit(const struct addr *a, int i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

static inline bool naive_is_v4(const struct addr *a)
{
	for (int i = 0; i < 96; i++)
		if (naive_bit(a, i) != (i >= 80))
			return false;
	return true;
}

static inline bool naive_contains(const struct addr *net, int prefix,
				  const struct addr *a)
{
	if (naive_is_v4(a) != (naive_is_v4(net) && prefix >= 96))
		return false;
	for (int i = 0; i < prefix; i++)
		if (naive_bit(net, i) != naive_bit(a, i))
			return false;
	return true;
}

static inline bool naive_between(const struct addr *a, const char *first,
				 const char *last)
{
	struct addr lo = world_addr(first), hi = world_addr(last);

	return memcmp(a, &lo, 16) >= 0 && memcmp(a, &hi, 16) <= 0;
}

/* Where IPv4 hides: a prefix, and the places of the four bytes behind it. */
static const struct naive_hide {
	const char *first, *last;
	int at[4];
	bool inverted;
} naive_hides[] = {
	{ "64:ff9b::", "64:ff9b::ffff:ffff", { 12, 13, 14, 15 }, false },
	{ "::ffff:0:0:0", "::ffff:0:ffff:ffff", { 12, 13, 14, 15 }, false },
	{ "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", { 2, 3, 4, 5 }, false },
	{ "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", { 4, 5, 6, 7 }, false },
	{ "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", { 12, 13, 14, 15 }, true },
};

static inline int naive_all_of(const struct addr *a, struct addr out[8])
{
	int n = 0;

	out[n++] = *a;
	for (size_t i = 0; i < ARRAY_SIZE(naive_hides); i++) {
		const struct naive_hide *h = &naive_hides[i];
		struct addr inner = world_addr("0.0.0.0");

		if (!naive_between(a, h->first, h->last))
			continue;
		for (int k = 0; k < 4; k++)
			inner.b[12 + k] = a->b[h->at[k]] ^ (h->inverted ? 0xff : 0);
		out[n++] = inner;
	}
	if (!naive_is_v4(a) && (a->b[8] == 0 || a->b[8] == 2) && a->b[9] == 0 &&
	    a->b[10] == 0x5e && a->b[11] == 0xfe) {
		out[n] = world_addr("0.0.0.0");
		memcpy(out[n++].b + 12, a->b + 12, 4);
	}
	return n;
}

static inline bool naive_metadata(const struct addr *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(special_metadata); i++)
		if (naive_between(a, special_metadata[i], special_metadata[i]))
			return true;
	return false;
}

static inline bool naive_private(const struct policy *p, const struct addr *a)
{
	bool found = false, global = false;

	for (size_t i = 0; i < ARRAY_SIZE(special_private); i++)
		if (naive_between(a, special_private[i].first, special_private[i].last)) {
			found = true;
			global |= special_private[i].global;
		}
	for (size_t i = 0; i < p->host_count; i++)
		if (memcmp(&p->host[i].first, a, 16) <= 0 &&
		    memcmp(&p->host[i].last, a, 16) >= 0)
			return true;
	return naive_metadata(a) || (found && !global);
}

/* --- rules --- */

static inline bool naive_traffic(const struct rule *r, const struct target *t)
{
	bool has_ports = t->protocol == IPPROTO_TCP || t->protocol == IPPROTO_UDP;

	if (r->protocol == RULE_TCP && t->protocol != IPPROTO_TCP)
		return false;
	if (r->protocol == RULE_UDP && t->protocol != IPPROTO_UDP)
		return false;
	if (r->protocol == RULE_ICMP && t->protocol != IPPROTO_ICMP &&
	    t->protocol != IPPROTO_ICMPV6)
		return false;
	if (r->port_count == 0)
		return true;
	for (size_t i = 0; has_ports && i < r->port_count; i++)
		if (t->to.port >= r->ports[i].first && t->to.port <= r->ports[i].last)
			return true;
	return false;
}

static inline const struct rule *naive_cidr(const struct rule_list *list,
					    const struct addr *addrs, int count,
					    const struct target *t)
{
	for (size_t r = 0; r < list->count; r++)
		for (int i = 0; i < count; i++)
			if (list->rules[r].kind == RULE_CIDR &&
			    naive_contains(&list->rules[r].network, list->rules[r].prefix,
					   &addrs[i]) &&
			    naive_traffic(&list->rules[r], t))
				return &list->rules[r];
	return NULL;
}

static inline const struct rule *naive_domain(const struct rule_list *list,
					      const char *const *names, int count,
					      const struct target *t)
{
	for (int i = 0; i < count; i++)
		for (size_t r = 0; r < list->count; r++)
			if (list->rules[r].kind != RULE_CIDR &&
			    naive_rule_names(&list->rules[r], names[i]) &&
			    naive_traffic(&list->rules[r], t))
				return &list->rules[r];
	return NULL;
}

/* --- routes --- */

/* The first row, whatever its kind: block rows by all names and addresses, the others by the
 * names that are the target's own, and its outer address. */
static inline const struct rule *naive_row(const struct rule_list *list,
					   const struct target *t,
					   const struct addr *addrs, int addr_count,
					   const char *const *names, int name_count,
					   const char *const *own, int own_count)
{
	for (size_t r = 0; r < list->count; r++) {
		struct rule_list one = { .rules = &list->rules[r], .count = 1 };
		bool blocks = list->rules[r].route == ROUTE_BLOCK;

		if (naive_cidr(&one, addrs, blocks ? addr_count : MIN(addr_count, 1),
			       t) ||
		    naive_domain(&one, blocks ? names : own,
				 blocks ? name_count : own_count, t))
			return &list->rules[r];
	}
	return NULL;
}

static inline bool naive_block_names(const struct rule_list *list)
{
	for (size_t r = 0; r < list->count; r++)
		if (list->rules[r].kind != RULE_CIDR &&
		    list->rules[r].route == ROUTE_BLOCK)
			return true;
	return false;
}

/* Of a question: what becomes of a name by going through all rows that speak of it. */
static inline int naive_way_of_name(const struct world *w, const char *name)
{
	const struct rule_list *l = w->lists;
	int way = w->policy.proxy ? ROUTE_PROXY : ROUTE_DIRECT;

	for (int list = POLICY_ROUTE; list <= POLICY_NO_PROXY; list++) {
		for (size_t i = 0; i < l[list].count; i++) {
			const struct rule *r = &l[list].rules[i];
			bool whole = r->protocol == RULE_ANY && r->port_count == 0;

			if (r->kind == RULE_CIDR || !naive_rule_names(r, name))
				continue;
			if (r->route == ROUTE_DIRECT)
				return ROUTE_DIRECT;
			if (whole) {
				way = r->route;
				goto found;
			}
		}
	}
found:
	if (way != ROUTE_BLOCK && !(w->policy.name_routes >> way & 1))
		return ROUTE_DIRECT;
	return way;
}

/* --- the order --- */

static inline struct naive_verdict naive_no(enum reason reason)
{
	return (struct naive_verdict){ .reason = reason };
}

static inline struct naive_verdict naive_by(bool allow, enum reason reason,
					    enum policy_list list,
					    const struct rule *rule)
{
	return (struct naive_verdict){
		.allow = allow, .reason = reason, .list = list, .rule = rule
	};
}

static inline bool naive_shown_is_fine(const struct world *w, const struct target *t,
				       const char *const *own, int own_count)
{
	for (int i = 0; i < own_count; i++) {
		const char *name = own[i];

		if (naive_same_name(name, t->seen_name) &&
		    (naive_domain(&w->lists[POLICY_ALLOW_DOMAIN], &name, 1, t) ||
		     naive_domain(&w->lists[POLICY_ALLOW_DOMAIN_EXACT], &name, 1, t)))
			return true;
	}
	return false;
}

static inline bool naive_name_service(const struct target *t)
{
	int p = t->to.port;

	return (t->protocol == IPPROTO_TCP || t->protocol == IPPROTO_UDP) &&
	       (p == 853 || p == 5353 || p == 5355 || p == 137 || p == 138);
}

/* Of targets that are no DNS questions. */
static inline struct naive_verdict naive_decide(const struct world *w,
						const struct target *t)
{
	const struct policy *p = &w->policy;
	const struct rule_list *l = w->lists;
	struct addr as[8];
	const char *names[16], *own[16];
	int addr_count = t->name_only ? 0 : naive_all_of(&t->to.addr, as);
	int name_count = 0, own_count = 0;
	bool domain_rules = l[POLICY_DENY_DOMAIN].count || l[POLICY_ALLOW_DOMAIN].count ||
			    l[POLICY_DENY_DOMAIN_EXACT].count ||
			    l[POLICY_ALLOW_DOMAIN_EXACT].count;
	bool deny_domains = l[POLICY_DENY_DOMAIN].count ||
			    l[POLICY_DENY_DOMAIN_EXACT].count ||
			    naive_block_names(&l[POLICY_ROUTE]);
	int way = p->proxy ? ROUTE_PROXY : ROUTE_DIRECT;
	bool carried;
	bool tcp = t->protocol == IPPROTO_TCP, udp = t->protocol == IPPROTO_UDP;
	struct naive_verdict v;
	const struct rule *r;

	if (t->name_only)
		names[name_count++] = own[own_count++] = t->name;
	for (size_t i = 0; i < t->known_count; i++) {
		names[name_count++] = t->known[i].name;
		if (t->known[i].ours && !t->name_only)
			own[own_count++] = t->known[i].name;
	}
	if (t->seen_name)
		names[name_count++] = t->seen_name;

	if (!t->name_only && (memcmp(&t->to.addr, &p->gateway4, 16) == 0 ||
			      memcmp(&t->to.addr, &p->gateway6, 16) == 0)) {
		v = naive_no(REASON_GATEWAY);
		v.allow = ((tcp || udp) && t->to.port == 53) ||
			  t->protocol == IPPROTO_ICMP || t->protocol == IPPROTO_ICMPV6;
		return v;
	}
	if (t->name_only && (strchr(t->name, '\\') || strcmp(t->name, "127.1") == 0))
		return naive_no(REASON_UNKNOWN_NAME);
	for (int i = 0; i < addr_count; i++)
		if (naive_between(&as[i], "127.0.0.0", "127.255.255.255") ||
		    naive_between(&as[i], "0.0.0.0", "0.255.255.255") ||
		    naive_between(&as[i], "::", "::ffff:ffff"))
			return naive_no(REASON_MARTIAN);
	for (int i = 0; i < addr_count; i++)
		if (naive_between(&as[i], "224.0.0.0", "239.255.255.255") ||
		    naive_between(&as[i], "255.255.255.255", "255.255.255.255") ||
		    naive_between(&as[i],
				  "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
			return naive_no(REASON_MULTICAST);
	if (p->offline)
		return naive_no(REASON_OFFLINE);
	for (int i = 0; p->block_metadata && i < addr_count; i++)
		if (naive_metadata(&as[i]))
			return naive_no(REASON_METADATA);
	for (int i = 0; p->block_private && i < addr_count; i++)
		if (naive_private(p, &as[i]))
			return naive_no(REASON_PRIVATE);
	r = naive_cidr(&l[POLICY_DENY_CIDR], as, addr_count, t);
	if (r)
		return naive_by(false, REASON_DENY_CIDR, POLICY_DENY_CIDR, r);
	r = naive_domain(&l[POLICY_DENY_DOMAIN_EXACT], names, name_count, t);
	if (r)
		return naive_by(false, REASON_DENY_DOMAIN_EXACT, POLICY_DENY_DOMAIN_EXACT,
				r);
	r = naive_domain(&l[POLICY_DENY_DOMAIN], names, name_count, t);
	if (r)
		return naive_by(false, REASON_DENY_DOMAIN, POLICY_DENY_DOMAIN, r);
	r = naive_row(&l[POLICY_ROUTE], t, as, addr_count, names, name_count, own,
		      own_count);
	if (!r)
		r = naive_row(&l[POLICY_NO_PROXY], t, as, addr_count, names, name_count,
			      own, own_count);
	if (r)
		way = r->route;
	if (way == ROUTE_BLOCK)
		return naive_by(false, REASON_ROUTE, POLICY_ROUTE, r);
	if ((domain_rules || deny_domains || p->proxy_only) && naive_name_service(t))
		return naive_no(REASON_NAME_SERVICE);
	carried = way != ROUTE_DIRECT && (tcp || (udp && p->udp_routes >> way & 1));
	if (p->proxy_only && !carried)
		return naive_no(REASON_PROXY_ONLY);
	if (t->name_only && !carried)
		return naive_no(REASON_NOT_PROXIED);
	if (way != ROUTE_DIRECT && !carried) {
		if (!udp || !p->proxy_udp_direct)
			return naive_no(REASON_NOT_PROXIED);
		way = ROUTE_DIRECT;
	}

	v = naive_by(true, REASON_ALLOWED, POLICY_NO_LIST, NULL);
	if ((r = naive_cidr(&l[POLICY_ALLOW_CIDR], as, MIN(addr_count, 1), t)))
		v = naive_by(true, REASON_ALLOWED, POLICY_ALLOW_CIDR, r);
	else if ((r = naive_domain(&l[POLICY_ALLOW_DOMAIN_EXACT], own, own_count, t)))
		v = naive_by(true, REASON_ALLOWED, POLICY_ALLOW_DOMAIN_EXACT, r);
	else if ((r = naive_domain(&l[POLICY_ALLOW_DOMAIN], own, own_count, t)))
		v = naive_by(true, REASON_ALLOWED, POLICY_ALLOW_DOMAIN, r);
	else if (p->default_deny)
		return naive_no(REASON_DEFAULT_DENY);

	v.route = way;
	v.by_name = p->default_deny && v.list != POLICY_ALLOW_CIDR;
	if (v.by_name && udp && t->to.port == 443 && !p->allow_quic)
		return naive_no(REASON_QUIC);
	if (v.by_name && tcp && t->sniffed && t->seen_name &&
	    !naive_shown_is_fine(w, t, own, own_count))
		return naive_no(REASON_NAME_MISMATCH);
	if (v.by_name && tcp && t->sniffed && !t->seen_name &&
	    (t->to.port == 443 || t->to.port == 80))
		return naive_no(REASON_NAME_MISSING);
	v.sniff = tcp && !t->sniffed &&
		  (v.by_name ||
		   (deny_domains && !(v.list == POLICY_ALLOW_CIDR && p->default_deny)));
	return v;
}

#endif
