/*
 * An element is [PROTOCOL://]WHAT[:PORTS], where WHAT is an address, a CIDR or a name, and
 * IPv6 with ports stands in brackets. Elements are joined by commas, and so are ports: an
 * element that is a port or a range continues the one before it, which must have ports
 * itself. (Were it otherwise, "a.example,443" would silently mean less than it says.)
 */
#include "config/rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/domain.h"
#include "config/path.h"

#define V4_BITS 32
#define V6_BITS 128
#define V4_OFFSET 96 /* of an IPv4 address in a struct addr */
#define LIST_FILE_MAX (64u << 20)

static const char *const protocols[] = {
	[RULE_TCP] = "tcp://",
	[RULE_UDP] = "udp://",
	[RULE_ICMP] = "icmp://",
};

static void rule_clear(struct rule *r)
{
	free(r->domain);
	free(r->ports);
	free(r->text);
}

void rules_clear(struct rule_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		rule_clear(&list->rules[i]);
	free(list->rules);
	*list = (struct rule_list){ 0 };
}

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "read a list of rules");
}

/* --- ports --- */

/* Decimal digits up to `end`, no more than max. */
static bool parse_digits(const char *text, const char *end, unsigned max, unsigned *out)
{
	unsigned n = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (*text - '0');
		if (n > max)
			return false;
	}
	*out = n;
	return true;
}

static bool parse_range(const char *text, struct port_range *out)
{
	const char *end = text + strlen(text), *dash = strchr(text, '-');
	unsigned first, last;

	if (!parse_digits(text, dash ? dash : end, UINT16_MAX, &first))
		return false;
	last = first;
	if (dash && !parse_digits(dash + 1, end, UINT16_MAX, &last))
		return false;
	*out = (struct port_range){ first, last };
	return first > 0 && first <= last;
}

static int add_ports(struct rule *r, const char *text, struct error *err)
{
	struct port_range range, *more;

	if (!parse_range(text, &range))
		return error_set(err, 0,
				 "'%.100s' is neither a port from 1 to 65535 nor a range "
				 "such as 8000-8080",
				 text);
	if (r->protocol == RULE_ICMP)
		return error_set(err, 0, "icmp has no ports, such as '%.100s'", text);
	more = realloc(r->ports, (r->port_count + 1) * sizeof(*more));
	if (!more)
		return no_memory(err);
	r->ports = more;
	r->ports[r->port_count++] = range;
	return 0;
}

/* --- addresses --- */

static void clear_host_bits(struct addr *a, unsigned prefix)
{
	for (unsigned bit = prefix; bit < V6_BITS; bit++)
		a->b[bit / 8] &= ~(0x80 >> bit % 8);
}

/* Leaves in r->text what was typed, as addr_format() writes it, with the prefix length. */
static int parse_cidr(struct rule *r, const char *text, struct error *err)
{
	const char *slash = strchr(text, '/');
	cleanup_free char *head = strndup(text,
					  slash ? (size_t)(slash - text) : strlen(text));
	char shown[ADDR_TEXT_MAX];
	unsigned bits, offset;
	bool mapped;

	if (!head)
		return no_memory(err);
	if (!addr_parse(head, &r->network))
		return error_set(
			err, 0,
			"'%.100s' is neither an IPv4 or IPv6 address nor a CIDR such "
			"as 192.0.2.0/24",
			text);
	mapped = addr_is_v4(&r->network) && strchr(head, ':');
	offset = addr_is_v4(&r->network) && !mapped ? V4_OFFSET : 0;
	bits = V6_BITS - offset;
	if (slash &&
	    (!parse_digits(slash + 1, slash + strlen(slash), V6_BITS - offset, &bits) ||
	     (mapped && bits < V4_OFFSET)))
		return error_set(err, 0, "'%.100s': the prefix has %u bits at most%s",
				 text, V6_BITS - offset,
				 mapped ? ", and 96 at least" : "");
	r->prefix = bits + offset;
	if (asprintf(&r->text, "%s/%u", addr_format(&r->network, shown),
		     addr_is_v4(&r->network) ? r->prefix - V4_OFFSET : r->prefix) < 0) {
		r->text = NULL;
		return no_memory(err);
	}
	clear_host_bits(&r->network, r->prefix);
	return 0;
}

static size_t count_colons(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == ':';
	return n;
}

/* Cuts text after what it names; returns the ports' text, or NULL without any. */
static int split_ports(char *text, char **what, char **ports, struct error *err)
{
	char *end;

	*what = text;
	*ports = NULL;
	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return error_set(
				err, 0,
				"'%.100s': brackets go round an IPv6 address, as in "
				"[2001:db8::/32]:443",
				text);
		*what = text + 1;
		*ports = end[1] ? end + 2 : NULL;
		*end = '\0';
		return 0;
	}
	if (count_colons(text) > 1) {
		end = strchr(text, '/');
		if (end && strchr(end, ':'))
			return error_set(
				err, 0,
				"'%.100s': an IPv6 address with ports must be "
				"enclosed in `[` and `]`, as in [2001:db8::/32]:443",
				text);
		return 0;
	}
	end = strchr(text, ':');
	if (end) {
		*end = '\0';
		*ports = end + 1;
	}
	return 0;
}

/* --- names --- */

