/* Who resolves names, what datagrams do, and which way flows leave. */
#include "base/util.h"
#include "config/check_internal.h"

static bool dns_without_proxy(const struct config *c)
{
	return c->proxy_dns != PROXY_DNS_AUTO && !check_has_proxy(c);
}

static bool range_without_proxy(const struct config *c)
{
	return c->proxy_dns_range.count && !check_has_proxy(c);
}

static bool udp_without_proxy(const struct config *c)
{
	return c->proxy_udp != PROXY_UDP_REFUSE && !check_has_proxy(c);
}

static bool no_proxy_without_proxy(const struct config *c)
{
	return c->no_proxy.count && !c->proxies.count;
}

static bool has_route(const struct config *c, enum route route)
{
	for (size_t i = 0; i < c->routes.rules.count; i++)
		if (c->routes.rules.rules[i].route == route)
			return true;
	return false;
}

static bool route_without_proxy(const struct config *c)
{
	return has_route(c, ROUTE_PROXY) && !c->proxies.count;
}

static bool only_and_local_dns(const struct config *c)
{
	return c->proxy_only && c->proxy_dns == PROXY_DNS_LOCAL;
}

static bool only_and_udp_direct(const struct config *c)
{
	return c->proxy_only && c->proxy_udp == PROXY_UDP_DIRECT;
}

static bool only_and_route_direct(const struct config *c)
{
	return c->proxy_only && has_route(c, ROUTE_DIRECT);
}

static bool only_and_no_proxy(const struct config *c)
{
	return c->proxy_only && c->no_proxy.count;
}

/* One network of each family at most, with room for two names; more than a /8 is nobody's to
 * take. */
static bool range_odd(const struct config *c)
{
	unsigned v4 = 0, v6 = 0;

	for (size_t i = 0; i < c->proxy_dns_range.count; i++) {
		const struct rule *r = &c->proxy_dns_range.rules[i];
		bool is_v4 = addr_is_v4(&r->network);

		*(is_v4 ? &v4 : &v6) += 1;
		if (r->port_count || r->protocol != RULE_ANY || r->prefix > 126 ||
		    r->prefix < (is_v4 ? 96 + 8 : 8))
			return true;
	}
	return v4 > 1 || v6 > 1;
}

/* The command's own network is somewhere in 10.240.0.0/16 and fd42::/16 (netplan_choose());
 * the others are never dialled. */
static bool range_taken(const struct config *c)
{
	static const struct {
		const char *network;
		unsigned prefix;
	} taken[] = {
		{ "10.240.0.0", 96 + 16 }, { "fd42::", 16 },	    { "0.0.0.0", 96 + 8 },
		{ "127.0.0.0", 96 + 8 },   { "224.0.0.0", 96 + 3 }, { "::", 64 },
		{ "ff00::", 8 },	   { "fe80::", 10 },
	};

	for (size_t i = 0; i < c->proxy_dns_range.count; i++) {
		const struct rule *r = &c->proxy_dns_range.rules[i];

		for (size_t k = 0; k < ARRAY_SIZE(taken); k++) {
			unsigned prefix = MIN(r->prefix, taken[k].prefix);
			struct addr a;

			if (addr_parse(taken[k].network, &a) &&
			    addr_is_v4(&a) == addr_is_v4(&r->network) &&
			    addr_prefix_eq(&a, &r->network, prefix))
				return true;
		}
	}
	return false;
}

const struct check check_routes[] = {
	{ dns_without_proxy,
	  { OPTION_PROXY_DNS },
	  " requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy, or leave it out." },
	{ range_without_proxy,
	  { OPTION_PROXY_DNS_RANGE },
	  " requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy, or leave it out." },
	{ udp_without_proxy,
	  { OPTION_PROXY_UDP },
	  " requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy, or leave it out." },
	{ no_proxy_without_proxy,
	  { OPTION_NO_PROXY },
	  " requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy, or leave it out." },
	{ route_without_proxy,
	  { OPTION_ROUTE },
	  " to proxy requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy, or write its URL into the route." },
	{ only_and_local_dns,
	  { OPTION_PROXY_DNS, OPTION_PROXY_ONLY },
	  " contradict each other: names that are resolved here are asked past the proxy",
	  0,
	  "",
	  "Let the proxy resolve them, by --proxy-dns remote or without it." },
	{ only_and_udp_direct,
	  { OPTION_PROXY_UDP, OPTION_PROXY_ONLY },
	  " contradict each other",
	  0,
	  "",
	  "Leave one out." },
	{ only_and_route_direct,
	  { OPTION_ROUTE, OPTION_PROXY_ONLY },
	  " contradict each other: a route is direct",
	  0,
	  "",
	  "Leave that route out, or the other." },
	{ only_and_no_proxy,
	  { OPTION_NO_PROXY, OPTION_PROXY_ONLY },
	  " contradict each other",
	  0,
	  "",
	  "Leave one out." },
	{ range_odd,
	  { OPTION_PROXY_DNS_RANGE },
	  " is an IPv4 network from /8 to /30, an IPv6 network from /8 to /126, or one "
	  "of each",
	  0,
	  "",
	  "Write networks such as 198.18.0.0/15, without ports." },
	{ range_taken,
	  { OPTION_PROXY_DNS_RANGE },
	  " has addresses of the command's own network, or such as mean something else",
	  0,
	  "",
	  "Take a private network that nobody uses." },
};
const size_t check_routes_count = ARRAY_SIZE(check_routes);
