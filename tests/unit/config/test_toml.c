#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/toml.h"

/* --- what has been read, as text: key=value; with strings in <> --- */

static void show_value(FILE *out, const struct toml_value *v)
{
	switch (v->kind) {
	case TOML_STRING:
		fprintf(out, "<%s>", v->text);
		break;
	case TOML_BOOLEAN:
		fputs(v->boolean ? "true" : "false", out);
		break;
	case TOML_INTEGER:
		fprintf(out, "%" PRId64, v->integer);
		break;
	case TOML_ARRAY:
		fputc('[', out);
		for (size_t i = 0; i < v->count; i++) {
			fputs(i ? "," : "", out);
			show_value(out, &v->items[i]);
		}
		fputc(']', out);
		break;
	}
}

static int show_entry(void *ctx, const char *key, const struct toml_value *v,
		      struct error *err)
{
	fprintf(ctx, "%s=", key);
	show_value(ctx, v);
	fputc(';', ctx);
	return 0;
}

/* Returns what has been read, to be freed; *rc is what toml_read() says. */
static char *read_text(const char *text, size_t len, int *rc, struct error *err)
{
	/* A copy of just this size: whoever reads behind it meets the sanitizers. */
	cleanup_free char *copy = malloc(len ? len : 1);
	char *shown = NULL;
	size_t shown_len;
	FILE *out = open_memstream(&shown, &shown_len);

	assert_non_null(copy);
	assert_non_null(out);
	memcpy(copy, text, len);
	*err = (struct error){ .code = 0 };
	*rc = toml_read(copy, len, "file.toml", show_entry, out, err);
	assert_int_equal(fclose(out), 0);
	return shown;
}

static void expect(const char *text, size_t len, const char *shown)
{
	struct error err;
	int rc;
	cleanup_free char *got = read_text(text, len, &rc, &err);

	if (rc < 0)
		fail_msg("%s refused: %s", text, err.text);
	if (strcmp(got, shown) != 0)
		fail_msg("%s: read as %s, not %s", text, got, shown);
}

static void expect_error(const char *text, size_t len, const char *sentence)
{
	struct error err;
	int rc;
	cleanup_free char *got = read_text(text, len, &rc, &err);

	if (rc == 0)
		fail_msg("%s: read as %s, but expected %s", text, got, sentence);
	if (strcmp(err.text, sentence) != 0)
		fail_msg("%s: '%s', not '%s'", text, err.text, sentence);
	assert_true(err.cure[0]);
}

struct row {
	const char *text;
	size_t len;
	const char *result;
};

#define ROW(text, result)                           \
	{                                           \
		(text), sizeof(text) - 1, (result), \
	}

static void expect_all(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(rows[i].text, rows[i].len, rows[i].result);
}

static void expect_errors(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *sentence = NULL;

		assert_true(asprintf(&sentence, "file.toml:%s", rows[i].result) > 0);
		expect_error(rows[i].text, rows[i].len, sentence);
	}
}

/* --- what is read --- */

/* clang-format off */
static const struct row lines[] = {
	ROW("", ""),
	ROW("\n\n  \t\n# nothing", ""),
	ROW("\xef\xbb\xbf" "a = 1", "a=1;"),
	ROW("\xef\xbb\xbf", ""),
	ROW("a=1\nb = 2\n\tc\t=\t3\t\n", "a=1;b=2;c=3;"),
	ROW("a = 1\r\nb = 2\r\n\r\n# c\r\nd = 4\r\n", "a=1;b=2;d=4;"),
	ROW("a = 1 # one\nb = 2# two\n#c = 3\n", "a=1;b=2;"),
	ROW("a = \"#\" # \"", "a=<#>;"),
	ROW("# \xc3\xa4 \xf0\x9f\x98\x80\na = 1", "a=1;"),
	ROW("A-b_9 = 1\n- = 2\n_ = 3\n007 = 4\ntrue = 5", "A-b_9=1;-=2;_=3;007=4;true=5;"),
	ROW("\"a\" = 1\n'b' = 2\n\"\\u0063\" = 3", "a=1;b=2;c=3;"),
	ROW("\"\" = 1", "=1;"),
	ROW("\"x.y\" = 1\n'[z]' = 2\n\"a = b ; c # d\" = 3\n';e' = 4", "x.y=1;[z]=2;a = b ; c # d=3;;e=4;"),
};

