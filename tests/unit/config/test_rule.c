#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "config/rule.h"

#define RULES_MAX 4

/* What each rule of a list has become, by its text. */
static void test_texts(void **state)
{
	static const struct {
		enum rule_kind kind;
		const char *text;
		const char *rules[RULES_MAX];
	} rows[] = {
		{ RULE_CIDR, "192.0.2.1", { "192.0.2.1/32" } },
		{ RULE_CIDR, "10.1.2.3/8", { "10.1.2.3/8" } },
		{ RULE_CIDR, "0.0.0.0/0", { "0.0.0.0/0" } },
		{ RULE_CIDR, "2001:DB8::1", { "2001:db8::1/128" } },
		{ RULE_CIDR, "::/0", { "::/0" } },
		{ RULE_CIDR, "[2001:db8::/32]", { "2001:db8::/32" } },
		{ RULE_CIDR, "[2001:db8::/32]:443", { "[2001:db8::/32]:443" } },
		{ RULE_CIDR, "10.0.0.0/8:5432", { "10.0.0.0/8:5432" } },
		{ RULE_CIDR, "10.0.0.0/8:1,2-3,4", { "10.0.0.0/8:1,2-3,4" } },
		{ RULE_CIDR, "::ffff:192.0.2.0/120", { "192.0.2.0/24" } },
		{ RULE_CIDR, "icmp://192.0.2.0/24", { "icmp://192.0.2.0/24" } },
		{ RULE_CIDR, "udp://[::1]:53", { "udp://[::1/128]:53" } },
		{ RULE_CIDR, "tcp://::1", { "tcp://::1/128" } },
		{ RULE_CIDR,
		  "::1, 10.0.0.1:80 ,443,::2",
		  { "::1/128", "10.0.0.1/32:80,443", "::2/128" } },
		{ RULE_CIDR, "10.0.0.1:8080-8080", { "10.0.0.1/32:8080" } },
		{ RULE_DOMAIN, "example.org", { "example.org" } },
		{ RULE_DOMAIN, " Example.ORG. ", { "example.org" } },
		{ RULE_DOMAIN, "localhost", { "localhost" } },
		{ RULE_DOMAIN, "*.example.org", { "*.example.org" } },
		{ RULE_DOMAIN, "github.com:22,443", { "github.com:22,443" } },
		{ RULE_DOMAIN, "a.example,b.example", { "a.example", "b.example" } },
		{ RULE_DOMAIN, "udp://ntp.example:123", { "udp://ntp.example:123" } },
		{ RULE_DOMAIN, "*.x.example:8000-8080", { "*.x.example:8000-8080" } },
		{ RULE_DOMAIN, "Bücher.example", { "xn--bcher-kva.example" } },
		{ RULE_DOMAIN, "*.bücher.example.", { "*.xn--bcher-kva.example" } },
		{ RULE_DOMAIN, "1.example", { "1.example" } },
		{ RULE_EXACT, "example.org:443", { "example.org:443" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rule_list list = { 0 };
		struct error err;
		size_t n = 0;

		if (rules_parse(&list, rows[i].kind, rows[i].text, NULL, &err))
			fail_msg("%s: %s", rows[i].text, err.text);
		for (; n < RULES_MAX && rows[i].rules[n]; n++) {
			assert_true(n < list.count);
			assert_string_equal(list.rules[n].text, rows[i].rules[n]);
		}
		assert_int_equal(list.count, n);
		/* What was understood is understood again, and as the same. */
		for (size_t k = 0; k < n; k++) {
			struct rule_list again = { 0 };

			assert_int_equal(rules_parse(&again, rows[i].kind,
						     list.rules[k].text, NULL, &err),
					 0);
			assert_int_equal(again.count, 1);
			assert_string_equal(again.rules[0].text, list.rules[k].text);
			rules_clear(&again);
		}
		rules_clear(&list);
	}
}

static struct rule first(enum rule_kind kind, const char *text, struct rule_list *list)
{
	struct error err;

	*list = (struct rule_list){ 0 };
	assert_int_equal(rules_parse(list, kind, text, NULL, &err), 0);
	return list->rules[0];
}

static void assert_network(const struct rule *r, const char *address, unsigned prefix)
{
	char shown[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(&r->network, shown), address);
	assert_int_equal(r->prefix, prefix);
}

static void test_fields(void **state)
{
	struct rule_list list;
	struct rule r = first(RULE_CIDR, "udp://10.1.2.3/8:53,8000-8080", &list);

	(void)state;
	assert_int_equal(r.kind, RULE_CIDR);
	assert_int_equal(r.protocol, RULE_UDP);
	assert_network(&r, "10.0.0.0", 104);
	assert_int_equal(r.port_count, 2);
	assert_int_equal(r.ports[0].first, 53);
	assert_int_equal(r.ports[0].last, 53);
	assert_int_equal(r.ports[1].first, 8000);
	assert_int_equal(r.ports[1].last, 8080);
	rules_clear(&list);

	r = first(RULE_CIDR, "2001:db8:ffff::1/33", &list);
	assert_network(&r, "2001:db8:8000::", 33);
	assert_int_equal(r.protocol, RULE_ANY);
	assert_int_equal(r.port_count, 0);
	rules_clear(&list);

	r = first(RULE_CIDR, "255.255.255.255/0", &list);
	assert_network(&r, "0.0.0.0", 96);
	rules_clear(&list);

	r = first(RULE_DOMAIN, "A.example", &list);
	assert_int_equal(r.kind, RULE_DOMAIN);
	assert_string_equal(r.domain, "a.example");
	rules_clear(&list);

	r = first(RULE_DOMAIN, "tcp://*.A.example:1", &list);
	assert_int_equal(r.kind, RULE_SUBDOMAINS);
	assert_int_equal(r.protocol, RULE_TCP);
	assert_string_equal(r.domain, "a.example");
	rules_clear(&list);

	r = first(RULE_EXACT, "a.example", &list);
	assert_int_equal(r.kind, RULE_EXACT);
	rules_clear(&list);
}

#define LABEL_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_50 "aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa.aaaaaaaaa."

static void test_refused(void **state)
{
	static const struct {
		enum rule_kind kind;
		const char *text, *says;
	} rows[] = {
		{ RULE_CIDR, "", "empty" },
		{ RULE_CIDR, "10.0.0.1,,10.0.0.2", "empty" },
		{ RULE_CIDR, "10.0.0.1,", "empty" },
		{ RULE_CIDR, "10.0.0", "neither an IPv4 or IPv6 address" },
		{ RULE_CIDR, "010.0.0.1", "neither" },
		{ RULE_CIDR, "10.0.0.256", "neither" },
		{ RULE_CIDR, "example.org", "neither" },
		{ RULE_CIDR, "443", "neither" },
		{ RULE_CIDR, "fe80::1%eth0", "neither" },
		{ RULE_CIDR, "10.0.0.0/33", "32 bits at most" },
		{ RULE_CIDR, "10.0.0.0/", "32 bits" },
		{ RULE_CIDR, "10.0.0.0/-1", "32 bits" },
		{ RULE_CIDR, "10.0.0.0/8/8", "32 bits" },
		{ RULE_CIDR, "::/129", "128 bits" },
		{ RULE_CIDR, "::ffff:10.0.0.0/95", "96 at least" },
		{ RULE_CIDR, "10.0.0.0/255.0.0.0", "32 bits" },
		{ RULE_CIDR, "2001:db8::/32:443", "enclosed in `[` and `]`" },
		{ RULE_CIDR, "[2001:db8::/32", "brackets" },
		{ RULE_CIDR, "[2001:db8::]/32", "brackets" },
		{ RULE_CIDR, "10.0.0.1:0", "port from 1" },
		{ RULE_CIDR, "10.0.0.1:65536", "65535" },
		{ RULE_CIDR, "10.0.0.1:", "port" },
		{ RULE_CIDR, "10.0.0.1:9-8", "range" },
		{ RULE_CIDR, "10.0.0.1:1-", "range" },
		{ RULE_CIDR, "10.0.0.1:http", "port" },
		{ RULE_CIDR, "10.0.0.1,443", "has no ports: write 10.0.0.1/32:443" },
		{ RULE_CIDR, "icmp://10.0.0.1:1", "icmp has no ports" },
		{ RULE_CIDR, "sctp://10.0.0.1", "begins with tcp://" },
		{ RULE_CIDR, "10.0.0.1,@file", "must stand alone" },
		{ RULE_DOMAIN, "https://example.org", "begins with tcp://" },
		{ RULE_DOMAIN, "443", "its last part is a number" },
		{ RULE_DOMAIN, "8000-8080", "range of ports" },
		{ RULE_DOMAIN, "192.0.2.1", "an address or CIDR" },
		{ RULE_DOMAIN, "192.0.2.0/24", "an address or CIDR" },
		{ RULE_DOMAIN, "::1", "an address or CIDR" },
		{ RULE_DOMAIN, "1.2.3.4.5", "number" },
		{ RULE_DOMAIN, ".", "empty" },
		{ RULE_DOMAIN, ".example", "label is empty" },
		{ RULE_DOMAIN, "a..example", "label is empty" },
		{ RULE_DOMAIN, "-a.example", "hyphen" },
		{ RULE_DOMAIN, "a-.example", "hyphen" },
		{ RULE_DOMAIN, "a_b.example", "letters, digits and hyphens" },
		{ RULE_DOMAIN, "a b.example", "letters" },
		{ RULE_DOMAIN, "*", "letters" },
		{ RULE_DOMAIN, "a.*.example", "letters" },
		{ RULE_DOMAIN, "*.*.example", "letters" },
		{ RULE_DOMAIN, "*.", "empty" },
		{ RULE_DOMAIN, LABEL_64 ".example", "63 bytes" },
		{ RULE_DOMAIN, NAME_50 NAME_50 NAME_50 NAME_50 NAME_50 "aaaa",
		  "253 bytes" },
		{ RULE_DOMAIN, "a\xff.example", "not a domain name" },
		{ RULE_DOMAIN, "\u2603\u200d.example", "not a domain name" },
		{ RULE_DOMAIN, "a.example,443", "has no ports: write a.example:443" },
		{ RULE_EXACT, "*.example", "exact" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rule_list list = { 0 };
		struct error err = { 0 };

		if (!rules_parse(&list, rows[i].kind, rows[i].text, NULL, &err))
			fail_msg("'%s' was taken", rows[i].text);
		if (!strstr(err.text, rows[i].says))
			fail_msg("'%s': %s", rows[i].text, err.text);
		rules_clear(&list);
	}
}

static void test_longest_name(void **state)
{
	struct rule_list list;
	struct rule r = first(RULE_DOMAIN, NAME_50 NAME_50 NAME_50 NAME_50 NAME_50 "aaa",
			      &list);

	(void)state;
	assert_int_equal(strlen(r.domain), 253);
	rules_clear(&list);
}

/* --- files --- */

struct file {
	char dir[32];
	char path[64];
};

static struct file write_file(const char *text, size_t len)
{
	struct file f = { "/tmp/childflow-test.XXXXXX" };
	FILE *out;

	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/list", f.dir);
	out = fopen(f.path, "we");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, len, out), len);
	fclose(out);
	return f;
}

static void remove_file(const struct file *f)
{
	unlink(f->path);
	rmdir(f->dir);
}

static void test_file(void **state)
{
	static const char text[] = "# a comment\n\n  a.example # another\r\n"
				   "b.example:1,2,c.example\nd.example";
	struct file f = write_file(text, strlen(text));
	struct rule_list list = { 0 };
	struct error err;
	char word[80];

	(void)state;
	snprintf(word, sizeof(word), "@%s", f.path);
	assert_int_equal(rules_parse(&list, RULE_DOMAIN, word, "/nowhere", &err), 0);
	assert_int_equal(list.count, 4);
	assert_string_equal(list.rules[0].text, "a.example");
	assert_string_equal(list.rules[1].text, "b.example:1,2");
	assert_string_equal(list.rules[3].text, "d.example");
	/* A relative name counts from the directory. */
	assert_int_equal(rules_parse(&list, RULE_DOMAIN, "@./x/../list", f.dir, &err), 0);
	assert_int_equal(list.count, 8);
	rules_clear(&list);
	remove_file(&f);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *says;
	} rows[] = {
		{ "a.example\nb_example\n", 20, "/list:2: 'b_example'" },
		{ "a.example\n@other\n", 17, "/list:2: '@other'" },
		{ "a.example:1\n443\n", 16, "/list:2: '443'" },
		{ "a.ex\0ample\n", 11, "not a text file" },
	};
	struct rule_list list = { 0 };
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct file f = write_file(rows[i].text, rows[i].len);

		assert_int_equal(rules_parse(&list, RULE_DOMAIN, "@list", f.dir, &err),
				 -1);
		if (!strstr(err.text, rows[i].says))
			fail_msg("row %zu: %s", i, err.text);
		rules_clear(&list);
		remove_file(&f);
	}
	assert_int_equal(rules_parse(&list, RULE_CIDR, "@/no/such/file", NULL, &err), -1);
	assert_non_null(strstr(err.text, "open /no/such/file: No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),	cmocka_unit_test(test_fields),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_file),	cmocka_unit_test(test_bad_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
