/* The option table; nothing else knows an option's name. */
#include "config/options.h"

#include <assert.h>
#include <string.h>

#include "base/util.h"

static_assert(OPTION_COUNT <= CONFIG_OPTIONS_MAX, "each option has an origin");

static const char *const group_titles[] = {
	[GROUP_PROFILES] = "Settings from files",
	[GROUP_POLICY] = "What may leave",
	[GROUP_NAMES] = "Names",
	[GROUP_PROXY] = "Through proxies",
	[GROUP_RECORDS] = "What is recorded",
	[GROUP_NETWORK] = "The command's network",
	[GROUP_RUN] = "The run",
	[GROUP_MESSAGES] = "Messages",
	[GROUP_OTHER] = "Instead of a run",
};
static_assert(ARRAY_SIZE(group_titles) == GROUP_COUNT, "each group has a title");

/* In the order of the enums of config.h. */
static const char *const capture_points[] = { "child", "egress", "wire-egress", "both",
					      NULL };
static const char *const segments[] = { "mtu", "raw", NULL };
static const char *const backends[] = { "rootless-internal", "rootful", NULL };
static const char *const formats[] = { "text", "json", NULL };
static const char *const report_formats[] = { "text", "json", "markdown", "html", NULL };
static const char *const proxy_dns[] = { "auto", "remote", "local", NULL };
static const char *const proxy_udp[] = { "refuse", "direct", NULL };
static const char *const policies[] = { "allow", "deny", NULL };
static const char *const levels[] = { "quiet", "error", "warn", "info", "debug", NULL };

/* Why an option is refused in a run. A feature that comes takes its marks away. */
#define NO_ROOTFUL "there is only the rootless backend"
#define NO_DOCTOR "nothing diagnoses the host yet"

#define AT(field) .offset = offsetof(struct config, field)

