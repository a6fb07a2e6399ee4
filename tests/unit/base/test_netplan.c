#include "base/netplan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void addresses_follow_the_entropy(void **state)
{
	char text[ADDR_TEXT_MAX];
	struct netplan np;

	(void)state;
	netplan_choose(&np, 0x1234abcd, 1500);
	/* 10.240.<bits 8..15>.<4 * bits 0..5>/30 */
	assert_string_equal(addr_format(&np.gateway4, text), "10.240.171.53");
	assert_string_equal(addr_format(&np.child4, text), "10.240.171.54");
	assert_string_equal(addr_format(&np.gateway6, text), "fd42:1234:abcd::1");
	assert_string_equal(addr_format(&np.child6, text), "fd42:1234:abcd::2");
	assert_int_equal(np.mtu, 1500);
}

static void any_entropy_gives_a_usable_plan(void **state)
{
	(void)state;
	for (uint32_t e = 0; e < 1u << 16; e++) {
		struct netplan np;

		netplan_choose(&np, e * 65537u, 1500);
		/* the two host addresses of an aligned /30 */
		assert_int_equal(np.gateway4.b[15] % 4, 1);
		assert_int_equal(np.child4.b[15], np.gateway4.b[15] + 1);
		assert_int_equal(np.gateway6.b[0], 0xfd);
		/* unicast, locally administered, and not one another's */
		assert_int_equal(np.gateway_mac[0] & 3, 2);
		assert_int_equal(np.child_mac[0] & 3, 2);
		assert_memory_not_equal(np.gateway_mac, np.child_mac, 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_follow_the_entropy),
		cmocka_unit_test(any_entropy_gives_a_usable_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
