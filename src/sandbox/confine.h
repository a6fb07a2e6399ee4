/* The end of the engine's privileges, before its first packet. */
#ifndef SANDBOX_CONFINE_H
#define SANDBOX_CONFINE_H

#include "base/error.h"

/*
 * When everything is open that has to be opened: gives up privileges, files, and all system
 * calls that an engine does not need. Errors can still be sent afterwards.
 */
int confine_engine(struct error *err);

#endif
