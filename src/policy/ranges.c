/*
 * Sources: IANA's registries of special-purpose addresses (RFC 6890),
 *   https://www.iana.org/assignments/iana-ipv4-special-registry
 *   https://www.iana.org/assignments/iana-ipv6-special-registry
 * and, for metadata, what each cloud documents. Private is what the registries call not
 * globally reachable, or leave open ("N/A") because the range is retired. Left out are ranges
 * that are refused always (loopback, this network, mapped, multicast) and those that only wrap
 * another address (ranges_embedded()), except the local-use NAT64 prefix.
 */
#include "policy/ranges.h"

#include "base/util.h"
#include "policy/domain.h"

#define V4(a_, b_, c_, d_, bits) \
	.network = { { [10] = 0xff, 0xff, a_, b_, c_, d_ } }, .prefix = 96 + (bits)
#define W(w) (w) >> 8, (w)&0xff
#define V6(w0, w1, w2, w3, w4, w5, w6, w7, bits)                                   \
	.network = { { W(w0), W(w1), W(w2), W(w3), W(w4), W(w5), W(w6), W(w7) } }, \
	.prefix = (bits)
#define GLOBAL .global = true

static const struct range metadata[] = {
	/* AWS, Azure, Google, IBM, Oracle, OpenStack, DigitalOcean, Hetzner and others */
	{ V4(169, 254, 169, 254, 32) },
	/* AWS: docs.aws.amazon.com, "ECS task metadata endpoint", "EKS Pod Identity" */
	{ V4(169, 254, 170, 2, 32) },
	{ V4(169, 254, 170, 23, 32) },
	/* AWS: "Instance metadata service", "EKS Pod Identity" over IPv6 */
	{ V6(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254, 128) },
	{ V6(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0023, 128) },
	/* Azure: learn.microsoft.com, "What is IP address 168.63.129.16?" */
	{ V4(168, 63, 129, 16, 32) },
	/* Alibaba: alibabacloud.com/help, "Instance metadata" */
	{ V4(100, 100, 100, 200, 32) },
	/* Oracle: docs.oracle.com, the metadata service of earlier images */
	{ V4(192, 0, 0, 192, 32) },
	/* Google: cloud.google.com, "metadata server" on machines with IPv6 only */
	{ V6(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254, 128) },
	/* OpenStack: docs.openstack.org, nova, "Metadata service": IPv6 is link-local */
	{ V6(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe, 128) },
	/* Scaleway: scaleway.com/docs, "instance metadata" */
	{ V4(169, 254, 42, 42, 32) },
	{ V6(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042, 128) },
	/* Tencent: cloud.tencent.com, "Querying Instance Metadata" (metadata.tencentyun.com) */
	{ V4(169, 254, 0, 23, 32) },
};

static const struct range private[] = {
	{ V4(10, 0, 0, 0, 8) },	     /* RFC 1918 */
	{ V4(100, 64, 0, 0, 10) },   /* RFC 6598, shared by carriers */
	{ V4(169, 254, 0, 0, 16) },  /* RFC 3927, link-local */
	{ V4(172, 16, 0, 0, 12) },   /* RFC 1918 */
	{ V4(192, 0, 2, 0, 24) },    /* RFC 5737, documentation */
	{ V4(192, 88, 99, 0, 24) },  /* RFC 7526, 6to4 relay anycast, retired */
	{ V4(192, 168, 0, 0, 16) },  /* RFC 1918 */
	{ V4(198, 18, 0, 0, 15) },   /* RFC 2544, benchmarking */
	{ V4(198, 51, 100, 0, 24) }, /* RFC 5737 */
	{ V4(203, 0, 113, 0, 24) },  /* RFC 5737 */
	{ V4(240, 0, 0, 0, 4) },     /* RFC 1112 4, reserved */
	/* RFC 6890, protocol assignments; but anycast of PCP (RFC 7723), TURN (RFC 8155) */
	{ V4(192, 0, 0, 0, 24) },
	{ V4(192, 0, 0, 9, 32), GLOBAL },
	{ V4(192, 0, 0, 10, 32), GLOBAL },

	{ V6(0x64, 0xff9b, 1, 0, 0, 0, 0, 0, 48) },  /* RFC 8215, local-use NAT64 */
	{ V6(0x100, 0, 0, 0, 0, 0, 0, 0, 64) },	     /* RFC 6666, discard */
	{ V6(0x100, 0, 0, 1, 0, 0, 0, 0, 64) },	     /* RFC 9780, dummy */
	{ V6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0, 32) }, /* RFC 3849, documentation */
	{ V6(0x3fff, 0, 0, 0, 0, 0, 0, 0, 20) },     /* RFC 9637, documentation */
	{ V6(0x5f00, 0, 0, 0, 0, 0, 0, 0, 16) },     /* RFC 9602, segment routing */
	{ V6(0xfc00, 0, 0, 0, 0, 0, 0, 0, 7) },	     /* RFC 4193, unique local */
	{ V6(0xfe80, 0, 0, 0, 0, 0, 0, 0, 10) },     /* RFC 4291 2.5.6, link-local */
	{ V6(0xfec0, 0, 0, 0, 0, 0, 0, 0, 10) },     /* RFC 3879, site-local, retired */
	/* RFC 2928, protocol assignments; but Teredo (RFC 4380: wraps), anycast of PCP, TURN
	 * and SRP (RFC 9665), AMT (RFC 7450), AS112 (RFC 7535), ORCHIDv2 (RFC 7343), DRIP
	 * (RFC 9374) */
	{ V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 23) },
	{ V6(0x2001, 0, 0, 0, 0, 0, 0, 0, 32), GLOBAL },
	{ V6(0x2001, 1, 0, 0, 0, 0, 0, 1, 128), GLOBAL },
	{ V6(0x2001, 1, 0, 0, 0, 0, 0, 2, 128), GLOBAL },
	{ V6(0x2001, 1, 0, 0, 0, 0, 0, 3, 128), GLOBAL },
	{ V6(0x2001, 3, 0, 0, 0, 0, 0, 0, 32), GLOBAL },
	{ V6(0x2001, 4, 0x112, 0, 0, 0, 0, 0, 48), GLOBAL },
	{ V6(0x2001, 0x20, 0, 0, 0, 0, 0, 0, 28), GLOBAL },
	{ V6(0x2001, 0x30, 0, 0, 0, 0, 0, 0, 28), GLOBAL },
};