static const struct row strings[] = {
	ROW("a = \"\"", "a=<>;"),
	ROW("a = ''", "a=<>;"),
	ROW("a = \"x y\"", "a=<x y>;"),
	ROW("a = 'C:\\new\\\"x\"'", "a=<C:\\new\\\"x\">;"),
	ROW("a = \"'\"", "a=<'>;"),
	ROW("a = \"\\b\\t\\n\\f\\r\\\"\\\\\"", "a=<\b\t\n\f\r\"\\>;"),
	ROW("a = \"tab\there\"", "a=<tab\there>;"),
	ROW("a = \"\\\\\"", "a=<\\>;"),
	ROW("a = \"\\\\\\\"\"", "a=<\\\">;"),
	ROW("a = \"\\u0041\\u00e4\\u20AC\\uD7FF\\uE000\\uFFFF\"",
	    "a=<A\xc3\xa4\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf>;"),
	ROW("a = \"\\U00000041\\U00010000\\U0001F600\\U0010FFFF\"",
	    "a=<A\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf>;"),
	ROW("a = \"\\u007f\\u0080\\u07ff\\u0800\"", "a=<\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80>;"),
	ROW("a = \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", "a=<\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80>;"),
	ROW("a = '\\u0041'", "a=<\\u0041>;"),
};

static const struct row long_strings[] = {
	ROW("a = \"\"\"\"\"\"", "a=<>;"),
	ROW("a = ''''''", "a=<>;"),
	ROW("a = \"\"\"\nx\ny\n\"\"\"", "a=<x\ny\n>;"),
	ROW("a = \"\"\"\r\nx\r\ny\"\"\"\r\n", "a=<x\ny>;"),
	ROW("a = \"\"\"\n\nx\"\"\"", "a=<\nx>;"),
	ROW("a = '''\nx\\\n'y'''", "a=<x\\\n'y>;"),
	ROW("a = '''\r\nx\r\ny'''", "a=<x\ny>;"),
	ROW("a = \"\"\"x\\\ny\"\"\"", "a=<xy>;"),
	ROW("a = \"\"\"x \\  \t\r\n\r\n \t\n  y\"\"\"", "a=<x y>;"),
	ROW("a = \"\"\"\\\n   \"\"\"", "a=<>;"),
	ROW("a = \"\"\"\\\\\nx\"\"\"", "a=<\\\nx>;"),
	ROW("a = \"\"\"x\"y\"\"z\"\"\"", "a=<x\"y\"\"z>;"),
	ROW("a = \"\"\"\"x\"\"\"\"", "a=<\"x\">;"),
	ROW("a = \"\"\"\"\"x\"\"\"\"\"", "a=<\"\"x\"\">;"),
	ROW("a = \"\"\"\"\"\"\"\"", "a=<\"\">;"),
	ROW("a = '''''x'''''", "a=<''x''>;"),
	ROW("a = \"\"\"x\\\"\"\"\"", "a=<x\">;"),
	ROW("a = \"\"\"\\\"\\\"\\\"\"\"\"", "a=<\"\"\">;"),
	ROW("a = \"\"\"# no comment\n[no table]\nb = 1\"\"\"\nc = 2", "a=<# no comment\n[no table]\nb = 1>;c=2;"),
};

