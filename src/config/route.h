/* Reads routes: which way the flows leave that a rule speaks of. */
#ifndef CONFIG_ROUTE_H
#define CONFIG_ROUTE_H

#include "base/error.h"
#include "config/config.h"

/*
 * Appends the routes of text, RULES=WAY: the rules are addresses, networks or names as
 * rules_parse() reads them (a file's name included, for which dir is), the way is proxy, direct,
 * block or the URL of a proxy. Passwords are never quoted in the sentence. On failure the list
 * is left with what came before the bad element.
 */
int routes_parse(struct route_list *list, const char *text, const char *dir,
		 struct error *err);

/* Route i as text again, the password of a URL only if asked for; to free(). */
char *route_format(const struct route_list *list, size_t i, bool with_password);

/* Where in the text of a route the password stands, or NULL; for wiping it. */
char *route_find_password(char *text, size_t *len);

void routes_clear(struct route_list *list);

#endif
