/* The text of --help. */
#ifndef CONFIG_HELP_H
#define CONFIG_HELP_H

#include <stdio.h>

void help_write(FILE *out);

#endif
