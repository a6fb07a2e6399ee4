#include "sandbox/nsswitch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define OUR_LINE "hosts: files dns\n"

/* "hosts:", with the white space nsswitch.conf(5) allows around the name. */
static bool is_hosts_line(const char *line, size_t len)
{
	const char *end = line + len;

	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	if ((size_t)(end - line) < strlen("hosts") ||
	    strncmp(line, "hosts", strlen("hosts")))
		return false;
	line += strlen("hosts");
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return line < end && *line == ':';
}

char *nsswitch_render(const char *host, size_t len, size_t *out_len)
{
	/* Ours, and a newline should the last line have none. */
	char *out = malloc(len + strlen(OUR_LINE) + 2), *p = out;
	const char *end = host + len;

	if (!out)
		return NULL;
	while (host < end) {
		const char *newline = memchr(host, '\n', end - host);
		size_t n = newline ? newline - host + 1 : end - host;

		if (!is_hosts_line(host, n)) {
			memcpy(p, host, n);
			p += n;
			if (!newline)
				*p++ = '\n';
		}
		host += n;
	}
	memcpy(p, OUR_LINE, strlen(OUR_LINE));
	p += strlen(OUR_LINE);
	*p = '\0';
	*out_len = p - out;
	return out;
}