static const struct row scalars[] = {
	ROW("a = true\nb = false", "a=true;b=false;"),
	ROW("a = 0\nb = +0\nc = -0", "a=0;b=0;c=0;"),
	ROW("a = 42\nb = +42\nc = -42", "a=42;b=42;c=-42;"),
	ROW("a = 1_000_000\nb = 1_2_3", "a=1000000;b=123;"),
	ROW("a = 0xDead_beef\nb = 0x00ff\nc = 0o755\nd = 0b1101_0010", "a=3735928559;b=255;c=493;d=210;"),
	ROW("a = 9223372036854775807\nb = -9223372036854775808",
	    "a=9223372036854775807;b=-9223372036854775808;"),
	ROW("a = 0x7fff_ffff_ffff_ffff\nb = 0o777777777777777777777",
	    "a=9223372036854775807;b=9223372036854775807;"),
};

static const struct row arrays[] = {
	ROW("a = []", "a=[];"),
	ROW("a = [ ]\nb = [\n]", "a=[];b=[];"),
	ROW("a = [1,2]", "a=[1,2];"),
	ROW("a = [1,2,]", "a=[1,2];"),
	ROW("a = ['x', \"y\"] # z", "a=[<x>,<y>];"),
	ROW("a = [ true , 'x' , -5 ]", "a=[true,<x>,-5];"),
	ROW("a = [\n    \"x\",\n    \"y\",\n]\nb = 1", "a=[<x>,<y>];b=1;"),
	ROW("a = [ # one\n 1 # two\n # three\n , # four ]\n 2, # five\n # six\n]", "a=[1,2];"),
	ROW("a = [\r\n1,\r\n\r\n2\r\n]\r\n", "a=[1,2];"),
	ROW("a = ['''x\ny''', \"\"\"\nz\"\"\"]", "a=[<x\ny>,<z>];"),
	ROW("a = [']', '[', ',', '#']", "a=[<]>,<[>,<,>,<#>];"),
	ROW("a = [\n1\n,\n2\n]", "a=[1,2];"),
};
/* clang-format on */

static void test_what_is_read(void **state)
{
	(void)state;
	expect_all(lines, ARRAY_SIZE(lines));
	expect_all(strings, ARRAY_SIZE(strings));
	expect_all(long_strings, ARRAY_SIZE(long_strings));
	expect_all(scalars, ARRAY_SIZE(scalars));
	expect_all(arrays, ARRAY_SIZE(arrays));
}

/* --- what is refused, and where --- */

/* clang-format off */
static const struct row constructs[] = {
	ROW("[x]", "1:1: tables ([x]) are not read"),
	ROW("a = 1\n  [x.y]\nb = 2", "2:3: tables ([x]) are not read"),
	ROW("[[x]]", "1:1: arrays of tables ([[x]]) are not read"),
	ROW("a.b = 1", "1:2: dotted keys (a.b) are not read"),
	ROW("'a' . b = 1", "1:5: dotted keys (a.b) are not read"),
	ROW("a = {}", "1:5: inline tables ({...}) are not read"),
	ROW("a = [1, {x = 1}]", "1:9: inline tables ({...}) are not read"),
	ROW("a = [[1]]", "1:6: arrays in arrays are not read"),
	ROW("a = [\n  'x',\n  ['y'],\n]", "3:3: arrays in arrays are not read"),
	ROW("a = 1979-05-27", "1:5: '1979-05-27': dates and times are not read"),
	ROW("a = 1979-05-27T07:32:00Z", "1:5: '1979-05-27T07:32:00Z': dates and times are not read"),
	ROW("a = 1979-05-27 07:32:00", "1:5: '1979-05-27': dates and times are not read"),
	ROW("a = 07:32:00", "1:5: '07:32:00': dates and times are not read"),
	ROW("a = [1.5]", "1:6: '1.5': floats are not read"),
	ROW("a = -3.14", "1:5: '-3.14': floats are not read"),
	ROW("a = 5e+22", "1:5: '5e+22': floats are not read"),
	ROW("a = 6_6.6e-3", "1:5: '6_6.6e-3': floats are not read"),
	ROW("a = 1E6", "1:5: '1E6': floats are not read"),
	ROW("a = inf", "1:5: 'inf': floats are not read"),
	ROW("a = +nan", "1:5: '+nan': floats are not read"),
};

