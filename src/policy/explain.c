#include "policy/explain.h"

#include <stdio.h>

#include "base/util.h"
#include "policy/domain.h"
#include "policy/sets.h"

#define WHAT_MAX 320   /* a name of 253 octets with what stands around it */
#define DOMAIN_MAX 253 /* of a rule */

/* What forbids it, where that isn't a rule. */
static const char *const cures[REASON_COUNT] = {
	[REASON_ALLOWED] = "it is allowed",
	[REASON_GATEWAY] = "nothing is served there",
	[REASON_MARTIAN] = "addresses of the own machine never leave it",
	[REASON_MULTICAST] = "multicast and broadcast are never relayed",
	[REASON_UNKNOWN_NAME] = "its address stands for no name of a host",
	[REASON_OFFLINE] = "--offline forbids it",
	[REASON_METADATA] = "--block-metadata forbids it",
	[REASON_PRIVATE] = "--block-private forbids it",
	[REASON_NAME_SERVICE] = "other resolvers are refused while a domain rule or "
				"--proxy-only is given",
	[REASON_PROXY_ONLY] = "--proxy-only forbids it",
	[REASON_NOT_PROXIED] = "the proxy can't carry it",
	[REASON_QUIC] = "--allow-quic would allow it",
};

/* A rule could name it: labels of letters, digits and inner hyphens, and no range of
 * ports. */
static bool is_plain(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	size_t len;

	if (strlen(name) > DOMAIN_MAX || domain_is_address(name) ||
	    !name[strspn(name, "0123456789-")])
		return false;
	for (;; name += len + 1) {
		len = strspn(name, allowed);
		if (len == 0 || len > 63 || name[0] == '-' || name[len - 1] == '-')
			return false;
		if (!name[len] || (name[len] == '.' && !name[len + 1]))
			return true;
		if (name[len] != '.')
			return false;
	}
}

static const char *protocol_name(const struct target *t)
{
	switch (t->protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		return NULL;
	}
}

/* Port 0 can't be written in a rule. */
static bool has_port(const struct target *t)
{
	return (t->protocol == IPPROTO_TCP || t->protocol == IPPROTO_UDP) && t->to.port;
}

/* A name with the target's port, if it has one. */
static void put_name(const struct target *t, const char *name, char *out, size_t size)
{
	int len = strnlen(name, DOMAIN_MAX + 1);

	if (len > 1 && len <= DOMAIN_MAX && name[len - 1] == '.' && name[len - 2] != '\\')
		len--;
	if (has_port(t) && !t->dns_question)
		snprintf(out, size, "%.*s:%u", MIN(len, DOMAIN_MAX), name, t->to.port);
	else
		snprintf(out, size, "%.*s", MIN(len, DOMAIN_MAX), name);
}

static void put_address(const struct target *t, char *out, size_t size)
{
	char text[ENDPOINT_TEXT_MAX];

	if (has_port(t))
		endpoint_format(&t->to, text);
	else
		addr_format(&t->to.addr, text);
	snprintf(out, size, "%s", text);
}

static void put_what(const struct target *t, char *out, size_t size)
{
	const char *protocol = t->dns_question ? "dns" : protocol_name(t);
	size_t len;

	if (protocol)
		snprintf(out, size, "%s ", protocol);
	else
		snprintf(out, size, "protocol %u ", t->protocol);
	len = strlen(out);
	if (t->name && (t->name_only || t->dns_question))
		put_name(t, t->name, out + len, size - len);
	else
		put_address(t, out + len, size - len);
}

/* --- suggestions --- */

/* What stands before a rule. TCP goes without: it is what people mean. */
static const char *rule_scheme(const struct target *t)
{
	if (t->protocol == IPPROTO_UDP)
		return "udp://";
	return protocol_name(t) && t->protocol != IPPROTO_TCP ? "icmp://" : "";
}

static void suggest_address(const struct target *t, char *out, size_t size)
{
	char what[ENDPOINT_TEXT_MAX];

	put_address(t, what, sizeof(what));
	snprintf(out, size, "--allow-cidr %s%s would allow it", rule_scheme(t), what);
}

/* A domain rule about it would allow the target, without more. */
static bool name_would_do(const struct target *t, const char *name)
{
	bool quic = t->protocol == IPPROTO_UDP && t->to.port == PORT_HTTPS;

	return is_plain(name) && !quic && !t->sniffed && !policy_is_name_service(t);
}

static const char *name_for_rule(const struct target *t)
{
	if (t->name_only)
		return name_would_do(t, t->name) ? t->name : NULL;
	for (size_t i = 0; i < t->known_count; i++)
		if (t->known[i].ours && name_would_do(t, t->known[i].name))
			return t->known[i].name;
	return NULL;
}

static void suggest(const struct target *t, char *out, size_t size)
{
	const char *name = name_for_rule(t);
	char what[WHAT_MAX];

	if (name) {
		put_name(t, name, what, sizeof(what));
		snprintf(out, size, "--allow-domain %s%s would allow it", rule_scheme(t),
			 what);
	} else if (t->name_only) {
		snprintf(out, size, "--default-policy allow would allow it");
	} else {
		suggest_address(t, out, size);
	}
}

static void suggest_for_question(const struct target *t, char *out, size_t size)
{
	char what[WHAT_MAX];

	if (is_plain(t->name)) {
		put_name(t, t->name, what, sizeof(what));
		snprintf(out, size, "--allow-domain %s would allow it", what);
	} else {
		snprintf(out, size, "--allow-dns would allow it");
	}
}

static void suggest_for_shown(const struct verdict *v, const struct target *t, char *out,
			      size_t size)
{
	char cure[WHAT_MAX] = "its own name must be shown";

	if (!t->name_only)
		suggest_address(t, cure, sizeof(cure));
	if (t->seen_name && !t->seen_name[0])
		snprintf(out, size, "the name that it shows is ambiguous");
	else if (v->reason == REASON_NAME_MISMATCH && t->seen_name)
		snprintf(out, size, "it shows the name %.*s: %s", DOMAIN_MAX,
			 t->seen_name, cure);
	else
		snprintf(out, size, "it shows no name: %s", cure);
}

static void put_cure(const struct verdict *v, const struct target *t, char *out,
		     size_t size)
{
	if (v->rule)
		snprintf(out, size, "%s %.300s%s forbids it", policy_list_option(v->list),
			 v->rule->text, v->list == POLICY_ROUTE ? "=block" : "");
	else if (v->reason == REASON_DEFAULT_DENY && t->dns_question)
		suggest_for_question(t, out, size);
	else if (v->reason == REASON_DEFAULT_DENY)
		suggest(t, out, size);
	else if (v->reason == REASON_NAME_MISMATCH || v->reason == REASON_NAME_MISSING)
		suggest_for_shown(v, t, out, size);
	else
		snprintf(out, size, "%s", cures[v->reason]);
}

const char *policy_explain(const struct verdict *verdict, const struct target *target,
			   char out[static POLICY_EXPLAIN_MAX])
{
	char what[WHAT_MAX], cure[2 * WHAT_MAX], reason[32];

	snprintf(reason, sizeof(reason), "%s", reason_name(verdict->reason));
	for (char *c = reason; *c; c++)
		if (*c == '_')
			*c = '-';
	put_what(target, what, sizeof(what));
	put_cure(verdict, target, cure, sizeof(cure));
	snprintf(out, POLICY_EXPLAIN_MAX, "blocked %s (%s): %s", what, reason, cure);
	for (char *c = out; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return out;
}
