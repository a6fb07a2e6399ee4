/* The settings of one run, after command line and defaults. Plain data, filled by options.c. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/log.h"

struct config {
	char **command; /* argv of the command, NULL at the end; points into main's argv */
	bool dns_set;
	struct addr dns;	   /* --dns */
	char *hosts_file;	   /* --hosts-file, or NULL; points into argv */
	unsigned drain_timeout_ms; /* --drain-timeout */
	unsigned mtu;		   /* --mtu, bytes */
	enum log_level log_level;
	bool as_root; /* --as-root */
	bool show_help, show_version;
};

#endif
