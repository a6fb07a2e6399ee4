/* The links, addresses, neighbours and routes of the child's network namespace. */
#ifndef SANDBOX_NETLINK_H
#define SANDBOX_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/netplan.h"

#define NETLINK_BATCH_BYTES 2048
#define NETLINK_BATCH_REQUESTS 12

/* Requests that go to the kernel in one send; request i has sequence number i + 1. */
struct netlink_batch {
	size_t len;
	size_t count;
	const char *what[NETLINK_BATCH_REQUESTS]; /* for the error sentence */
	uint8_t bytes[NETLINK_BATCH_BYTES] __attribute__((aligned(4)));
};

/* Fills in what the plan asks for; pure. `tap` is the interface index of the tap. */
void netlink_build(struct netlink_batch *b, const struct netplan *plan, int tap);
/* The tap goes down and stays; pure. */
void netlink_build_down(struct netlink_batch *b, int tap);

/* A rtnetlink socket of the current network namespace, or -1. */
int netlink_open(struct error *err);
/* Sends the batch and checks every answer. */
int netlink_commit(int sock, const struct netlink_batch *b, struct error *err);

/* Whether the current network namespace can carry IPv6. */
int netlink_has_ipv6(bool *has, struct error *err);

#endif
