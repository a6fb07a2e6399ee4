/*
 * The option table. Command line, profiles, dump, help and the generators of man page and
 * completions read it: a new option is a new row, and a new kind of value a row in value.c.
 * The table links with nothing else, so a program of the build can read it too.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/* In the order of a dumped profile. */
enum option_id {
	OPTION_EXTENDS,
	OPTION_CAPTURE,
	OPTION_CAPTURE_POINT,
	OPTION_ROOT,
	OPTION_BACKEND,
	OPTION_DNS,
	OPTION_HOSTS_FILE,
	OPTION_PROXY,
	OPTION_PROXY_USER,
	OPTION_PROXY_PASSWORD,
	OPTION_PROXY_PASSWORD_FILE,
	OPTION_PROXY_INSECURE,
	OPTION_CONNECT_TIMEOUT,
	OPTION_KEEP_PROXY_ENV,
	OPTION_PROXY_DNS,
	OPTION_PROXY_DNS_RANGE,
	OPTION_PROXY_UDP,
	OPTION_ROUTE,
	OPTION_NO_PROXY,
	OPTION_SUMMARY,
	OPTION_DOCTOR,
	OPTION_DOCTOR_FORMAT,
	OPTION_REPORT,
	OPTION_REPORT_FORMAT,
	OPTION_SUMMARY_FORMAT,
	OPTION_FLOW_LOG,
	OPTION_OFFLINE,
	OPTION_BLOCK_PRIVATE,
	OPTION_BLOCK_METADATA,
	OPTION_DEFAULT_POLICY,
	OPTION_ALLOW_CIDR,
	OPTION_DENY_CIDR,
	OPTION_ALLOW_DOMAIN_EXACT,
	OPTION_ALLOW_DOMAIN,
	OPTION_DENY_DOMAIN_EXACT,
	OPTION_DENY_DOMAIN,
	OPTION_PROXY_ONLY,
	OPTION_FAIL_ON_LEAK,
	OPTION_AUDIT,
	OPTION_ALLOW_DNS,
	OPTION_ALLOW_QUIC,
	OPTION_IFACE,
	OPTION_CAPTURE_SEGMENTS,
	OPTION_CAPTURE_FILTER,
	OPTION_SNAPLEN,
	OPTION_CAPTURE_ROTATE,
	OPTION_CAPTURE_KEYS,
	OPTION_CAPTURE_PROCESS_BLOCKS,
	OPTION_MTU,
	OPTION_DRAIN_TIMEOUT,
	OPTION_AS_ROOT,
	OPTION_LOG_LEVEL,
	OPTION_COMMAND,
	OPTION_PROFILE,
	OPTION_QUIET,
	OPTION_VERBOSE,
	OPTION_DUMP_PROFILE,
	OPTION_ORIGINS,
	OPTION_SHOW_SECRETS,
	OPTION_LIST_PROFILES,
	OPTION_LEARN,
	OPTION_DIFF,
	OPTION_FAIL_ON_NEW,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_COUNT,
};

enum option_type {
	TYPE_FLAG,   /* bool; --no-NAME makes it false */
	TYPE_ACTION, /* bool without --no-NAME: something else than a run */
	TYPE_COUNT,  /* unsigned, one more each time */
	TYPE_ADDRESS,
	TYPE_PATH,
	TYPE_PROFILE, /* char *: a path, or a name to search for */
	TYPE_TEXT,
	TYPE_INTERFACE,
	TYPE_CHOICE, /* an enum: the index in choices */
	TYPE_SECONDS,
	TYPE_MTU,
	TYPE_SNAPLEN,
	TYPE_ROTATE,
	TYPE_CIDRS,
	TYPE_DOMAINS,
	TYPE_DOMAINS_EXACT,
	TYPE_RULES, /* of either kind */
	TYPE_ROUTES,
	TYPE_PROXIES,
	TYPE_WORDS, /* the command */
	TYPE_FILES, /* the positionals are its values, too */
	TYPE_COUNT_OF_TYPES,
};

enum option_group {
	GROUP_PROFILES,
	GROUP_POLICY,
	GROUP_NAMES,
	GROUP_PROXY,
	GROUP_RECORDS,
	GROUP_NETWORK,
	GROUP_RUN,
	GROUP_MESSAGES,
	GROUP_OTHER,
	GROUP_COUNT,
};

struct option {
	const char *name; /* long, without "--"; NULL: only a profile or a positional */
	char letter;	  /* short, or 0 */
	const char *key;  /* in a profile; NULL: only the command line */
	enum option_type type;
	const char *const *choices; /* of TYPE_CHOICE, NULL at the end */
	size_t offset;		    /* in struct config */
	const char *value;	    /* its name in the help; NULL for those without */
	enum option_group group;
	const char *help;
	const char *environment; /* a variable that says the same */
	enum option_id rival;	 /* what says the same in another way; 0: none */
	enum option_id
		shown_by; /* an option that has it dumped even as the default; 0: none */
	bool always;	  /* always dumped */
	bool secret;	  /* wiped from argv, not dumped unless asked for */
	bool hidden;	  /* not in the help */
	bool instead;	  /* makes this call something else than a run */
	bool ends;	  /* nothing behind it counts */
	const char *missing; /* not available in this build, because ... */
};

/* The row of an option. */
const struct option *option_get(enum option_id id);

/* To go through all options that have a name: NULL begins, NULL is the end. */
const struct option *option_next(const struct option *o);

/* The row with that name, key or letter, or NULL. Of name the first len bytes count. */
const struct option *option_by_name(const char *name, size_t len);
const struct option *option_by_key(const char *key);
const struct option *option_by_letter(char letter);

const char *option_group_title(enum option_group group);

static inline enum option_id option_id(const struct option *o)
{
	return (enum option_id)(o - option_get(0));
}

/* What a word of the option is: "--name" takes none, "--no-name" exists, it may stand more
 * than once, its value is a file. */
bool option_is_flag(const struct option *o);
bool option_is_negatable(const struct option *o);
bool option_is_list(const struct option *o);
bool option_is_path(const struct option *o);

static inline void *option_field(const struct option *o, struct config *cfg)
{
	return (char *)cfg + o->offset;
}

static inline const void *option_value(const struct option *o, const struct config *cfg)
{
	return (const char *)cfg + o->offset;
}

#endif
