#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

/* --- writing --- */

static void assert_written(struct json *j, const char *expected)
{
	size_t len;
	const char *text = json_text(j, &len);

	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(strlen(text), len);
	json_reset(j);
}

static void write_some(struct json *j)
{
	json_object(j, NULL);
	json_string(j, "text", "a\"\\/\n\x01\x7f\xc3\xa9");
	json_string(j, "none", NULL);
	json_int(j, "low", INT64_MIN);
	json_uint(j, "high", UINT64_MAX);
	json_bool(j, "yes", true);
	json_array(j, "list");
	json_null(j, NULL);
	json_object(j, NULL);
	json_end(j);
	json_uint(j, NULL, 0);
	json_end(j);
	json_array(j, "empty");
	json_end(j);
	json_object(j, "nothing");
	json_end(j);
	json_end(j);
}

static void writes_compactly(void **state)
{
	struct json *j = json_new(JSON_COMPACT);

	(void)state;
	for (int i = 0; i < 2; i++) {
		write_some(j);
		assert_written(
			j, "{\"text\":\"a\\\"\\\\/\\n\\u0001\x7f\xc3\xa9\",\"none\":null,"
			   "\"low\":-9223372036854775808,\"high\":18446744073709551615,"
			   "\"yes\":true,\"list\":[null,{},0],\"empty\":[],"
			   "\"nothing\":{}}");
	}
	json_free(j);
}

static void writes_prettily(void **state)
{
	struct json *j = json_new(JSON_PRETTY);

	(void)state;
	json_object(j, NULL);
	json_array(j, "list");
	json_uint(j, NULL, 1);
	json_string(j, NULL, "two");
	json_end(j);
	json_array(j, "empty");
	json_end(j);
	json_object(j, "inner");
	json_object(j, "empty");
	json_end(j);
	json_end(j);
	json_end(j);
	assert_written(j, "{\n"
			  "  \"list\": [\n"
			  "    1,\n"
			  "    \"two\"\n"
			  "  ],\n"
			  "  \"empty\": [],\n"
			  "  \"inner\": {\n"
			  "    \"empty\": {}\n"
			  "  }\n"
			  "}");
	json_object(j, NULL);
	json_end(j);
	assert_written(j, "{}");
	json_free(j);
}

static void nothing_in_a_page_is_markup(void **state)
{
	struct json *j = json_new(JSON_IN_HTML);

	(void)state;
	json_object(j, NULL);
	json_string(j, "<&>", "</script><!--&amp;");
	json_end(j);
	assert_written(j, "{\"\\u003c\\u0026\\u003e\":\"\\u003c/script\\u003e"
			  "\\u003c!--\\u0026amp;\"}");
	json_free(j);
}

static void bytes_that_are_no_text_are_kept(void **state)
{
	struct json *j = json_new(JSON_COMPACT);

	(void)state;
	json_object(j, NULL);
	json_bytes(j, "comm", "ok", 2);
	json_bytes(j, "exe", "a\xff\xe2\x82z", 5);
	json_bytes(j, "nul", "\0", 1);
	json_bytes(j, "f", "\xff", 1);
	json_bytes(j, "ff", "\xff\xff", 2);
	json_bytes(j, "fff", "\xff\xff\xff", 3);
	assert_true(json_string(j, "good", "\xf4\x8f\xbf\xbf"));
	assert_false(json_string(j, "surrogate", "\xed\xa0\x80"));
	assert_false(json_string(j, "long form", "\xc0\x80"));
	json_end(j);
#define BAD "\xef\xbf\xbd"
	assert_written(j, "{\"comm\":\"ok\","
			  "\"exe\":\"a" BAD BAD BAD "z\",\"exe_b64\":\"Yf/ign"
			  "o=\","
			  "\"nul\":\"\\u0000\","
			  "\"f\":\"" BAD "\",\"f_b64\":\"/w==\","
			  "\"ff\":\"" BAD BAD "\",\"ff_b64\":\"//8=\","
			  "\"fff\":\"" BAD BAD BAD "\",\"fff_b64\":\"////\","
			  "\"good\":\"\xf4\x8f\xbf\xbf\","
			  "\"surrogate\":\"" BAD BAD BAD "\","
			  "\"long form\":\"" BAD BAD "\"}");
	json_free(j);
}

static void what_is_long_is_written_whole(void **state)
{
	struct json *j = json_new(JSON_COMPACT);
	size_t size = 300000, len;
	char *big = calloc(1, size + 1);
	const char *text;

	(void)state;
	memset(big, 'x', size);
	json_array(j, NULL);
	json_string(j, NULL, big);
	json_string(j, NULL, big);
	json_end(j);
	text = json_text(j, &len);
	assert_int_equal(len, 2 * size + 7);
	assert_string_equal(text + len - 2, "\"]");
	free(big);
	json_free(j);
}

/* --- reading --- */

struct trace {
	char text[4096];
	size_t len;
};

static void on_item(void *ctx, const struct json_item *item)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",	  [JSON_BOOL] = "bool",
		[JSON_INT] = "int",	  [JSON_DOUBLE] = "double",
		[JSON_STRING] = "string", [JSON_OBJECT] = "object",
		[JSON_ARRAY] = "array",	  [JSON_END] = "end",
	};
	struct trace *t = ctx;
	char value[256] = "";

	switch (item->type) {
	case JSON_BOOL:
		snprintf(value, sizeof(value), " %d", item->boolean);
		break;
	case JSON_INT:
		snprintf(value, sizeof(value), " %lld", (long long)item->integer);
		break;
	case JSON_DOUBLE:
		snprintf(value, sizeof(value), " %g", item->number);
		break;
	case JSON_STRING:
		snprintf(value, sizeof(value), " %.*s", (int)item->len, item->text);
		break;
	default:
		break;
	}
	t->len += snprintf(t->text + t->len, sizeof(t->text) - t->len, "%u %.*s %s%s\n",
			   item->depth, (int)item->key_len, item->key ? item->key : "",
			   names[item->type], value);
	assert_true(t->len < sizeof(t->text));
}