static int parse_domain(struct rule *r, const char *text, struct error *err)
{
	bool below = strncmp(text, "*.", 2) == 0;
	struct addr a;

	if (addr_parse(text, &a) || strchr(text, '/'))
		return error_set(err, 0,
				 "'%.100s' is not a domain name, but an address or CIDR",
				 text);
	if (below && r->kind == RULE_EXACT)
		return error_set(err, 0,
				 "'%.100s' means all names below another, but here stand "
				 "exact ones",
				 text);
	r->domain = domain_parse(below ? text + 2 : text, err);
	if (!r->domain)
		return -1;
	if (below)
		r->kind = RULE_SUBDOMAINS;
	if (asprintf(&r->text, "%s%s", below ? "*." : "", r->domain) < 0) {
		r->text = NULL;
		return no_memory(err);
	}
	return 0;
}

/* --- elements --- */

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	len = strlen(text);
	while (len && strchr(" \t\r", text[len - 1]))
		text[--len] = '\0';
	return text;
}

static int parse_protocol(struct rule *r, char **text, struct error *err)
{
	char *end = strstr(*text, "://");

	if (!end)
		return 0;
	for (size_t i = RULE_TCP; i < ARRAY_SIZE(protocols); i++) {
		size_t len = strlen(protocols[i]);

		if (strncmp(*text, protocols[i], len) == 0) {
			r->protocol = i;
			*text += len;
			return 0;
		}
	}
	return error_set(err, 0,
			 "'%.100s': a rule begins with tcp://, udp:// or icmp://, or "
			 "with none of them",
			 *text);
}

/* A name's last label has a letter in it. */
static bool is_address(const char *what)
{
	return strpbrk(what, "/:") || !what[strspn(what, "0123456789.")];
}

static int parse_element(struct rule *r, char *text, struct error *err)
{
	char *what, *ports;

	if (!*text)
		return error_set(err, 0, "an element of the list is empty");
	if (*text == '@')
		return error_set(err, 0, "'%.100s': a file must stand alone", text);
	if (parse_protocol(r, &text, err) || split_ports(text, &what, &ports, err))
		return -1;
	if (r->kind == RULE_EITHER)
		r->kind = is_address(what) ? RULE_CIDR : RULE_DOMAIN;
	if ((r->kind == RULE_CIDR ? parse_cidr : parse_domain)(r, what, err))
		return -1;
	return ports ? add_ports(r, ports, err) : 0;
}

/* Puts protocol and ports round the text that parse_element() has left. */
static int finish_text(struct rule *r, struct error *err)
{
	bool brackets = r->port_count && r->kind == RULE_CIDR && !addr_is_v4(&r->network);
	char *text = NULL;
	size_t len;
	FILE *out;

	if (!r->port_count && r->protocol == RULE_ANY)
		return 0;
	out = open_memstream(&text, &len);
	if (!out)
		return no_memory(err);
	fprintf(out, "%s%s%s%s", r->protocol ? protocols[r->protocol] : "",
		brackets ? "[" : "", r->text, brackets ? "]" : "");
	for (size_t i = 0; i < r->port_count; i++) {
		fprintf(out, "%c%u", i ? ',' : ':', r->ports[i].first);
		if (r->ports[i].last != r->ports[i].first)
			fprintf(out, "-%u", r->ports[i].last);
	}
	if (fclose(out) == EOF) {
		free(text);
		return no_memory(err);
	}
	free(r->text);
	r->text = text;
	return 0;
}

static struct rule *append(struct rule_list *list, enum rule_kind kind)
{
	if (list->count == list->room) {
		size_t room = MAX(list->room * 2, (size_t)8);
		struct rule *more = realloc(list->rules, room * sizeof(*more));

		if (!more)
			return NULL;
		list->rules = more;
		list->room = room;
	}
	list->rules[list->count] = (struct rule){ .kind = kind };
	return &list->rules[list->count++];
}

static int parse_line(struct rule_list *list, enum rule_kind kind, const char *line,
		      struct error *err)
{
	cleanup_free char *copy = strdup(line);
	char *rest = copy, *text;
	struct port_range range;
	struct rule *r = NULL;
	int ret = copy ? 0 : no_memory(err);

	while (ret == 0 && (text = strsep(&rest, ","))) {
		text = trim(text);
		if (r && parse_range(text, &range)) {
			if (!r->port_count)
				ret = error_set(
					err, 0,
					"'%s' continues '%.100s', which has no ports: "
					"write %.100s:%s",
					text, r->text, r->text, text);
			else
				ret = add_ports(r, text, err);
			continue;
		}
		ret = r ? finish_text(r, err) : 0;
		if (ret)
			break;
		r = append(list, kind);
		ret = r ? parse_element(r, text, err) : no_memory(err);
	}
	if (ret == 0)
		ret = finish_text(r, err);
	if (ret && r) {
		rule_clear(r);
		list->count--;
	}
	return ret;
}

static int parse_file(struct rule_list *list, enum rule_kind kind, const char *name,
		      const char *dir, struct error *err)
{
	cleanup_free char *path = path_from(dir, name), *text = NULL;
	unsigned number = 0;
	char *rest, *line;
	size_t len;

	if (!path)
		return no_memory(err);
	text = path_read(path, LIST_FILE_MAX, &len, err);
	if (!text)
		return -1;
	if (strlen(text) != len)
		return error_set(err, 0, "%s is not a text file", path);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		number++;
		line[strcspn(line, "#")] = '\0';
		line = trim(line);
		if (*line && parse_line(list, kind, line, err))
			return error_wrap(err, "%s:%u", path, number);
	}
	return 0;
}

int rules_parse(struct rule_list *list, enum rule_kind kind, const char *text,
		const char *dir, struct error *err)
{
	if (*text == '@')
		return parse_file(list, kind, text + 1, dir, err);
	return parse_line(list, kind, text, err);
}