static const struct row wrong_lines[] = {
	ROW("a", "1:2: = is missing behind the key"),
	ROW("a b = 1", "1:3: = is missing behind the key"),
	ROW("a\n= 1", "1:2: = is missing behind the key"),
	ROW("a: 1", "1:2: = is missing behind the key"),
	ROW("= 1", "1:1: a key is missing"),
	ROW("; a = 1", "1:1: no key begins with ';'"),
	ROW("\xc3\xa4 = 1", "1:1: no key begins with '\xc3\xa4'"),
	ROW("\"\"\"a\"\"\" = 1", "1:1: a key is no string of several lines"),
	ROW("'''a''' = 1", "1:1: a key is no string of several lines"),
	ROW("\"a\n\" = 1", "1:1: a string has no end on its line"),
	ROW("\"a\\u001b\" = 1", "1:1: a key with a control character"),
	ROW("a =", "1:4: a value is missing"),
	ROW("a = \n1", "1:5: a value is missing"),
	ROW("a = # 1", "1:5: a value is missing"),
	ROW("a = ]", "1:5: a value is missing"),
	ROW("a = 1 b = 2", "1:7: something stands behind the value"),
	ROW("a = 1, 2", "1:6: something stands behind the value"),
	ROW("a = 'x' 'y'", "1:9: something stands behind the value"),
	ROW("a = 'x'y", "1:8: something stands behind the value"),
	ROW("a = [1] 2", "1:9: something stands behind the value"),
	ROW("a = [1]]", "1:8: something stands behind the value"),
	ROW("a = 1 ; b", "1:7: something stands behind the value"),
	ROW("a = \"\xc3\xa4\xe2\x82\xac\" x", "1:10: something stands behind the value"),
	ROW("a = '''\nx\n''' y", "3:5: something stands behind the value"),
	ROW("a = 1\nb = 2\na = 3", "3:1: the key a stands in line 1 already"),
	ROW("\"a\" = 1\n\n'a' = 3", "3:1: the key a stands in line 1 already"),
	ROW("a = 1\n\"\\u0061\" = 2", "2:1: the key a stands in line 1 already"),
};

static const struct row wrong_strings[] = {
	ROW("a = \"x", "1:5: a string has no end on its line"),
	ROW("a = 'x\n'", "1:5: a string has no end on its line"),
	ROW("a = \"x\\", "1:5: a string has no end on its line"),
	ROW("a = \"x\\\"", "1:5: a string has no end on its line"),
	ROW("a = \"x\\\n\"", "1:5: a string has no end on its line"),
	ROW("a = \"", "1:5: a string has no end on its line"),
	ROW("b = 1\na = \"\"\"x\n\n\"\"", "2:5: a string of several lines has no end"),
	ROW("a = \"\"\"\\", "1:5: a string of several lines has no end"),
	ROW("a = \"\"\"\"\"", "1:5: a string of several lines has no end"),
	ROW("a = '''x", "1:5: a string of several lines has no end"),
	ROW("a = \"\"\"x\"\"\"\"\"\"", "1:14: something stands behind the value"),
	ROW("a = \"\\a\"", "1:6: the escape \\a is not known"),
	ROW("a = \"\\x41\"", "1:6: the escape \\x is not known"),
	ROW("a = \"\\ \"", "1:6: the escape \\ is not known"),
	ROW("a = \"\"\"\n\\ x\"\"\"", "2:1: the escape \\ is not known"),
	ROW("a = \"\\\xc3\xa4\"", "1:6: the escape \\ is not known"),
	ROW("a = \"\\u12\"", "1:6: \\u has fewer than 4 hexadecimal digits"),
	ROW("a = \"\\u12g4\"", "1:6: \\u has fewer than 4 hexadecimal digits"),
	ROW("a = \"\\U0001f60\"", "1:6: \\U has fewer than 8 hexadecimal digits"),
	ROW("a = \"\\u0000\"", "1:6: \\u0000 is NUL, which no setting can hold"),
	ROW("a = \"\\ud800\"", "1:6: \\ud800 is half of a surrogate pair, not a character"),
	ROW("a = \"\\uDFFF\"", "1:6: \\uDFFF is half of a surrogate pair, not a character"),
	ROW("a = \"\\U0000d83d\"", "1:6: \\U0000d83d is half of a surrogate pair, not a character"),
	ROW("a = \"\\U00110000\"", "1:6: \\U00110000 is no character"),
	ROW("a = \"\\UFFFFFFFF\"", "1:6: \\UFFFFFFFF is no character"),
};

