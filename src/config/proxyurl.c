#include "config/proxyurl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/domain.h"

static const struct {
	const char *name;
	uint16_t port; /* when the URL has none */
} schemes[] = {
	[PROXY_HTTP] = { "http", 80 },	       [PROXY_HTTPS] = { "https", 443 },
	[PROXY_SOCKS5] = { "socks5", 1080 },   [PROXY_SOCKS5H] = { "socks5h", 1080 },
	[PROXY_SOCKS4A] = { "socks4a", 1080 },
};

void proxy_clear(struct proxy *p)
{
	free(p->host);
	free(p->user);
	if (p->password)
		explicit_bzero(p->password, strlen(p->password));
	free(p->password);
}

void proxy_list_clear(struct proxy_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		proxy_clear(&list->proxies[i]);
	free(list->proxies);
	*list = (struct proxy_list){ 0 };
}

int proxy_list_append(struct proxy_list *list, const struct proxy *p)
{
	if (list->count == list->room) {
		size_t room = list->room + 4;
		struct proxy *more = realloc(list->proxies, room * sizeof(*more));

		if (!more)
			return -1;
		list->proxies = more;
		list->room = room;
	}
	list->proxies[list->count++] = *p;
	return 0;
}

/* Where user and password stand: [begin, the last @ before the path); NULL without any. */
static char *find_userinfo(char *text, char **at)
{
	char *scheme = strstr(text, "://"), *end;
	char *begin = scheme ? scheme + 3 : text;

	/* The last: whoever forgets to encode an @ of his password, or the scheme, must not
	 * see it printed. */
	end = strrchr(begin, '@');
	if (!end)
		return NULL;
	*at = end;
	return begin;
}

char *proxyurl_find_password(char *text, size_t *len)
{
	char *at, *begin = find_userinfo(text, &at);
	char *colon = begin ? memchr(begin, ':', at - begin) : NULL;

	if (!colon)
		return NULL;
	*len = at - colon - 1;
	return colon + 1;
}

/* A copy of the URL for an error sentence: the password is stars. NULL without memory. */
static char *masked(const char *text)
{
	char *copy = strdup(text), *password;
	size_t len;

	if (copy && (password = proxyurl_find_password(copy, &len))) {
		memmove(password + MIN(len, 3), password + len,
			strlen(password + len) + 1);
		memset(password, '*', MIN(len, 3));
	}
	return copy;
}

static int refuse(struct error *err, const char *text, const char *why)
{
	cleanup_free char *shown = masked(text);

	return error_set(err, 0, "'%.100s' is not the URL of a proxy: %s",
			 shown ? shown : "", why);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes [text, end); NULL when that is malformed or hides a NUL or control. */
static char *decode(const char *text, const char *end)
{
	char *out = malloc(end - text + 1), *to = out;

	while (out && text < end) {
		int c = (unsigned char)*text++;

		if (c == '%') {
			int high = text < end ? hex(text[0]) : -1;
			int low = high >= 0 && text + 1 < end ? hex(text[1]) : -1;

			c = low < 0 ? 0 : high << 4 | low;
			text += 2;
		}
		if (c < 0x20 || c == 0x7f) {
			free(out);
			return NULL;
		}
		*to++ = c;
	}
	if (out)
		*to = '\0';
	return out;
}

static const char *parse_userinfo(char *text, char *at, struct proxy *p)
{
	char *colon = memchr(text, ':', at - text);

	p->user = decode(text, colon ? colon : at);
	if (colon)
		p->password = decode(colon + 1, at);
	if (!p->user || (colon && !p->password))
		return "user and password are percent-encoded, as in %40 for @";
	return *p->user ? NULL : "the user is empty";
}

static const char *parse_port(const char *text, uint16_t *out)
{
	unsigned n = 0;

	if (!*text)
		return "the port is empty";
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return "the port is not a number";
		n = n * 10 + (*text - '0');
		if (n > UINT16_MAX)
			break;
	}
	*out = n;
	return n == 0 || n > UINT16_MAX ? "a port is from 1 to 65535" : NULL;
}

/* Cuts text after the host; *port is the text behind its colon, or NULL. */
static const char *split_host(char *text, char **host, char **port)
{
	char *end;

	if (*text == '[') {
		*host = text + 1;
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return "a `[` needs its `]`, before the port";
		*end++ = '\0';
		if (!strchr(*host, ':'))
			return "between `[` and `]` stands an IPv6 address";
	} else {
		*host = text;
		end = text + strcspn(text, ":");
		if (*end && strchr(end + 1, ':'))
			return "an IPv6 address must be enclosed in `[` and `]`";
	}
	*port = *end ? end + 1 : NULL;
	*end = '\0';
	return **host ? NULL : "there is no host";
}

static const char *parse_host(char *text, struct proxy *p)
{
	const char *why;
	char *host, *port, shown[ADDR_TEXT_MAX];
	struct error err;

	why = split_host(text, &host, &port);
	if (!why && port)
		why = parse_port(port, &p->port);
	if (why)
		return why;
	p->is_addr = addr_parse(host, &p->addr);
	p->host = p->is_addr ? strdup(addr_format(&p->addr, shown)) :
			       domain_parse(host, &err);
	return p->host ? NULL : "the host is neither an address nor a name";
}

static const char *parse_url(char *text, struct proxy *p)
{
	char *at, *rest, *user, *end = strstr(text, "://");
	size_t len = end ? (size_t)(end - text) : 0, i;
	const char *why;

	for (i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (end && strlen(schemes[i].name) == len &&
		    memcmp(schemes[i].name, text, len) == 0)
			break;
	}
	if (i == ARRAY_SIZE(schemes))
		return "it begins with http://, https://, socks5://, socks5h:// or "
		       "socks4a://";
	p->scheme = i;
	p->port = schemes[i].port;
	rest = end + 3;
	user = find_userinfo(text, &at);
	if (user) {
		why = memchr(user, '@', at - user) ? "an @ in user or password is %40" :
						     parse_userinfo(user, at, p);
		if (why)
			return why;
		rest = at + 1;
	}
	len = strlen(rest);
	if (len && rest[len - 1] == '/')
		rest[len - 1] = '\0';
	if (strpbrk(rest, "/?#"))
		return "it has no path, query or fragment";
	return parse_host(rest, p);
}

int proxyurl_parse(const char *text, struct proxy *out, struct error *err)
{
	cleanup_free char *copy = strdup(text);
	struct proxy p = { 0 };
	const char *why;

	if (!copy)
		return error_set(err, ENOMEM, "read a proxy's URL");
	why = parse_url(copy, &p);
	explicit_bzero(copy, strlen(text));
	if (why) {
		proxy_clear(&p);
		return refuse(err, text, why);
	}
	*out = p;
	return 0;
}

static void write_encoded(FILE *out, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~";

	for (; *text; text++)
		fprintf(out, strchr(plain, *text) ? "%c" : "%%%02X",
			(unsigned char)*text);
}

char *proxyurl_format(const struct proxy *p, bool with_password)
{
	bool brackets = strchr(p->host, ':');
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fprintf(out, "%s://", schemes[p->scheme].name);
	if (p->user)
		write_encoded(out, p->user);
	if (p->password && with_password) {
		fputc(':', out);
		write_encoded(out, p->password);
	}
	fprintf(out, "%s%s%s%s:%u", p->user ? "@" : "", brackets ? "[" : "", p->host,
		brackets ? "]" : "", p->port);
	if (fclose(out) == EOF) {
		free(text);
		return NULL;
	}
	return text;
}
