#include "blocks.h"

#include <stdlib.h>

#include "base/util.h"
#include "capture/pcapng.h"

static uint8_t room[20000];

static struct pcapng_buf empty(void)
{
	memset(room, 0xee, sizeof(room));
	return (struct pcapng_buf){ .data = room, .room = sizeof(room) };
}

static void assert_text(const uint8_t *b, size_t at, uint16_t code, const char *text)
{
	uint16_t len;
	const uint8_t *value = block_option(b, at, code, &len);

	assert_non_null(value);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(value, text, len);
}

static void test_section(void **state)
{
	struct pcapng_buf buf = empty();
	const uint8_t *b;
	uint16_t len;

	assert_true(
		pcapng_section(&buf, &(struct pcapng_section){ "app", NULL, "words" }));
	b = block(room, buf.len, 0);
	assert_int_equal(get32(b), 0x0a0d0d0a);
	assert_int_equal(get32(b + 8), 0x1a2b3c4d);
	assert_int_equal(get32(b + 16), UINT32_MAX);
	assert_text(b, 24, 4, "app");
	assert_text(b, 24, 1, "words");
	assert_null(block_option(b, 24, 3, &len));
	assert_null(block(room, buf.len, 1));
}

static void test_interface(void **state)
{
	struct pcapng_buf buf = empty();
	const struct pcapng_interface i = { 1, 1234, "tap0", "what it is", "tcp" };
	const uint8_t *b, *value;
	uint16_t len;

	assert_true(pcapng_interface(&buf, &i));
	b = block(room, buf.len, 0);
	assert_int_equal(get32(b), 1);
	assert_int_equal(get32(b + 8), 1);
	assert_int_equal(get32(b + 12), 1234);
	assert_text(b, 16, 2, "tap0");
	assert_text(b, 16, 3, "what it is");
	value = block_option(b, 16, 9, &len);
	assert_true(len == 1 && *value == 9);
	value = block_option(b, 16, 11, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(value, "\0tcp", 4);
}

static void test_packet(void **state)
{
	for (uint32_t n = 0; n < 9; n++) {
		struct pcapng_buf buf = empty();
		const struct pcapng_packet p = { .time_ns = UINT64_C(0x123456789abcdef0),
						 .data = (const uint8_t *)"12345678",
						 .captured = n,
						 .original = 100,
						 .direction = PCAPNG_OUTBOUND,
						 .pid = 77 };
		const uint8_t *b, *value;
		size_t at = 28 + ((n + 3) & ~3u);
		uint16_t len;

		assert_true(pcapng_packet(&buf, &p));
		b = block(room, buf.len, 0);
		assert_int_equal(get32(b), 6);
		assert_int_equal(get32(b + 12), 0x12345678);
		assert_int_equal(get32(b + 16), 0x9abcdef0);
		assert_int_equal(get32(b + 20), n);
		assert_int_equal(get32(b + 24), 100);
		assert_memory_equal(b + 28, "12345678", n);
		value = block_option(b, at, 2, &len);
		assert_true(len == 4 && get32(value) == 2);
		value = block_option(b, at, 8, &len);
		assert_true(len == 8 && get32(value) == 77 && get32(value + 4) == 77);
		assert_null(block_option(b, at, 1, &len));
	}
}

/* What is said later stands in the same block. */
static void test_additions(void **state)
{
	struct pcapng_buf buf = empty();
	const struct pcapng_packet p = { .data = (const uint8_t *)"12345",
					 .captured = 5,
					 .original = 5 };
	const uint8_t *b, *value;
	uint16_t len;
	size_t at;

	assert_true(pcapng_packet(&buf, &p));
	at = buf.len;
	assert_true(pcapng_packet(&buf, &p));
	assert_true(pcapng_packet(&buf, &p));
	assert_true(pcapng_add_comment(&buf, at, "refused"));
	assert_true(pcapng_add_process(&buf, at, 5));
	b = block(room, buf.len, 1);
	assert_text(b, 36, 1, "refused");
	value = block_option(b, 36, 8, &len);
	assert_int_equal(get32(value), 5);
	value = block_option(b, 36, 2, &len);
	assert_int_equal(get32(value), 0);
	assert_null(block_option(block(room, buf.len, 0), 36, 1, &len));
	assert_null(block_option(block(room, buf.len, 2), 36, 1, &len));
	assert_null(block(room, buf.len, 3));
}

/* A block that doesn't fit leaves no trace, however little is missing. */
static void test_room(void **state)
{
	const struct pcapng_packet p = { .data = (const uint8_t *)"12345",
					 .captured = 5,
					 .original = 5,
					 .comment = "words" };
	struct pcapng_buf all = empty();
	size_t need;

	assert_true(pcapng_packet(&all, &p));
	need = all.len;
	for (size_t n = 0; n <= need; n++) {
		struct pcapng_buf buf = empty();

		buf.room = n;
		assert_int_equal(pcapng_packet(&buf, &p), n == need);
		assert_int_equal(buf.len, n == need ? n : 0);
		assert_int_equal(room[n], 0xee);
	}
	all.room = all.len + 7;
	assert_false(pcapng_add_comment(&all, 0, "more"));
	assert_false(pcapng_add_process(&all, 0, 1));
	assert_int_equal(all.len, need);
	assert_non_null(block(room, all.len, 0));
}

static void test_text(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" },
		{ "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z",
		  "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z" },
		{ "\xff|\xc3|\xe2\x82",
		  "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd" },
		/* overlong, surrogate, beyond the end */
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pcapng_buf buf = empty();

		assert_true(pcapng_section(
			&buf, &(struct pcapng_section){ .comment = rows[i].in }));
		assert_text(block(room, buf.len, 0), 24, 1, rows[i].out);
	}
}