static const struct row wrong_words[] = {
	ROW("a = True", "1:5: 'True' is no value"),
	ROW("a = yes", "1:5: 'yes' is no value"),
	ROW("a = truefalse", "1:5: 'truefalse' is no value"),
	ROW("a = 10.0.0.1", "1:5: '10.0.0.1' is no value"),
	ROW("a = 10.0.0.0/8", "1:5: '10.0.0.0/8' is no value"),
	ROW("a = [x]", "1:6: 'x' is no value"),
	ROW("a = example.org # x", "1:5: 'example.org' is no value"),
	ROW("a = +", "1:5: '+' is no value"),
	ROW("a = .5", "1:5: '.5' is no value"),
	ROW("a = 5.", "1:5: '5.': floats are not read"),
	ROW("a = 1e", "1:5: '1e': floats are not read"),
	ROW("a = 01", "1:5: '01' has a zero in front"),
	ROW("a = -00", "1:5: '-00' has a zero in front"),
	ROW("a = 0X1", "1:5: '0X1' has a zero in front"),
	ROW("a = 0_1", "1:5: '0_1' has a zero in front"),
	ROW("a = 1__0", "1:5: '1__0' has an underscore that isn't between two digits"),
	ROW("a = 1_", "1:5: '1_' has an underscore that isn't between two digits"),
	ROW("a = 0x_1", "1:5: '0x_1' has an underscore that isn't between two digits"),
	ROW("a = 0x", "1:5: '0x' has no digits"),
	ROW("a = +0x1", "1:5: '+0x1' has a sign, which only decimal integers have"),
	ROW("a = 0b2", "1:5: '0b2' has a digit that isn't one of its base"),
	ROW("a = 0o8", "1:5: '0o8' has a digit that isn't one of its base"),
	ROW("a = 1a", "1:5: '1a' has a digit that isn't one of its base"),
	ROW("a = 9223372036854775808", "1:5: '9223372036854775808' is outside the 64 bits of an integer"),
	ROW("a = -9223372036854775809", "1:5: '-9223372036854775809' is outside the 64 bits of an integer"),
	ROW("a = 0x8000000000000000", "1:5: '0x8000000000000000' is outside the 64 bits of an integer"),
	ROW("a = 99999999999999999999999", "1:5: '99999999999999999999999' is outside the 64 bits of an integer"),
};

static const struct row wrong_arrays[] = {
	ROW("a = [", "1:5: an array has no end"),
	ROW("a = [1", "1:5: an array has no end"),
	ROW("b = 1\na = [1,\n # ]\n", "2:5: an array has no end"),
	ROW("a = [1 2]", "1:8: a comma or ] is missing"),
	ROW("a = [1\n2]", "2:1: a comma or ] is missing"),
	ROW("a = [,]", "1:6: a value is missing"),
	ROW("a = [1,,2]", "1:8: a value is missing"),
	ROW("a = ['x', \"y]", "1:11: a string has no end on its line"),
};

