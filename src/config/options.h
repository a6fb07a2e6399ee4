/* The option table and what is made of it: parser and help. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdio.h>

#include "base/error.h"
#include "config/config.h"

/* What holds when no option is given. */
void options_defaults(struct config *cfg);

/*
 * Reads a command line on top of cfg, which then points into argv. The first word that is
 * no option, or the one behind "--", begins the command. Stops at --help and --version.
 * Returns 0, or -1 with the usage error.
 */
int options_parse(struct config *cfg, int argc, char **argv, struct error *err);

/* Writes the text of --help, made of the table. */
void options_help(FILE *out);

#endif
