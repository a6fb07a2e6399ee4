/* An expression of pcap-filter(7). */
#ifndef CAPTURE_FILTER_H
#define CAPTURE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct filter;

/* For Ethernet frames. NULL and err, which shows where the expression is wrong. */
struct filter *filter_new(const char *expression, struct error *err);
bool filter_matches(const struct filter *f, const uint8_t *frame, size_t len);
void filter_free(struct filter *f);

#endif
