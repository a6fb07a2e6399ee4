#include "base/netplan.h"

void netplan_choose(struct netplan *np, uint32_t entropy, unsigned mtu)
{
	uint32_t e = entropy & 0x7fffffff;
	uint8_t base4[4] = { 10, 240, (e >> 8) & 255, 4 * (e & 63) };
	uint8_t base6[16] = { 0xfd,	      0x42,   e >> 24, (e >> 16) & 255,
			      (e >> 8) & 255, e & 255 };

	base4[3] += 1;
	np->gateway4 = addr_from_v4(base4);
	base4[3] += 1;
	np->child4 = addr_from_v4(base4);
	base6[15] = 1;
	np->gateway6 = addr_from_v6(base6);
	base6[15] = 2;
	np->child6 = addr_from_v6(base6);

	/* Locally administered unicast (bit 1 of the first octet, IEEE 802). */
	memcpy(np->gateway_mac, (uint8_t[]){ 0x02, 0xcf, 240, base4[2], base4[3] - 1, 1 },
	       6);
	memcpy(np->child_mac, (uint8_t[]){ 0x02, 0xcf, 240, base4[2], base4[3] - 1, 2 },
	       6);
	np->mtu = mtu;
	np->ipv6 = false;
}
