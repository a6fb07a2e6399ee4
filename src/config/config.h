/*
 * The settings of one run. Plain data: options.c says which option is which field. A struct
 * of zeros is one in which nothing is set; layers of settings (command line, environment,
 * profiles, defaults) are such structs, each filled from the one below it.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/proxy.h"
#include "policy/rule.h"

enum capture_point {
	CAPTURE_CHILD,
	CAPTURE_EGRESS,
	CAPTURE_WIRE_EGRESS,
	CAPTURE_BOTH
};
enum capture_segments {
	SEGMENTS_MTU,
	SEGMENTS_RAW
};
enum backend {
	BACKEND_ROOTLESS,
	BACKEND_ROOTFUL
};
enum format {
	FORMAT_TEXT,
	FORMAT_JSON,
	FORMAT_MARKDOWN,
	FORMAT_HTML
};
enum proxy_dns {
	PROXY_DNS_AUTO, /* as the scheme of the last proxy says */
	PROXY_DNS_REMOTE,
	PROXY_DNS_LOCAL
};
enum proxy_udp {
	PROXY_UDP_REFUSE,
	PROXY_UDP_DIRECT
};
enum default_policy {
	POLICY_ALLOW,
	POLICY_DENY
};

struct config_addr {
	bool set;
	struct addr addr;
};

/* When the next file is begun, and how many are kept. */
struct config_rotate {
	uint64_t bytes;	  /* 0: not by size */
	unsigned seconds; /* 0: not by time */
	unsigned count;	  /* 0: all are kept */
};

/* A command with its arguments, or files. */
struct words {
	char **list; /* NULL at the end; NULL when there is none */
	size_t count, room;
};

/* Rules, each with its route, and the proxies that they name: ROUTE_OWN is the first. */
struct route_list {
	struct rule_list rules;
	struct proxy_list own;
};

/* Where a setting comes from. */
struct origin {
	enum origin_kind {
		ORIGIN_NONE, /* not set */
		ORIGIN_DEFAULT,
		ORIGIN_PROFILE,
		ORIGIN_ENVIRONMENT,
		ORIGIN_COMMAND_LINE,
	} kind;
	char *file; /* of the profile */
	unsigned line, column;
	unsigned by; /* the enum option_id of another option that says it, or 0 */
};

#define CONFIG_OPTIONS_MAX 96

struct config {
	char *capture;
	enum capture_point capture_point;
	enum capture_segments capture_segments;
	char *capture_filter;
	unsigned snaplen; /* bytes; 0: whole packets */
	struct config_rotate capture_rotate;
	bool capture_keys, capture_process_blocks;
	enum backend backend;
	struct config_addr dns;
	char *hosts_file;
	struct proxy_list proxies;
	char *proxy_user, *proxy_password, *proxy_password_file;
	bool proxy_insecure;
	unsigned connect_timeout_ms;
	bool keep_proxy_env;
	enum proxy_dns proxy_dns;
	struct rule_list proxy_dns_range;
	enum proxy_udp proxy_udp;
	struct route_list routes;
	struct rule_list no_proxy;
	bool summary;
	enum format doctor_format, report_format, summary_format;
	char *flow_log;
	char *learn;
	bool offline, block_private, block_metadata;
	enum default_policy default_policy;
	struct rule_list allow_cidrs, deny_cidrs;
	struct rule_list allow_domains_exact, allow_domains;
	struct rule_list deny_domains_exact, deny_domains;
	bool proxy_only, fail_on_leak;
	bool audit, allow_dns, allow_quic;
	char *iface;
	unsigned mtu;		   /* bytes */
	unsigned drain_timeout_ms; /* whole milliseconds */
	bool as_root;
	enum log_level log_level;
	struct words command;

	/* What the command line alone can say. */
	char *profile; /* a file, or a name to look for */
	bool root;     /* another word for the backend */
	bool quiet;    /* a change of log_level, as is */
	unsigned verbose;
	bool dump_profile, origins, show_secrets;
	bool doctor, list_profiles, show_help, show_version;
	struct words report, diff; /* files */
	bool fail_on_new;

	char *extends; /* what a profile alone can say */

	struct origin from[CONFIG_OPTIONS_MAX]; /* by enum option_id */
};

/* Makes cfg, which holds nothing, the lowest layer: what holds when nobody says anything. */
void config_defaults(struct config *cfg);

/* Takes from lower what upper does not set, and frees the rest. */
void config_fill(struct config *upper, struct config *lower);

/* Frees what the struct owns; nothing is set in it any more. */
void config_free(struct config *cfg);

#endif
