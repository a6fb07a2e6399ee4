/* The files of a capture: their names, and how they are opened. */
#ifndef CAPTURE_FILES_H
#define CAPTURE_FILES_H

#include <stdbool.h>

#include "base/error.h"

/* "run.pcapng" with view "egress" is "run.egress.pcapng", with number 7 "run.00007.pcapng";
 * NULL and 0 add nothing. malloc'ed, or NULL. */
char *files_name(const char *path, const char *view, unsigned number);

/* Opens path, or makes it for us alone and says so; "-" is stdout, /dev/fd/N what it says.
 * Never blocks, nor will writing to a pipe. `only_file`: nothing but a regular file will do. */
int files_open(const char *path, bool only_file, bool *made, struct error *err);
/* Just before the first byte: empties a file that was there, and makes it ours alone. 0 or -1
 * and err. */
int files_begin(const char *path, int fd, struct error *err);

#endif
