/* Profiles that are called by a name, and where they are looked for. */
#ifndef CONFIG_SEARCH_H
#define CONFIG_SEARCH_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

/* Neither slash nor dot: "ci", but not "./ci" or "ci.toml". */
bool search_is_name(const char *profile);

/* The file of that name, to free(); NULL with the places that were looked at. */
char *search_profile(const char *name, struct error *err);

/* Writes a line for each profile that search_profile() would find: name and file. */
int search_list(FILE *out, struct error *err);

#endif
