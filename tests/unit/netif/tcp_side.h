/* What tests of the stack's TCP share: one connection, the child's kernel at one end of it and
 * the flow at the other. */
#ifndef TESTS_NETIF_TCP_SIDE_H
#define TESTS_NETIF_TCP_SIDE_H

#include "base/util.h"
#include "peer.h"

/* The flow side: takes what its budget allows. */
struct tcp_side {
	struct attempt *attempt;
	struct channel *ch;
	int attempts, cancels, eofs, closes, drains, err;
	size_t budget, got;
	uint8_t data[200000];
};

extern struct tcp_side up;
extern struct peer p;
extern struct peer_conn c;

/* MSS 1460, window scale 7, and what Linux sends besides. */
#define LINUX_OPTIONS_LEN 20
extern const uint8_t linux_options[LINUX_OPTIONS_LEN];

int setup_v4(void **state);
int setup_v6(void **state);
int teardown(void **state);

/* The row of a test that runs in both families. */
#define BOTH(f)                                                 \
	cmocka_unit_test_setup_teardown(f, setup_v4, teardown), \
	{                                                       \
#f "_v6", f, setup_v6, teardown, NULL           \
	}

/* The flow accepts the attempt that waits. */
void accept_attempt(void);
/* The connection from SYN to ESTABLISHED. */
void establish(void);
/* The next segment the stack has sent; there must be one. */
struct peer_segment next(void);
/* Neither now nor at the end of the batch. */
void nothing_sent(void);

#endif