static void test_long_text(void **state)
{
	static char text[3 * PCAPNG_TEXT_MAX];
	struct pcapng_buf buf = empty();
	uint16_t len;

	memset(text, '\xff', sizeof(text) - 1);
	assert_true(pcapng_section(&buf, &(struct pcapng_section){ .comment = text }));
	assert_non_null(block_option(block(room, buf.len, 0), 24, 1, &len));
	assert_true(len <= PCAPNG_TEXT_MAX && len > PCAPNG_TEXT_MAX - 8);
}

static void test_others(void **state)
{
	struct pcapng_buf buf = empty();
	const struct pcapng_process process = { 0x1234, "sh", "/bin/sh" };
	const struct pcapng_statistics statistics = { .received = 7, .dropped = 3 };
	struct addr a;
	const uint8_t *b;
	uint16_t len;

	assert_true(addr_parse("192.0.2.1", &a));
	assert_true(pcapng_name(&buf, &a, "a.example"));
	assert_true(addr_parse("2001:db8::1", &a));
	assert_true(pcapng_name(&buf, &a, "b"));
	assert_true(pcapng_statistics(&buf, &statistics));
	assert_true(pcapng_secrets(&buf, "KEY 1 2\n", 8));
	assert_true(pcapng_process(&buf, &process));

	b = block(room, buf.len, 0);
	assert_int_equal(get32(b), 4);
	assert_memory_equal(b + 8, "\1\0\16\0\300\0\2\1a.example\0\0\0\0\0\0\0", 24);
	b = block(room, buf.len, 1);
	assert_memory_equal(b + 8, "\2\0\22\0\x20\x01\x0d\xb8", 8);
	b = block(room, buf.len, 2);
	assert_int_equal(get32(b), 5);
	assert_int_equal(get32(block_option(b, 20, 4, &len)), 7);
	assert_int_equal(get32(block_option(b, 20, 5, &len)), 3);
	b = block(room, buf.len, 3);
	assert_int_equal(get32(b), 10);
	assert_int_equal(get32(b + 8), 0x544c534b);
	assert_int_equal(get32(b + 12), 8);
	assert_memory_equal(b + 16, "KEY 1 2\n", 8);
	b = block(room, buf.len, 4);
	assert_int_equal(get32(b), 0xbad);
	assert_int_equal(get32(b + 8), 32622);
	assert_int_equal(get32(b + 12), 3);
	assert_int_equal(get32(b + 16), get32(b + 4) - 24);
	assert_int_equal(get32(b + 20), 0x1234);
	assert_memory_equal(b + 24, "\2\0\2\0sh\0\0\3\0\7\0/bin/sh\0\0\0\0\0", 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section),	  cmocka_unit_test(test_interface),
		cmocka_unit_test(test_packet),	  cmocka_unit_test(test_additions),
		cmocka_unit_test(test_room),	  cmocka_unit_test(test_text),
		cmocka_unit_test(test_long_text), cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
