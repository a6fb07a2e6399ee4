/* What lwIP asks of its compiler and platform. */
#ifndef NETIF_ARCH_CC_H
#define NETIF_ARCH_CC_H

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define LWIP_NO_STDINT_H 0
#define LWIP_TIMEVAL_PRIVATE 0
#define LWIP_ERRNO_STDINCLUDE 1
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS 1

/* An impossible state: the engine ends, and with it the network. */
#define LWIP_PLATFORM_DIAG(x) ((void)0)
#define LWIP_PLATFORM_ASSERT(x)                                                 \
	do {                                                                    \
		fprintf(stderr, "childflow: lwIP: %s (%s:%d)\n", x, __FILE__, __LINE__); \
		abort();                                                        \
	} while (0)

uint32_t stack_random32(void);
#define LWIP_RAND() stack_random32()

#endif
