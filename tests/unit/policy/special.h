/* The special ranges once more, written by hand from their sources: not the product's table. */
#ifndef POLICY_SPECIAL_H
#define POLICY_SPECIAL_H

#include <stdbool.h>

static const struct special {
	const char *first, *last;
	bool global;
} special_private[] = {
	{ "10.0.0.0", "10.255.255.255", false },
	{ "100.64.0.0", "100.127.255.255", false },
	{ "169.254.0.0", "169.254.255.255", false },
	{ "172.16.0.0", "172.31.255.255", false },
	{ "192.0.0.0", "192.0.0.255", false },
	{ "192.0.0.9", "192.0.0.9", true },
	{ "192.0.0.10", "192.0.0.10", true },
	{ "192.0.2.0", "192.0.2.255", false },
	{ "192.88.99.0", "192.88.99.255", false },
	{ "192.168.0.0", "192.168.255.255", false },
	{ "198.18.0.0", "198.19.255.255", false },
	{ "198.51.100.0", "198.51.100.255", false },
	{ "203.0.113.0", "203.0.113.255", false },
	{ "240.0.0.0", "255.255.255.255", false },
	{ "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false },
	{ "100::", "100::ffff:ffff:ffff:ffff", false },
	{ "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", false },
	{ "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false },
	{ "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "2001:1::1", "2001:1::1", true },
	{ "2001:1::2", "2001:1::2", true },
	{ "2001:1::3", "2001:1::3", true },
	{ "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", true },
	{ "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false },
	{ "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false },
	{ "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false },
	{ "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false },
	{ "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false },
	{ "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false },
};

static const char *const special_metadata[] = {
	"169.254.169.254", "169.254.170.2", "169.254.170.23", "168.63.129.16",
	"100.100.100.200", "192.0.0.192",   "169.254.42.42",  "169.254.0.23",
	"fd00:ec2::254",   "fd00:ec2::23",  "fd20:ce::254",   "fe80::a9fe:a9fe",
	"fd00:42::42",
};

#endif