/* clang-format off */
static const struct option table[] = {
	[OPTION_EXTENDS] = {
		.key = "extends", .type = TYPE_PATH, AT(extends),
		.help = "begin with the settings of this other profile",
	},
	[OPTION_CAPTURE] = {
		"capture", 'c', "capture", TYPE_PATH, AT(capture),
		.value = "FILE", .group = GROUP_RECORDS,
		.help = "write the packets to FILE, in pcapng; - is stdout (the command's "
			"own then goes to stderr)",
	},
	[OPTION_CAPTURE_POINT] = {
		"capture-point", 'C', "capture_point", TYPE_CHOICE, capture_points,
		AT(capture_point), .always = true,
		.value = "WHERE", .group = GROUP_RECORDS,
		.help = "which packets: child (the command's; the default), egress (the "
			"same with the addresses of the host's sockets), wire-egress (what "
			"crosses the host's interface) or both (child and egress, in "
			"FILE.child.pcapng and FILE.egress.pcapng)",
	},
	[OPTION_ROOT] = {
		"root", 0, NULL, TYPE_FLAG, AT(root),
		.group = GROUP_NETWORK, .missing = NO_ROOTFUL,
		.help = "use the rootful backend",
	},
	[OPTION_BACKEND] = {
		"network-backend", 0, "backend", TYPE_CHOICE, backends, AT(backend),
		.always = true, .hidden = true,
		.value = "BACKEND", .group = GROUP_NETWORK, .missing = NO_ROOTFUL,
		.help = "rootless-internal (the default) or rootful",
	},
	[OPTION_DNS] = {
		"dns", 'd', "dns", TYPE_ADDRESS, AT(dns),
		.value = "ADDR", .group = GROUP_NAMES,
		.help = "ask this DNS server (IPv4 or IPv6 address) instead of the host's",
	},
	[OPTION_HOSTS_FILE] = {
		"hosts-file", 0, "hosts_file", TYPE_PATH, AT(hosts_file),
		.value = "FILE", .group = GROUP_NAMES,
		.help = "names in FILE (as in /etc/hosts) have the addresses given there",
	},
	[OPTION_PROXY] = {
		"proxy", 'p', "proxy", TYPE_PROXIES, AT(proxies),
		.value = "URL", .group = GROUP_PROXY,
		.help = "connect through this proxy: http, https, socks5, socks5h or "
			"socks4a://[USER:PASSWORD@]HOST[:PORT]; repeated, they are a chain",
	},
	[OPTION_PROXY_USER] = {
		"proxy-user", 'U', "proxy_user", TYPE_TEXT, AT(proxy_user),
		.value = "NAME", .group = GROUP_PROXY,
		.help = "who we are for the proxy",
	},
	[OPTION_PROXY_PASSWORD] = {
		"proxy-password", 'P', "proxy_password", TYPE_TEXT, AT(proxy_password),
		.environment = "CHILDFLOW_PROXY_PASSWORD", .secret = true,
		.rival = OPTION_PROXY_PASSWORD_FILE,
		.value = "WORD", .group = GROUP_PROXY,
		.help = "the password for it, better kept in the variable "
			"CHILDFLOW_PROXY_PASSWORD or a file; the command sees neither",
	},
	[OPTION_PROXY_PASSWORD_FILE] = {
		"proxy-password-file", 0, "proxy_password_file", TYPE_PATH,
		AT(proxy_password_file), .rival = OPTION_PROXY_PASSWORD,
		.value = "FILE", .group = GROUP_PROXY,
		.help = "the first line of FILE is the password",
	},
	[OPTION_PROXY_INSECURE] = {
		"proxy-insecure", 0, "proxy_insecure", TYPE_FLAG, AT(proxy_insecure),
		.group = GROUP_PROXY,
		.help = "accept a certificate of an https proxy that nobody we trust has "
			"signed",
	},
	[OPTION_CONNECT_TIMEOUT] = {
		"connect-timeout", 0, "connect_timeout", TYPE_SECONDS,
		AT(connect_timeout_ms),
		.value = "SECONDS", .group = GROUP_PROXY,
		.help = "how long proxies may take until the target is reached (default "
			"10)",
	},
	[OPTION_KEEP_PROXY_ENV] = {
		"keep-proxy-env", 0, "keep_proxy_env", TYPE_FLAG, AT(keep_proxy_env),
		.group = GROUP_PROXY,
		.help = "leave http_proxy and the like in the command's environment; with "
			"--proxy they are unset",
	},
	[OPTION_PROXY_DNS] = {
		"proxy-dns", 0, "proxy_dns", TYPE_CHOICE, proxy_dns, AT(proxy_dns),
		.value = "WHERE", .group = GROUP_PROXY,
		.help = "who resolves names: the proxy (remote), which is told the name, or "
			"we (local); auto (the default) is local for socks5, else remote",
	},
	[OPTION_PROXY_DNS_RANGE] = {
		"proxy-dns-range", 0, "proxy_dns_range", TYPE_CIDRS, AT(proxy_dns_range),
		.value = "CIDR", .group = GROUP_PROXY,
		.help = "the addresses that stand for names which the proxy resolves "
			"(default 198.18.0.0/15,fdcf:1918::/64)",
	},
	[OPTION_PROXY_UDP] = {
		"proxy-udp", 0, "proxy_udp", TYPE_CHOICE, proxy_udp, AT(proxy_udp),
		.value = "WHAT", .group = GROUP_PROXY,
		.help = "datagrams that the proxy can't carry (only socks5 can): refuse (the "
			"default), or direct, past the proxy",
	},
	[OPTION_ROUTE] = {
		"route", 0, "routes", TYPE_ROUTES, AT(routes),
		.value = "ROUTE", .group = GROUP_PROXY,
		.help = "RULE=WAY, where RULE is an address or name as for --allow-cidr and "
			"--allow-domain, and WAY is proxy, direct, block or the URL of a proxy; "
			"the first that matches counts",
	},
	[OPTION_NO_PROXY] = {
		"no-proxy", 0, "no_proxy", TYPE_RULES, AT(no_proxy),
		.value = "RULE", .group = GROUP_PROXY,
		.help = "addresses and names that are reached past the proxy, behind all "
			"routes",
	},
	[OPTION_SUMMARY] = {
		"summary", 0, "summary", TYPE_FLAG, AT(summary),
		.group = GROUP_RECORDS,
		.help = "say on stderr, after the run, what was reached",
	},
	[OPTION_DOCTOR] = {
		"doctor", 0, NULL, TYPE_ACTION, AT(doctor), .instead = true,
		.group = GROUP_OTHER, .missing = NO_DOCTOR,
		.help = "tell what this host lacks",
	},
	[OPTION_DOCTOR_FORMAT] = {
		"doctor-format", 0, "doctor_format", TYPE_CHOICE, formats,
		AT(doctor_format), .shown_by = OPTION_DOCTOR,
		.value = "FORMAT", .group = GROUP_OTHER, .missing = NO_DOCTOR,
		.help = "text (the default) or json",
	},
	[OPTION_REPORT] = {
		"report", 0, NULL, TYPE_FILES, AT(report), .instead = true,
		.value = "FILE...", .group = GROUP_OTHER,
		.help = "tell what flow logs hold",
	},
	[OPTION_REPORT_FORMAT] = {
		"report-format", 0, "report_format", TYPE_CHOICE, report_formats,
		AT(report_format), .shown_by = OPTION_REPORT,
		.value = "FORMAT", .group = GROUP_OTHER,
		.help = "text (the default), markdown, json or html (a page to look at)",
	},
	[OPTION_SUMMARY_FORMAT] = {
		"summary-format", 0, "summary_format", TYPE_CHOICE, formats,
		AT(summary_format), .shown_by = OPTION_SUMMARY,
		.value = "FORMAT", .group = GROUP_RECORDS,
		.help = "text (the default) or json",
	},
	[OPTION_FLOW_LOG] = {
		"flow-log", 0, "flow_log", TYPE_PATH, AT(flow_log),
		.value = "FILE", .group = GROUP_RECORDS,
		.help = "write what happens to FILE, or to the open descriptor fd:N, one "
			"JSON object a line",
	},
	[OPTION_OFFLINE] = {
		"offline", 0, "offline", TYPE_FLAG, AT(offline),
		.group = GROUP_POLICY,
		.help = "nothing may leave, and no name is asked for",
	},
	[OPTION_BLOCK_PRIVATE] = {
		"block-private", 0, "block_private", TYPE_FLAG, AT(block_private),
		.group = GROUP_POLICY,
		.help = "nothing to private networks and this host",
	},
	[OPTION_BLOCK_METADATA] = {
		"block-metadata", 0, "block_metadata", TYPE_FLAG, AT(block_metadata),
		.group = GROUP_POLICY,
		.help = "nothing to the metadata services of clouds",
	},
	[OPTION_DEFAULT_POLICY] = {
		"default-policy", 0, "default_policy", TYPE_CHOICE, policies,
		AT(default_policy), .always = true,
		.value = "POLICY", .group = GROUP_POLICY,
		.help = "what no rule speaks of: allow (the default) or deny",
	},
	[OPTION_ALLOW_CIDR] = {
		"allow-cidr", 0, "allow_cidrs", TYPE_CIDRS, AT(allow_cidrs),
		.value = "CIDR", .group = GROUP_POLICY,
		.help = "addresses that may be reached: 192.0.2.0/24, 10.0.0.1:443,8000-8080, "
			"[2001:db8::/32]:443, udp://192.0.2.1:123, icmp://192.0.2.0/24; "
			"@FILE holds one a line",
	},
	[OPTION_DENY_CIDR] = {
		"deny-cidr", 0, "deny_cidrs", TYPE_CIDRS, AT(deny_cidrs),
		.value = "CIDR", .group = GROUP_POLICY,
		.help = "addresses that may not; what denies beats what allows",
	},
	[OPTION_ALLOW_DOMAIN_EXACT] = {
		"allow-domain-exact", 0, "allow_domains_exact", TYPE_DOMAINS_EXACT,
		AT(allow_domains_exact),
		.value = "NAME", .group = GROUP_POLICY,
		.help = "as --allow-domain, but nothing below the name",
	},
	[OPTION_ALLOW_DOMAIN] = {
		"allow-domain", 0, "allow_domains", TYPE_DOMAINS, AT(allow_domains),
		.value = "NAME", .group = GROUP_POLICY,
		.help = "names that may be reached, and all below them: example.org, "
			"github.com:22,443, *.example.org (only below); @FILE holds one a "
			"line",
	},
	[OPTION_DENY_DOMAIN_EXACT] = {
		"deny-domain-exact", 0, "deny_domains_exact", TYPE_DOMAINS_EXACT,
		AT(deny_domains_exact),
		.value = "NAME", .group = GROUP_POLICY,
		.help = "as --deny-domain, but nothing below the name",
	},
	[OPTION_DENY_DOMAIN] = {
		"deny-domain", 0, "deny_domains", TYPE_DOMAINS, AT(deny_domains),
		.value = "NAME", .group = GROUP_POLICY,
		.help = "names that may not",
	},
	[OPTION_PROXY_ONLY] = {
		"proxy-only", 0, "proxy_only", TYPE_FLAG, AT(proxy_only),
		.group = GROUP_PROXY,
		.help = "nothing leaves but through the proxy",
	},
	[OPTION_FAIL_ON_LEAK] = {
		"fail-on-leak", 0, "fail_on_leak", TYPE_FLAG, AT(fail_on_leak),
		.group = GROUP_POLICY,
		.help = "exit with 120 when the command succeeded but something was blocked",
	},
	[OPTION_AUDIT] = {
		"audit", 0, "audit", TYPE_FLAG, AT(audit), .group = GROUP_POLICY,
		.help = "tell what would be blocked, and block nothing",
	},
	[OPTION_ALLOW_DNS] = {
		"allow-dns", 0, "allow_dns", TYPE_FLAG, AT(allow_dns),
		.group = GROUP_POLICY,
		.help = "with --default-policy deny, any name may be asked for, not only "
			"those that may be reached",
	},
	[OPTION_ALLOW_QUIC] = {
		"allow-quic", 0, "allow_quic", TYPE_FLAG, AT(allow_quic),
		.group = GROUP_POLICY,
		.help = "--allow-domain covers UDP port 443, too, though QUIC hides which "
			"name it is for",
	},
	[OPTION_IFACE] = {
		"iface", 'i', "iface", TYPE_INTERFACE, AT(iface),
		.value = "NAME", .group = GROUP_NETWORK, .missing = NO_ROOTFUL,
		.help = "leave by this interface of the host (with --root)",
	},
	[OPTION_CAPTURE_SEGMENTS] = {
		"capture-segments", 0, "capture_segments", TYPE_CHOICE, segments,
		AT(capture_segments), .value = "HOW", .group = GROUP_RECORDS,
		.help = "mtu (the default): packets as on a wire; raw: segments of up to "
			"64 KiB, as they cross the command's interface",
	},
	[OPTION_CAPTURE_FILTER] = {
		"capture-filter", 0, "capture_filter", TYPE_TEXT, AT(capture_filter),
		.value = "EXPR", .group = GROUP_RECORDS,
		.help = "only packets that match EXPR, in tcpdump's language "
			"(pcap-filter(7))",
	},
	[OPTION_SNAPLEN] = {
		"snaplen", 0, "snaplen", TYPE_SNAPLEN, AT(snaplen),
		.value = "BYTES", .group = GROUP_RECORDS,
		.help = "keep so many bytes of each packet (default all)",
	},
	[OPTION_CAPTURE_ROTATE] = {
		"capture-rotate", 0, "capture_rotate", TYPE_ROTATE, AT(capture_rotate),
		.value = "WHEN", .group = GROUP_RECORDS,
		.help = "begin the next file at a size (100M) or after a time (10min): "
			"FILE.00001.pcapng, FILE.00002.pcapng ...; with :COUNT behind it "
			"only the last COUNT are kept",
	},
	[OPTION_CAPTURE_KEYS] = {
		"capture-keys", 0, "capture_keys", TYPE_FLAG, AT(capture_keys),
		.group = GROUP_RECORDS,
		.help = "ask programs for their TLS keys (SSLKEYLOGFILE) and put these into "
			"the file, so that it can be read decrypted",
	},
	[OPTION_CAPTURE_PROCESS_BLOCKS] = {
		"capture-process-blocks", 0, "capture_process_blocks", TYPE_FLAG,
		AT(capture_process_blocks), .group = GROUP_RECORDS,
		.help = "describe processes in blocks for Wireshark 5, which older tshark "
			"counts as packets",
	},
	[OPTION_MTU] = {
		"mtu", 0, "mtu", TYPE_MTU, AT(mtu),
		.value = "BYTES", .group = GROUP_NETWORK,
		.help = "largest packet on the command's interface (default 1500; more is "
			"no faster)",
	},
	[OPTION_DRAIN_TIMEOUT] = {
		"drain-timeout", 0, "drain_timeout", TYPE_SECONDS, AT(drain_timeout_ms),
		.value = "SECONDS", .group = GROUP_RUN,
		.help = "after the command's end wait at most so long until everything it "
			"has sent is delivered (default 30)",
	},
	[OPTION_AS_ROOT] = {
		"as-root", 0, "as_root", TYPE_FLAG, AT(as_root), .group = GROUP_RUN,
		.help = "the command is root inside: it may set up its network and send raw "
			"packets, but reaches nothing more",
	},
	[OPTION_LOG_LEVEL] = {
		"log-level", 0, "log_level", TYPE_CHOICE, levels, AT(log_level),
		.value = "LEVEL", .group = GROUP_MESSAGES,
		.help = "quiet, error, warn, info or debug (default warn)",
	},
	[OPTION_COMMAND] = {
		.key = "command", .type = TYPE_WORDS, AT(command),
		.help = "what to run when the command line has no command",
	},
	[OPTION_PROFILE] = {
		"profile", 0, NULL, TYPE_PROFILE, AT(profile),
		.value = "PROFILE", .group = GROUP_PROFILES,
		.help = "begin with the settings of a TOML file, or of the profile of that "
			"name (no slash, no dot)",
	},
	[OPTION_QUIET] = {
		"quiet", 'q', NULL, TYPE_ACTION, AT(quiet), .group = GROUP_MESSAGES,
		.help = "say nothing but why a run has failed",
	},
	[OPTION_VERBOSE] = {
		"verbose", 'v', NULL, TYPE_COUNT, AT(verbose), .group = GROUP_MESSAGES,
		.help = "say more; -vv says most",
	},
	[OPTION_DUMP_PROFILE] = {
		"dump-profile", 0, NULL, TYPE_ACTION, AT(dump_profile), .instead = true,
		.group = GROUP_PROFILES,
		.help = "print the settings that a run would have as a profile; run nothing",
	},
	[OPTION_ORIGINS] = {
		"origins", 0, NULL, TYPE_FLAG, AT(origins), .group = GROUP_PROFILES,
		.help = "with it, say where each comes from",
	},
	[OPTION_SHOW_SECRETS] = {
		"show-secrets", 0, NULL, TYPE_FLAG, AT(show_secrets),
		.group = GROUP_PROFILES,
		.help = "print passwords, too",
	},
	[OPTION_LIST_PROFILES] = {
		"list-profiles", 0, NULL, TYPE_ACTION, AT(list_profiles), .instead = true,
		.group = GROUP_PROFILES,
		.help = "list the profiles that have a name",
	},
	[OPTION_LEARN] = {
		"learn", 0, NULL, TYPE_PATH, AT(learn),
		.value = "FILE", .group = GROUP_PROFILES,
		.help = "write to FILE a profile that allows what the run has reached, and "
			"nothing else",
	},
	[OPTION_DIFF] = {
		"diff", 0, NULL, TYPE_FILES, AT(diff), .instead = true,
		.value = "OLD NEW", .group = GROUP_OTHER,
		.help = "tell what a flow log has that an older one has not, what is gone, "
			"and what has grown",
	},
	[OPTION_FAIL_ON_NEW] = {
		"fail-on-new", 0, NULL, TYPE_ACTION, AT(fail_on_new), .instead = true,
		.group = GROUP_OTHER,
		.help = "with --diff, exit with 1 when there is something new",
	},
	[OPTION_HELP] = {
		"help", 'h', NULL, TYPE_ACTION, AT(show_help), .instead = true,
		.ends = true, .group = GROUP_OTHER,
		.help = "print this text",
	},
	[OPTION_VERSION] = {
		"version", 'V', NULL, TYPE_ACTION, AT(show_version), .instead = true,
		.ends = true, .group = GROUP_OTHER,
		.help = "print the version",
	},
};
/* clang-format on */
static_assert(ARRAY_SIZE(table) == OPTION_COUNT, "each option has a row");

