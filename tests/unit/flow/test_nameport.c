#include "flow/nameport.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/util.h"

static const struct {
	uint16_t port;
	enum nameport_kind tcp, udp;
} rows[] = {
	{ 53, NAMEPORT_DNS, NAMEPORT_DNS },
	{ 137, NAMEPORT_NETBIOS, NAMEPORT_NETBIOS },
	{ 138, NAMEPORT_NETBIOS, NAMEPORT_NETBIOS },
	{ 853, NAMEPORT_DOT, NAMEPORT_DOQ },
	{ 5353, NAMEPORT_MDNS, NAMEPORT_MDNS },
	{ 5355, NAMEPORT_LLMNR, NAMEPORT_LLMNR },
};

static enum nameport_kind expected(uint16_t port, uint8_t protocol)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].port == port)
			return protocol == IPPROTO_TCP ? rows[i].tcp :
			       protocol == IPPROTO_UDP ? rows[i].udp :
							 NAMEPORT_OTHER;
	return NAMEPORT_OTHER;
}

static void test_every_port(void **state)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP,
					     IPPROTO_ICMPV6 };

	(void)state;
	for (unsigned port = 0; port <= UINT16_MAX; port++)
		for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
			if (nameport_kind(protocols[i], port) !=
			    expected(port, protocols[i]))
				fail_msg("protocol %u, port %u", protocols[i], port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