static const struct row wrong_characters[] = {
	ROW("a = '\0'", "1:6: control character U+0000"),
	ROW("a = 1\n\0", "2:1: control character U+0000"),
	ROW("a = \"\x1b[31m\"", "1:6: control character U+001B"),
	ROW("# \x07", "1:3: control character U+0007"),
	ROW("a = '\x7f'", "1:6: control character U+007F"),
	ROW("a = 1\n\nb\x0b = 2", "3:2: control character U+000B"),
	ROW("a = 1\rb = 2", "1:6: a carriage return without a line feed"),
	ROW("a = 1\r", "1:6: a carriage return without a line feed"),
	ROW("a = '''x\r\r\n'''", "1:9: a carriage return without a line feed"),
	ROW("a = '\xff'", "1:6: byte 0xff is not UTF-8"),
	ROW("# \xc3\xa4\x80", "1:4: byte 0x80 is not UTF-8"),
	ROW("a = '\xc3", "1:6: byte 0xc3 is not UTF-8"),
	ROW("a = '\xc0\xaf'", "1:6: byte 0xc0 is not UTF-8"),
	ROW("a = '\xe0\x9f\xbf'", "1:6: byte 0xe0 is not UTF-8"),
	ROW("a = '\xed\xa0\x80'", "1:6: byte 0xed is not UTF-8"),
	ROW("a = '\xf0\x8f\xbf\xbf'", "1:6: byte 0xf0 is not UTF-8"),
	ROW("a = '\xf4\x90\x80\x80'", "1:6: byte 0xf4 is not UTF-8"),
	ROW("a = '\xe2\x82'", "1:6: byte 0xe2 is not UTF-8"),
	ROW("\xef\xbb\xbf" "a = '\xff'", "1:6: byte 0xff is not UTF-8"),
	ROW("\xff\xfe" "a\0", "1:1: byte 0xff is not UTF-8"),
	ROW("\xef\xbb\xbf\xef\xbb\xbf", "1:1: no key begins with '\xef\xbb\xbf'"),
};
/* clang-format on */

static void test_what_is_refused(void **state)
{
	(void)state;
	expect_errors(constructs, ARRAY_SIZE(constructs));
	expect_errors(wrong_lines, ARRAY_SIZE(wrong_lines));
	expect_errors(wrong_strings, ARRAY_SIZE(wrong_strings));
	expect_errors(wrong_words, ARRAY_SIZE(wrong_words));
	expect_errors(wrong_arrays, ARRAY_SIZE(wrong_arrays));
	expect_errors(wrong_characters, ARRAY_SIZE(wrong_characters));
}

/* A word that is too long for an error is shown up to a character's end. */
static void test_long_words_in_errors(void **state)
{
	struct error err;
	char text[300] = "a = x", *got;
	int rc;

	(void)state;
	for (size_t i = 5; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	got = read_text(text, strlen(text), &rc, &err);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(err.text, "\xc3\xa4' is no value"));
	free(got);
}

/* --- what libinih would do to a text --- */

/* It cuts a line after 200 bytes and takes the rest for a line of its own. */
static void test_long_lines(void **state)
{
	static const size_t lengths[] = {
		150, 190, 198, 199, 200, 201, 400, 4000, 200000
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		size_t n = lengths[i];
		cleanup_free char *word = malloc(n + 1), *text = NULL, *shown = NULL;

		assert_non_null(word);
		memset(word, 'x', n);
		word[n] = '\0';
		assert_true(asprintf(&text,
				     "a = \"%s\"\n%s = 1\nb = ['%s', '%s']\n# %s\nc = 3",
				     word, word, word, word, word) > 0);
		assert_true(asprintf(&shown, "a=<%s>;%s=1;b=[<%s>,<%s>];c=3;", word, word,
				     word, word) > 0);
		expect(text, strlen(text), shown);
	}
}

