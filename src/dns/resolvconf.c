/*
 * Lines are read as glibc's resolver reads them: a keyword in column 0 with white space
 * behind it, '#' and ';' in column 0 begin a comment, and what follows a nameserver's
 * address is ignored.
 *
 * The child's file gets no "options timeout: attempts:" of ours, as the reference tool
 * writes: our own resolver tries all servers for RESOLVER_TIMEOUT_MS, and a stub that gives
 * up after one second would call a slow upstream dead. glibc's default, twice five seconds,
 * asks us again while we wait, which costs nothing.
 */
#include "dns/resolvconf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define BLANKS " \t\r\v\f"

/* If the line begins with the keyword, what comes behind it and the blanks; else NULL. */
static char *after_keyword(char *line, const char *keyword)
{
	size_t n = strlen(keyword);

	if (strncmp(line, keyword, n) || !line[n] || !strchr(BLANKS, line[n]))
		return NULL;
	return line + n + strspn(line + n, BLANKS);
}

static void trim_end(char *line)
{
	size_t n = strlen(line);

	while (n && strchr(BLANKS, line[n - 1]))
		line[--n] = '\0';
}

static bool is_kept(char *line)
{
	static const char *const keywords[] = { "search", "domain", "options" };

	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		if (after_keyword(line, keywords[i]))
			return true;
	return false;
}

static void take_nameserver(struct resolvconf *rc, unsigned line_no, char *text,
			    FILE *warnings)
{
	struct addr addr;

	text[strcspn(text, BLANKS)] = '\0';
	if (strchr(text, '%'))
		fprintf(warnings,
			"line %u: nameserver %s: scoped addresses are not supported\n",
			line_no, text);
	else if (!addr_parse(text, &addr))
		fprintf(warnings, "line %u: nameserver %s: not an IP address\n", line_no,
			text);
	else if (rc->n_servers < RESOLVCONF_SERVERS_MAX)
		rc->servers[rc->n_servers++] = addr;
}

static void parse_lines(struct resolvconf *rc, char *text, FILE *kept, FILE *warnings)
{
	static const uint8_t loopback[] = { 127, 0, 0, 1 };
	bool any = false;
	unsigned line_no = 0;
	char *line, *server;

	while ((line = strsep(&text, "\n"))) {
		line_no++;
		server = after_keyword(line, "nameserver");
		if (server) {
			take_nameserver(rc, line_no, server, warnings);
			any = true;
		} else if (is_kept(line)) {
			trim_end(line);
			fprintf(kept, "%s\n", line);
		}
	}
	if (!any)
		rc->servers[rc->n_servers++] = addr_from_v4(loopback);
}

int resolvconf_parse(const char *text, size_t len, struct resolvconf *out,
		     struct error *err)
{
	cleanup_free char *copy = strndup(text, len);
	FILE *kept, *warnings;
	bool whole;
	size_t n;

	*out = (struct resolvconf){ .n_servers = 0 };
	kept = open_memstream(&out->kept, &n);
	warnings = open_memstream(&out->warnings, &n);
	whole = copy && kept && warnings;
	if (whole)
		parse_lines(out, copy, kept, warnings);
	/* Closing is what makes the text; it fails when memory was short on the way. */
	whole &= kept && fclose(kept) == 0;
	whole &= warnings && fclose(warnings) == 0;
	/* Or makes none, and says nothing, if the last of the memory is missing. */
	if (whole && out->kept && out->warnings)
		return 0;
	resolvconf_free(out);
	return error_set(err, ENOMEM, "parse resolv.conf");
}

int resolvconf_read(const char *path, struct resolvconf *out, struct error *err)
{
	cleanup_free char *text = NULL;
	size_t cap = 0;
	ssize_t len = 0;
	int failed = 0;
	FILE *file = fopen(path, "re");

	if (file) {
		errno = 0;
		len = getdelim(&text, &cap, '\0', file);
		failed = len < 0 && !feof(file) ? errno : 0;
		fclose(file);
	} else if (errno != ENOENT) {
		failed = errno;
	}
	if (failed)
		return error_set(err, failed, "read %s", path);
	return resolvconf_parse(len > 0 ? text : "", MAX(len, 0), out, err);
}

void resolvconf_free(struct resolvconf *rc)
{
	free(rc->kept);
	free(rc->warnings);
	*rc = (struct resolvconf){ .n_servers = 0 };
}

char *resolvconf_render(const char *kept, const struct addr *gateway4,
			const struct addr *gateway6)
{
	char text4[ADDR_TEXT_MAX], text6[ADDR_TEXT_MAX] = "", *out;

	addr_format(gateway4, text4);
	if (gateway6)
		addr_format(gateway6, text6);
	if (asprintf(&out, "%snameserver %s\n%s%s%s", kept, text4,
		     gateway6 ? "nameserver " : "", text6, gateway6 ? "\n" : "") < 0)
		return NULL;
	return out;
}
