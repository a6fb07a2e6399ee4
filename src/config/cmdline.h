/* The command line as settings. */
#ifndef CONFIG_CMDLINE_H
#define CONFIG_CMDLINE_H

#include "base/error.h"
#include "config/config.h"

/*
 * Reads a command line into cfg, in which nothing is set. The first word that is no option,
 * or the one behind "--", begins the command; behind an option that names files, words are
 * files. Stops at --help and --version. Passwords are overwritten in argv. Returns 0, or -1
 * with the usage error.
 */
int cmdline_parse(struct config *cfg, int argc, char **argv, struct error *err);

/* Does an option before the first positional make this something else than a run? Goes on
 * where cmdline_parse() gives up. */
bool cmdline_runs_nothing(int argc, char **argv);

#endif
