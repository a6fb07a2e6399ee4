#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-4's examples, and lengths around a block's end (Python's hashlib). */
static void known_digests(void **state)
{
	static const struct {
		size_t len;
		char fill;
		const char *text, *digest;
	} rows[] = {
		{ 0, 0, "",
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ 3, 0, "abc",
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ 56, 0, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ 55, 'x', NULL,
		  "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072" },
		{ 63, 'x', NULL,
		  "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2" },
		{ 64, 'x', NULL,
		  "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c" },
		{ 1000, 'x', NULL,
		  "44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f" },
	};
	char data[1000], out[SHA256_HEX_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].text)
			memcpy(data, rows[i].text, rows[i].len);
		else
			memset(data, rows[i].fill, rows[i].len);
		assert_string_equal(sha256_hex(data, rows[i].len, out), rows[i].digest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_digests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