/* clang-format off */
static const struct row traps[] = {
	/* " ;" begins a comment inside a value. */
	ROW("command = [\"sh\", \"-c\", \"a ; b\"]\nb = 'x ;y'\nc = \"\"\"\n ; z\"\"\"",
	    "command=[<sh>,<-c>,<a ; b>];b=<x ;y>;c=< ; z>;"),
	/* A line that begins with a blank belongs to the value before. */
	ROW("a = 1\n  b = 2\n\tc = [\n  'x',\n  'y',\n  ]\n", "a=1;b=2;c=[<x>,<y>];"),
	ROW("a = 'x'\n  # 'y'\n", "a=<x>;"),
	/* "]" at the beginning of a line. */
	ROW("a = [\n'x'\n]\nb = '''\n]\n[s]\n'''\nc = 3", "a=[<x>];b=<]\n[s]\n>;c=3;"),
	/* What it gives a meaning in a key or at the beginning of a line. */
	ROW("\"[s]\" = 1\n\"#\" = 2\n\";\" = 3\n\"a:b\" = 4\n\" c \" = 5\n\"d=e\" = 6\n\"]\" = 7",
	    "[s]=1;#=2;;=3;a:b=4; c =5;d=e=6;]=7;"),
	/* It has ":" for "=", takes the blanks from a value's ends, and leaves quotes in. */
	ROW("a = ' x : y = z '", "a=< x : y = z >;"),
};
/* clang-format on */

static void test_traps_of_ini(void **state)
{
	(void)state;
	expect_all(traps, ARRAY_SIZE(traps));
	/* A key that comes twice passes. */
	expect_error("a = 1\nb = 2\n a = 1", 18,
		     "file.toml:3:2: the key a stands in line 1 already");
}

/* --- the callback --- */

struct places {
	unsigned calls;
	char text[200];
};

static int note_places(void *ctx, const char *key, const struct toml_value *v,
		       struct error *err)
{
	struct places *p = ctx;
	size_t n = strlen(p->text);

	p->calls++;
	n += snprintf(p->text + n, sizeof(p->text) - n, "%s %u:%u", key, v->line,
		      v->column);
	for (size_t i = 0; i < v->count; i++)
		n += snprintf(p->text + n, sizeof(p->text) - n, " %u:%u",
			      v->items[i].line, v->items[i].column);
	snprintf(p->text + n, sizeof(p->text) - n, "; ");
	return 0;
}

static void test_places_of_values(void **state)
{
	static const char text[] = "\xef\xbb\xbf"
				   "a = 1\n\n  \"\xc3\xa4\" = '''\n\n''' # x\r\n"
				   "b=[1,\t'\xe2\x82\xac', 3,\n# 4\n    5]\nc = true";
	struct places p = { .calls = 0 };
	struct error err;

	(void)state;
	assert_int_equal(toml_read(text, sizeof(text) - 1, "f", note_places, &p, &err),
			 0);
	assert_string_equal(p.text,
			    "a 1:5; \xc3\xa4 3:9; b 6:3 6:4 6:7 6:12 8:5; c 9:5; ");
	assert_int_equal(p.calls, 4);
}

static int refuse_b(void *ctx, const char *key, const struct toml_value *v,
		    struct error *err)
{
	++*(unsigned *)ctx;
	if (strcmp(key, "b") != 0)
		return 0;
	error_set(err, 0, "there is no setting %s", key);
	return error_cure(err, "Did you mean a?");
}

static void test_callback_stops_the_reading(void **state)
{
	static const char text[] = "a = 1\n  b = 2\nc = 3\nd = [";
	struct error err = { .code = 0 };
	unsigned calls = 0;

	(void)state;
	assert_int_equal(
		toml_read(text, sizeof(text) - 1, "f.toml", refuse_b, &calls, &err), -1);
	assert_int_equal(calls, 2);
	assert_string_equal(err.text, "f.toml:2:3: there is no setting b");
	assert_string_equal(err.cure, "Did you mean a?");
}

/* --- bounds --- */

