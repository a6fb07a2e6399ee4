#include "config/value_internal.h"

#include <errno.h>
#include <string.h>

#include "config/proxyurl.h"
#include "config/route.h"
#include "config/rule.h"

enum outcome value_parse_rules(const struct source *src, const char *text, void *field,
			       struct error *err)
{
	static const enum rule_kind kinds[] = {
		[TYPE_CIDRS] = RULE_CIDR,
		[TYPE_DOMAINS] = RULE_DOMAIN,
		[TYPE_DOMAINS_EXACT] = RULE_EXACT,
		[TYPE_RULES] = RULE_EITHER,
	};

	if (!*text)
		return BAD;
	return rules_parse(field, kinds[src->o->type], text, src->dir, err) ?
		       BAD_WITH_SENTENCE :
		       GOOD;
}

enum outcome value_parse_route(const struct source *src, const char *text, void *field,
			       struct error *err)
{
	return routes_parse(field, text, src->dir, err) ? BAD_WITH_SENTENCE : GOOD;
}

enum outcome value_parse_proxy(const struct source *src, const char *text, void *field,
			       struct error *err)
{
	struct proxy p;

	if (proxyurl_parse(text, &p, err))
		return BAD_WITH_SENTENCE;
	if (proxy_list_append(field, &p) == 0)
		return GOOD;
	proxy_clear(&p);
	error_set(err, ENOMEM, "keep a value");
	return BAD_WITH_SENTENCE;
}

size_t value_count_rules(const void *field)
{
	return ((const struct rule_list *)field)->count;
}

size_t value_count_routes(const void *field)
{
	return ((const struct route_list *)field)->rules.count;
}

size_t value_count_proxies(const void *field)
{
	return ((const struct proxy_list *)field)->count;
}

char *value_text_of_rule(const struct option *o, const void *field, size_t i,
			 bool secrets)
{
	return strdup(((const struct rule_list *)field)->rules[i].text);
}

char *value_text_of_route(const struct option *o, const void *field, size_t i,
			  bool secrets)
{
	return route_format(field, i, secrets);
}

char *value_text_of_proxy(const struct option *o, const void *field, size_t i,
			  bool secrets)
{
	return proxyurl_format(&((const struct proxy_list *)field)->proxies[i], secrets);
}

void value_clear_rules(void *field)
{
	rules_clear(field);
}

void value_clear_routes(void *field)
{
	routes_clear(field);
}

void value_clear_proxies(void *field)
{
	proxy_list_clear(field);
}
