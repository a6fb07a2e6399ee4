#include "world.h"

struct row {
	const char *addr;
	enum answer_class class;
	enum reason reason;
};

static const struct row rows[] = {
	{ "93.184.216.34", ANSWER_CLASS_PUBLIC, REASON_ALLOWED },
	{ "2606:4700::1", ANSWER_CLASS_PUBLIC, REASON_ALLOWED },
	{ "127.0.0.1", ANSWER_CLASS_NEVER, REASON_MARTIAN },
	{ "0.0.0.0", ANSWER_CLASS_NEVER, REASON_MARTIAN },
	{ "::1", ANSWER_CLASS_NEVER, REASON_MARTIAN },
	{ "::", ANSWER_CLASS_NEVER, REASON_MARTIAN },
	{ "::127.0.0.1", ANSWER_CLASS_NEVER, REASON_MARTIAN },
	{ "224.0.0.251", ANSWER_CLASS_NEVER, REASON_MULTICAST },
	{ "255.255.255.255", ANSWER_CLASS_NEVER, REASON_MULTICAST },
	{ "ff02::fb", ANSWER_CLASS_NEVER, REASON_MULTICAST },
	{ "169.254.169.254", ANSWER_CLASS_NEVER, REASON_METADATA },
	{ "168.63.129.16", ANSWER_CLASS_NEVER, REASON_METADATA },
	{ "fd00:ec2::254", ANSWER_CLASS_NEVER, REASON_METADATA },
	{ "169.254.7.7", ANSWER_CLASS_NEVER, REASON_PRIVATE },
	{ "fe80::1", ANSWER_CLASS_NEVER, REASON_PRIVATE },
	{ "10.1.2.3", ANSWER_CLASS_PRIVATE, REASON_PRIVATE },
	{ "192.168.1.1", ANSWER_CLASS_PRIVATE, REASON_PRIVATE },
	{ "fd12::1", ANSWER_CLASS_PRIVATE, REASON_PRIVATE },
	{ "198.18.0.1", ANSWER_CLASS_PRIVATE, REASON_PRIVATE },
	/* what is inside counts */
	{ "64:ff9b::7f00:1", ANSWER_CLASS_NEVER, REASON_MARTIAN },
	{ "64:ff9b::a9fe:a9fe", ANSWER_CLASS_NEVER, REASON_METADATA },
	{ "64:ff9b::a9fe:707", ANSWER_CLASS_NEVER, REASON_PRIVATE },
	{ "2002:e000:fb::1", ANSWER_CLASS_NEVER, REASON_MULTICAST },
	{ "2002:a01:203::1", ANSWER_CLASS_PRIVATE, REASON_PRIVATE },
	{ "64:ff9b::5db8:d822", ANSWER_CLASS_PUBLIC, REASON_ALLOWED },
	/* the host's own */
	{ "93.184.230.7", ANSWER_CLASS_PRIVATE, REASON_PRIVATE },
	{ "64:ff9b::5db8:e607", ANSWER_CLASS_PRIVATE, REASON_PRIVATE },
};

/* Whatever the switches say: they are for those who ask. */
static void what_an_answer_means(void **state)
{
	struct addr_range own = world_range("93.184.230.7/32");

	(void)state;
	for (int blocked = 0; blocked < 2; blocked++) {
		struct world w;

		world_init(&w);
		w.policy.block_private = w.policy.block_metadata = blocked;
		assert_int_equal(policy_set_host_addresses(&w.policy, &own, 1), 0);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct addr a = world_addr(rows[i].addr);
			enum reason why = REASON_COUNT;

			if (policy_classify_answer(&w.policy, &a, &why) != rows[i].class ||
			    why != rows[i].reason)
				fail_msg("%s", rows[i].addr);
		}
		world_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_answer_means),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
