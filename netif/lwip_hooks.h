/* What lwipopts.h lets lwIP call in us. */
#ifndef NETIF_LWIP_HOOKS_H
#define NETIF_LWIP_HOOKS_H

#include <stdint.h>

/* Unpredictable 32 bits, for initial sequence numbers (RFC 6528 asks that they can't be guessed). */
uint32_t stack_random32(void);

#endif