static const struct {
	bool flag, negatable, list, path;
} traits[] = {
	[TYPE_FLAG] = { .flag = true, .negatable = true },
	[TYPE_ACTION] = { .flag = true },
	[TYPE_COUNT] = { .flag = true, .list = true },
	[TYPE_PATH] = { .path = true },
	[TYPE_PROFILE] = { .path = true },
	[TYPE_CIDRS] = { .list = true },
	[TYPE_DOMAINS] = { .list = true },
	[TYPE_DOMAINS_EXACT] = { .list = true },
	[TYPE_RULES] = { .list = true },
	[TYPE_ROUTES] = { .list = true },
	[TYPE_PROXIES] = { .list = true },
	[TYPE_FILES] = { .path = true },
	[TYPE_COUNT_OF_TYPES] = { 0 },
};

const struct option *option_get(enum option_id id)
{
	return &table[id];
}

const struct option *option_next(const struct option *o)
{
	for (o = o ? o + 1 : table; o < table + OPTION_COUNT; o++) {
		if (o->name)
			return o;
	}
	return NULL;
}

const struct option *option_by_name(const char *name, size_t len)
{
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

const struct option *option_by_key(const char *key)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (table[i].key && strcmp(table[i].key, key) == 0)
			return &table[i];
	}
	return NULL;
}

const struct option *option_by_letter(char letter)
{
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		if (letter && o->letter == letter)
			return o;
	}
	return NULL;
}

const char *option_group_title(enum option_group group)
{
	return group_titles[group];
}

bool option_is_flag(const struct option *o)
{
	return traits[o->type].flag;
}

bool option_is_negatable(const struct option *o)
{
	return traits[o->type].negatable;
}

bool option_is_list(const struct option *o)
{
	return traits[o->type].list;
}

bool option_is_path(const struct option *o)
{
	return traits[o->type].path;
}
