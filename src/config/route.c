#include "config/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/proxyurl.h"
#include "config/rule.h"

static const struct {
	const char *name;
	enum route route;
} ways[] = {
	{ "proxy", ROUTE_PROXY },
	{ "direct", ROUTE_DIRECT },
	{ "block", ROUTE_BLOCK },
};

#define OWN_MAX (ROUTE_BLOCK - ROUTE_OWN)

/* No rule has a '=', a URL may; but the name of a file may, too. */
static const char *find_equals(const char *text)
{
	const char *end = *text == '@' ? strstr(text, "://") : NULL;
	const char *found = NULL;

	if (*text != '@')
		return strchr(text, '=');
	for (const char *c = text; *c && c != end; c++)
		if (*c == '=')
			found = c;
	return found;
}

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "read a route");
}

/* The number of the proxy among those of the list, which may own it from then on. */
static int own_proxy(struct proxy_list *own, struct proxy *p, size_t *at,
		     struct error *err)
{
	cleanup_free char *text = proxyurl_format(p, true);

	for (*at = 0; text && *at < own->count; (*at)++) {
		cleanup_free char *other = proxyurl_format(&own->proxies[*at], true);

		if (other && strcmp(text, other) == 0) {
			proxy_clear(p);
			return 0;
		}
	}
	if (text && own->count >= OWN_MAX) {
		proxy_clear(p);
		return error_set(err, 0, "routes name more than %d proxies", OWN_MAX);
	}
	if (text && proxy_list_append(own, p) == 0)
		return 0;
	proxy_clear(p);
	return no_memory(err);
}

static int parse_way(struct route_list *list, const char *text, uint8_t *route,
		     struct error *err)
{
	struct proxy p;
	size_t at;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (strcmp(text, ways[i].name) == 0) {
			*route = ways[i].route;
			return 0;
		}
	if (!strstr(text, "://"))
		return error_set(
			err, 0,
			"a way is proxy, direct, block or the URL of a proxy, not "
			"'%.100s'",
			text);
	if (proxyurl_parse(text, &p, err) || own_proxy(&list->own, &p, &at, err))
		return -1;
	*route = ROUTE_OWN + at;
	return 0;
}

int routes_parse(struct route_list *list, const char *text, const char *dir,
		 struct error *err)
{
	const char *equals = find_equals(text);
	cleanup_free char *rules = equals ? strndup(text, equals - text) : NULL;
	size_t from = list->rules.count;
	uint8_t route = ROUTE_BLOCK;
	int ret;

	/* Without it, the text may be a URL with a password. */
	if (!equals)
		return error_set(err, 0,
				 "a route is RULE=WAY, such as example.org=direct");
	if (!rules)
		return no_memory(err);
	if (parse_way(list, equals + 1, &route, err))
		return -1;
	ret = rules_parse(&list->rules, RULE_EITHER, rules, dir, err);
	for (; from < list->rules.count; from++)
		list->rules.rules[from].route = route;
	return ret;
}

char *route_format(const struct route_list *list, size_t i, bool with_password)
{
	const struct rule *r = &list->rules.rules[i];
	cleanup_free char *url = NULL;
	const char *way = NULL;
	char *text;

	for (size_t k = 0; k < ARRAY_SIZE(ways); k++)
		if (ways[k].route == r->route)
			way = ways[k].name;
	if (!way)
		way = url = proxyurl_format(&list->own.proxies[r->route - ROUTE_OWN],
					    with_password);
	if (!way || asprintf(&text, "%s=%s", r->text, way) < 0)
		return NULL;
	return text;
}

char *route_find_password(char *text, size_t *len)
{
	const char *equals = find_equals(text);

	return equals ? proxyurl_find_password(text + (equals - text) + 1, len) : NULL;
}

void routes_clear(struct route_list *list)
{
	rules_clear(&list->rules);
	proxy_list_clear(&list->own);
}