const struct range_table ranges_metadata_table = { metadata, ARRAY_SIZE(metadata) };
const struct range_table ranges_private_table = { private, ARRAY_SIZE(private) };

bool ranges_martian(const struct addr *a)
{
	static const uint8_t zero[16];

	if (addr_is_v4(a))
		return a->b[12] == 127 || a->b[12] == 0; /* RFC 1122 3.2.1.3 */
	return memcmp(a->b, zero, 12) == 0; /* ::, ::1, ::a.b.c.d (RFC 4291 2.5) */
}

bool ranges_multicast(const struct addr *a)
{
	if (addr_is_v4(a))
		return (a->b[12] & 0xf0) == 0xe0 || addr_v4(a) == 0xffffffff;
	return a->b[0] == 0xff;
}

static bool contains(const struct range *r, const struct addr *a)
{
	unsigned whole = r->prefix / 8, rest = r->prefix % 8;

	if (memcmp(r->network.b, a->b, whole))
		return false;
	return rest == 0 || (r->network.b[whole] ^ a->b[whole]) >> (8 - rest) == 0;
}

/* The narrowest row that contains the address, or NULL. */
static const struct range *find(const struct range_table *t, const struct addr *a)
{
	const struct range *best = NULL;

	for (size_t i = 0; i < t->count; i++)
		if (contains(&t->rows[i], a) &&
		    (!best || t->rows[i].prefix > best->prefix))
			best = &t->rows[i];
	return best;
}

bool ranges_link_local(const struct addr *a)
{
	if (addr_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool ranges_metadata(const struct addr *a)
{
	return find(&ranges_metadata_table, a);
}

bool ranges_private(const struct addr *a)
{
	const struct range *r = find(&ranges_private_table, a);

	return (r && !r->global) || ranges_metadata(a);
}

bool ranges_metadata_name(const char *name)
{
	static const char *const names[] = {
		"metadata.google.internal", "metadata.goog", /* Google */
		"instance-data.ec2.internal",
		"metadata.tencentyun.com", /* AWS, Tencent */
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (domain_eq(name, names[i]))
			return true;
	return false;
}

/* --- IPv4 inside IPv6 --- */

static bool begins(const struct addr *a, unsigned at, const void *bytes, size_t len)
{
	return memcmp(a->b + at, bytes, len) == 0;
}

static bool all_zero(const struct addr *a, unsigned from)
{
	for (unsigned i = from; i < 16; i++)
		if (a->b[i])
			return false;
	return true;
}

/*
 * The prefix of local-use NAT64 (RFC 8215) is any within its /48, so the address may stand at
 * four places (RFC 6052 2.2); the octet at 8 is zero and so is what follows the address. Each
 * reading that fits counts, but for 0.0.0.0/8, which is no reading.
 */
static size_t local_nat64(const struct addr *a, struct addr *out)
{
	size_t count = 0;

	for (unsigned at = 6; at <= 8; at++) { /* prefixes of 48, 56 and 64 bits */
		unsigned head = 8 - at;
		uint8_t v4[4];

		memcpy(v4, a->b + at, head);
		memcpy(v4 + head, a->b + 9, 4 - head);
		if (a->b[8] == 0 && all_zero(a, 13 - head) && v4[0])
			out[count++] = addr_from_v4(v4);
	}
	if (a->b[12])
		out[count++] = addr_from_v4(a->b + 12);
	return count;
}

size_t ranges_embedded(const struct addr *a, struct addr out[static RANGES_EMBEDDED_MAX])
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b }; /* RFC 6052 */
	static const uint8_t local[6] = { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 };
	static const uint8_t siit[12] = { [8] = 0xff, [9] = 0xff }; /* RFC 2765 */
	static const uint8_t sixtofour[2] = { 0x20, 0x02 };	    /* RFC 3056 */
	static const uint8_t teredo[4] = { 0x20, 0x01 };	    /* RFC 4380 */
	static const uint8_t isatap[3] = { 0x00, 0x5e, 0xfe };	    /* RFC 5214 6.1 */
	size_t count = 0;

	if (begins(a, 0, nat64, 12) || begins(a, 0, siit, 12)) {
		out[count++] = addr_from_v4(a->b + 12);
	} else if (begins(a, 0, local, 6)) {
		count = local_nat64(a, out);
	} else if (begins(a, 0, sixtofour, 2)) {
		out[count++] = addr_from_v4(a->b + 2);
	} else if (begins(a, 0, teredo, 4)) {
		uint8_t client[4];

		/* A packet that opens the way goes to the server's address too. */
		for (unsigned i = 0; i < 4; i++)
			client[i] = ~a->b[12 + i];
		out[count++] = addr_from_v4(a->b + 4);
		out[count++] = addr_from_v4(client);
	}
	if ((a->b[8] & ~0x02) == 0 && begins(a, 9, isatap, 3))
		out[count++] = addr_from_v4(a->b + 12);
	return count;
}
