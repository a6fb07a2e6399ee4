/* A run's own lines, read back from its flow log. */
#ifndef CMD_READBACK_H
#define CMD_READBACK_H

#include "cmd/record.h"
#include "event/tally.h"

/* A regular file alone can be read back; reading a pipe would take away what is another's. */
bool readback_can(const struct record *record);

/* A descriptor to read the run's lines from; -1 with a sentence. */
int readback_open(const struct record *record, struct error *err);
/* Into a tally that is empty. 0, or -1 with a sentence. */
int readback(const struct record *record, struct tally *tally, struct error *err);

#endif
