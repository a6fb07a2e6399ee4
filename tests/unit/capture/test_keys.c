#include "blocks.h"

#include <stdlib.h>

#include "base/util.h"
#include "capture/keys.h"

#define RANDOM "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		bool good;
		unsigned parts;
	} rows[] = {
		{ "CLIENT_RANDOM " RANDOM " aB01", true, KEYS_COMPLETE },
		{ "CLIENT_TRAFFIC_SECRET_0 " RANDOM " 00", true, KEYS_CLIENT },
		{ "SERVER_TRAFFIC_SECRET_0 " RANDOM " 00", true, KEYS_SERVER },
		{ "EXPORTER_SECRET " RANDOM " 00", true, 0 },
		{ "QUIC_CLIENT_TRAFFIC_SECRET_0 " RANDOM " 00", true, 0 },
		{ "", false, 0 },
		{ " ", false, 0 },
		{ "# TLS secrets log file", false, 0 },
		{ "CLIENT_RANDOM", false, 0 },
		{ "CLIENT_RANDOM ", false, 0 },
		{ "CLIENT_RANDOM " RANDOM, false, 0 },
		{ "CLIENT_RANDOM " RANDOM " ", false, 0 },
		{ "CLIENT_RANDOM " RANDOM " 1", false, 0 },
		{ "CLIENT_RANDOM " RANDOM " 12 ", false, 0 },
		{ "CLIENT_RANDOM " RANDOM " 1g", false, 0 },
		{ "CLIENT_RANDOM " RANDOM "00 12", false, 0 },
		{ "client_random " RANDOM " 12", false, 0 },
		{ "CLIENT\tRANDOM " RANDOM " 12", false, 0 },
		{ "CLIENT_RANDOM " RANDOM " 12\r", false, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* Of just that size, for sanitizers to see. */
		size_t len = strlen(rows[i].line);
		cleanup_free char *line = malloc(len + 1);
		struct keys_line key;

		memcpy(line, rows[i].line, len);
		line[len] = 'f';
		if (keys_parse(line, len, &key) != rows[i].good)
			fail_msg("'%s'", rows[i].line);
		if (!rows[i].good)
			continue;
		assert_int_equal(key.parts, rows[i].parts);
		for (int k = 0; k < KEYS_RANDOM_LEN; k++)
			assert_int_equal(key.random[k], k);
	}
}

static void test_long_secrets(void **state)
{
	char line[1024] = "CLIENT_RANDOM " RANDOM " ";
	size_t at = strlen(line);
	struct keys_line key;

	memset(line + at, 'a', 400);
	assert_true(keys_parse(line, at + 192, &key));
	assert_false(keys_parse(line, at + 194, &key));
}

static void test_hellos(void **state)
{
	uint8_t hello[5 + 4 + 2 + 32] = { 22, 3, 1, 2, 0, 1 };

	hello[11] = 0x42;
	assert_ptr_equal(keys_client_random(hello, sizeof(hello)), hello + 11);
	for (size_t n = 0; n < sizeof(hello); n++)
		assert_null(keys_client_random(hello, n));
	hello[5] = 2;
	assert_null(keys_client_random(hello, sizeof(hello)));
	assert_true(keys_is_handshake(hello, sizeof(hello)));
	hello[0] = 23;
	assert_false(keys_is_handshake(hello, sizeof(hello)));
	assert_false(keys_is_handshake(hello, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long_secrets),
		cmocka_unit_test(test_hellos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