static void assert_read(struct json_reader *r, struct trace *t, const char *line,
			const char *expected)
{
	struct error err = { 0 };

	t->len = 0;
	assert_int_equal(json_read(r, line, strlen(line), &err), 0);
	assert_string_equal(t->text, expected);
}

static void tells_what_it_reads(void **state)
{
	struct trace t = { .len = 0 };
	struct json_reader *r = json_reader_new(on_item, &t);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_read(
			r,
			&t, " {\"a\":1,\"b\":[true,null,{\"c\":\"x\\u00e9\"}],\"d\":-1.5e3}\n",
			"0  object\n"
			"1 a int 1\n"
			"1 b array\n"
			"2  bool 1\n"
			"2  null\n"
			"2  object\n"
			"3 c string x\xc3\xa9\n"
			"2  end\n"
			"1  end\n"
			"1 d double -1500\n"
			"0  end\n");
		assert_read(r, &t, "{}", "0  object\n0  end\n");
	}
	json_reader_free(r);
}

static void keys_may_be_escaped(void **state)
{
	struct trace t = { .len = 0 };
	struct json_reader *r = json_reader_new(on_item, &t);

	(void)state;
	assert_read(r, &t, "{\"\\u0061b\":\"\\u0063d\",\"\\u0065\":{\"f\":1}}\n",
		    "0  object\n1 ab string cd\n1 e object\n2 f int 1\n1  end\n0  end\n");
	json_reader_free(r);
}

static void numbers_have_bounds(void **state)
{
	struct trace t = { .len = 0 };
	struct json_reader *r = json_reader_new(on_item, &t);

	(void)state;
	assert_read(r, &t,
		    "{\"a\":9223372036854775807,\"b\":9223372036854775808,"
		    "\"c\":-9223372036854775808,\"d\":0,\"e\":1.0}",
		    "0  object\n1 a int 9223372036854775807\n1 b double 9.22337e+18\n"
		    "1 c int -9223372036854775808\n1 d int 0\n1 e double 1\n0  end\n");
	json_reader_free(r);
}

static void assert_refused(struct json_reader *r, const char *line, const char *why)
{
	struct error err = { 0 };

	assert_int_equal(json_read(r, line, strlen(line), &err), -1);
	assert_string_equal(err.text, why);
}

static void refuses_what_is_not_one_object(void **state)
{
	struct trace t = { .len = 0 };
	struct json_reader *r = json_reader_new(on_item, &t);
	static const char *const rows[][2] = {
		{ "", "nothing" },
		{ " \n", "nothing" },
		{ "[]", "not an object" },
		{ "1", "not an object" },
		{ "\"x\"\n", "not an object" },
		{ "{}{}", "more than one object on a line" },
		{ "{} {}\n", "more than one object on a line" },
		{ "{} 1", "not an object" },
		{ "{\"a\":", "the object has no end" },
		{ "{\"a\":{}", "the object has no end" },
		{ "{}}", "parse error: unallowed token at this point in JSON text" },
		{ "{\"a\" 1}", "parse error: object key and value must be separated by a "
			       "colon (':')" },
		{ "{\"a\":1e999}", "a number that is too large" },
		{ "{\"\xff\":1}", "a string that is not Unicode" },
		{ "{\"a\":\"\\ude00\"}", "a string that is not Unicode" },
		{ "{\"\\udc00x\":1}", "a string that is not Unicode" },
		{ "hello", "lexical error: invalid char in json text." },
		{ "{/**/}",
		  "lexical error: probable comment found in input text, comments "
		  "are not enabled." },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t.len = 0;
		assert_refused(r, rows[i][0], rows[i][1]);
		assert_read(r, &t, "{}\n", "0  object\n0  end\n");
	}
	/* What the next line would have ended. */
	t.len = 0;
	assert_refused(r, "{} \"x", "lexical error: invalid character inside string.");
	assert_refused(r, "{} tru", "lexical error: invalid string in json text.");
	assert_refused(r, "{} 12\n", "not an object");
	json_reader_free(r);
}

static void depth_is_bounded(void **state)
{
	struct trace t = { .len = 0 };
	struct json_reader *r = json_reader_new(on_item, &t);
	char deep[2 * JSON_DEPTH_MAX + 16] = "{\"a\":";
	struct error err;
	size_t n = strlen(deep);

	(void)state;
	memset(deep + n, '[', JSON_DEPTH_MAX - 1);
	memset(deep + n + JSON_DEPTH_MAX - 1, ']', JSON_DEPTH_MAX - 1);
	strcpy(deep + n + 2 * (JSON_DEPTH_MAX - 1), "}");
	assert_int_equal(json_read(r, deep, strlen(deep), &err), 0);
	memset(deep + n, '[', JSON_DEPTH_MAX);
	deep[n + JSON_DEPTH_MAX] = '\0';
	assert_refused(r, deep, "nested too deep");
	json_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_compactly),
		cmocka_unit_test(writes_prettily),
		cmocka_unit_test(nothing_in_a_page_is_markup),
		cmocka_unit_test(bytes_that_are_no_text_are_kept),
		cmocka_unit_test(what_is_long_is_written_whole),
		cmocka_unit_test(tells_what_it_reads),
		cmocka_unit_test(keys_may_be_escaped),
		cmocka_unit_test(numbers_have_bounds),
		cmocka_unit_test(refuses_what_is_not_one_object),
		cmocka_unit_test(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
