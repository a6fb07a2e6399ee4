/* Proxies as URLs. */
#ifndef CONFIG_PROXYURL_H
#define CONFIG_PROXYURL_H

#include "base/error.h"
#include "base/proxy.h"

/* SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/]. Passwords are never quoted in the sentence. On
 * failure nothing is left to clear. */
int proxyurl_parse(const char *text, struct proxy *out, struct error *err);

/* The URL again, with the port, and the password only if asked for; to free(). */
char *proxyurl_format(const struct proxy *p, bool with_password);

/* Where in the URL the password stands, or NULL; for wiping it. */
char *proxyurl_find_password(char *text, size_t *len);

/* Appends a copy of the struct, which owns the strings from then on. */
int proxy_list_append(struct proxy_list *list, const struct proxy *p);
void proxy_list_clear(struct proxy_list *list);
void proxy_clear(struct proxy *p);

#endif