static void test_size(void **state)
{
	cleanup_free char *text = malloc(TOML_SIZE_MAX + 1), *got = NULL;
	struct error err;
	int rc;

	(void)state;
	assert_non_null(text);
	memset(text, '#', TOML_SIZE_MAX + 1);
	memcpy(text, "a = 1\n", 6);
	memcpy(text + TOML_SIZE_MAX - 6, "\nb = 2", 6);
	expect(text, TOML_SIZE_MAX, "a=1;b=2;");
	got = read_text(text, TOML_SIZE_MAX + 1, &rc, &err);
	assert_int_equal(rc, -1);
	assert_string_equal(got, "");
	assert_string_equal(err.text, "file.toml: a profile has at most 1 MiB, this one "
				      "has 1048577 bytes");
	assert_true(err.cure[0]);
}

static int count_items(void *ctx, const char *key, const struct toml_value *v,
		       struct error *err)
{
	*(size_t *)ctx += v->count;
	return 0;
}

/* The largest array and the most keys: what would be quadratic would not end here. */
static void test_many(void **state)
{
	size_t room = TOML_SIZE_MAX, len = 0, keys = 0, items = 0;
	cleanup_free char *text = malloc(room);
	struct error err;

	(void)state;
	assert_non_null(text);
	len = sprintf(text, "a=[");
	while (len + 2 < room)
		len += sprintf(text + len, "1,");
	text[len++] = ']';
	assert_int_equal(toml_read(text, len, "f", count_items, &items, &err), 0);
	assert_int_equal(items, (len - 4) / 2);

	for (len = 0; len + 10 < room; keys++)
		len += sprintf(text + len, "%zx=[1]\n", keys);
	items = 0;
	assert_int_equal(toml_read(text, len, "f", count_items, &items, &err), 0);
	assert_int_equal(items, keys);
}

static void test_long_name(void **state)
{
	char name[1000];
	struct error err;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(toml_read("a", 1, name, count_items, NULL, &err), -1);
	assert_non_null(strstr(err.text, "n:1:2: = is missing behind the key"));
}

/* --- writing --- */

static void expect_written(const char *text, const char *expected)
{
	char out[200];
	FILE *file = fmemopen(out, sizeof(out), "w");

	assert_non_null(file);
	assert_int_equal(toml_write_string(file, text), 0);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(out, expected);
}

static void test_write(void **state)
{
	static const char *const bad[] = { "\xff", "a\x80", "\xc3", "\xed\xa0\x80",
					   "\xc0\x80" };

	(void)state;
	expect_written("", "\"\"");
	expect_written("x y # ; '", "\"x y # ; '\"");
	expect_written("\b\t\n\f\r\"\\", "\"\\b\\t\\n\\f\\r\\\"\\\\\"");
	expect_written("\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"");
	expect_written("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		       "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *out = NULL;
		size_t len;
		FILE *file = open_memstream(&out, &len);

		assert_non_null(file);
		assert_int_equal(toml_write_string(file, bad[i]), -1);
		assert_int_equal(fclose(file), 0);
		assert_int_equal(len, 0);
		free(out);
	}
}

/* Every character that a string can hold comes back. */
static void test_write_and_read(void **state)
{
	char all[128], *out = NULL, *got, expected[140];
	struct error err;
	size_t len;
	FILE *file = open_memstream(&out, &len);
	int rc;

	(void)state;
	assert_non_null(file);
	for (int c = 1; c < 128; c++)
		all[c - 1] = c;
	all[127] = '\0';
	fputs("a = ", file);
	assert_int_equal(toml_write_string(file, all), 0);
	assert_int_equal(fclose(file), 0);
	got = read_text(out, len, &rc, &err);
	assert_int_equal(rc, 0);
	snprintf(expected, sizeof(expected), "a=<%s>;", all);
	assert_string_equal(got, expected);
	free(got);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_read),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_long_words_in_errors),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_traps_of_ini),
		cmocka_unit_test(test_places_of_values),
		cmocka_unit_test(test_callback_stops_the_reading),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_and_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
