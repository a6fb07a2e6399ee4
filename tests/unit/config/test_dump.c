#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/util.h"
#include "config/dump.h"
#include "config/options.h"
#include "config/value.h"
#include "tests/unit/config/settings.h"

static int dump(const struct config *cfg, char **text, struct error *err)
{
	size_t len;
	FILE *out = open_memstream(text, &len);
	int ret = config_dump(cfg, out, err);

	fclose(out);
	return ret;
}

#define WORDS_MAX 14

static void test_layout(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *text;
	} rows[] = {
		{ { "--dump-profile" },
		  "capture_point = \"child\"\nbackend = \"rootless-internal\"\n"
		  "default_policy = \"allow\"\n" },
		{ { "--root", "--dns=::1", "--no-offline", "--summary", "--dump-profile",
		    "x" },
		  "capture_point = \"child\"\nbackend = \"rootful\"\ndns = \"::1\"\n"
		  "summary = true\nsummary_format = \"text\"\ndefault_policy = "
		  "\"allow\"\n"
		  "command = [\"x\"]\n" },
		{ { "--dump-profile", "--doctor", "--deny-cidr=1.2.3.4,10.1.2.3/8:80" },
		  "capture_point = \"child\"\nbackend = \"rootless-internal\"\n"
		  "doctor_format = \"text\"\ndefault_policy = \"allow\"\n"
		  "deny_cidrs = [\n    \"1.2.3.4/32\",\n    \"10.1.2.3/8:80\",\n]\n" },
		{ { "--report", "f", "--dump-profile" },
		  "capture_point = \"child\"\nbackend = \"rootless-internal\"\n"
		  "report_format = \"text\"\ndefault_policy = \"allow\"\n" },
		{ { "--drain-timeout=2.5", "--mtu=1400", "-vv", "--as-root", "-p",
		    "http://a", "--origins", "--dump-profile", "--", "a\"b", "\\" },
		  "capture_point = \"child\" # default\n"
		  "backend = \"rootless-internal\" # default\n"
		  "proxy = \"http://a:80\" # --proxy\ndefault_policy = \"allow\" # "
		  "default\n"
		  "mtu = 1400 # --mtu\ndrain_timeout = \"2.500\" # --drain-timeout\n"
		  "as_root = true # --as-root\nlog_level = \"debug\" # --verbose\n"
		  "command = [ # command line\n    \"a\\\"b\",\n    \"\\\\\",\n]\n" },
		{ { "-p", "http://u:w@a:1", "--dump-profile" },
		  "capture_point = \"child\"\nbackend = \"rootless-internal\"\n"
		  "proxy = \"http://u@a:1\" # the password is left out, --show-secrets "
		  "prints "
		  "it\ndefault_policy = \"allow\"\n" },
		{ { "-p", "http://u:w@a:1", "--show-secrets", "--dump-profile" },
		  "capture_point = \"child\"\nbackend = \"rootless-internal\"\n"
		  "proxy = \"http://u:w@a:1\"\ndefault_policy = \"allow\"\n" },
		{ { "-U", "u", "-P", "w", "-p", "http://a:1", "-p", "http://b:1",
		    "--dump-profile" },
		  "capture_point = \"child\"\nbackend = \"rootless-internal\"\n"
		  "proxy = [\n    \"http://a:1\",\n    \"http://b:1\",\n]\nproxy_user = "
		  "\"u\"\n"
		  "# proxy_password is left out, --show-secrets prints it\n"
		  "default_policy = \"allow\"\n" },
		{ { "-U", "u", "-P", "w", "--show-secrets", "--dump-profile" },
		  "capture_point = \"child\"\nbackend = \"rootless-internal\"\n"
		  "proxy_user = \"u\"\nproxy_password = \"w\"\n"
		  "default_policy = \"allow\"\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *text = NULL;
		struct config cfg;
		struct error err;

		if (settings_of(&cfg, rows[i].words, &err) || dump(&cfg, &text, &err))
			fail_msg("row %zu: %s", i, err.text);
		assert_string_equal(text, rows[i].text);
		config_free(&cfg);
	}
}

/* The order of keys that users of the other program know; ours stand before the command. */
static void test_order(void **state)
{
	static const char *const keys[] = {
		"capture",	   "capture_point",
		"backend",	   "dns",
		"hosts_file",	   "proxy",
		"proxy_user",	   "proxy_password",
		"proxy_insecure",  "proxy_dns",
		"proxy_dns_range", "proxy_udp",
		"routes",	   "no_proxy",
		"summary",	   "doctor_format",
		"report_format",   "summary_format",
		"flow_log",	   "offline",
		"block_private",   "block_metadata",
		"default_policy",  "allow_cidrs",
		"deny_cidrs",	   "allow_domains_exact",
		"allow_domains",   "deny_domains_exact",
		"deny_domains",	   "proxy_only",
		"fail_on_leak",	   "iface",
		"command",
	};
	enum option_id last = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct option *o = option_by_key(keys[i]);

		assert_non_null(o);
		assert_true(option_id(o) > last);
		last = option_id(o);
	}
}

/* Whatever a profile's name is made of, its comment stays a comment. */
static void test_comment(void **state)
{
	const char *path = settings_write("a\nb\x01\xff.toml", "mtu = 1400\n");
	char expected[256];
	cleanup_free char *text = NULL;
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(SETTINGS(&cfg, &err, "--profile", path, "--origins",
				  "--dump-profile"),
			 0);
	assert_int_equal(dump(&cfg, &text, &err), 0);
	snprintf(expected, sizeof(expected), "mtu = 1400 # %s/a?b??.toml:1\n",
		 settings_dir);
	assert_non_null(strstr(text, expected));
	config_free(&cfg);
}

static void test_paths(void **state)
{
	cleanup_free char *text = NULL, *dir = NULL;
	char expected[512];
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(chdir(settings_dir), 0);
	dir = get_current_dir_name();
	assert_int_equal(SETTINGS(&cfg, &err, "-c", "-", "--flow-log=./x/../y",
				  "--dump-profile"),
			 0);
	assert_int_equal(dump(&cfg, &text, &err), 0);
	snprintf(expected, sizeof(expected), "flow_log = \"%s/y\"\n", dir);
	assert_non_null(strstr(text, expected));
	assert_non_null(strstr(text, "capture = \"-\"\n"));
	assert_int_equal(chdir("/"), 0);
	config_free(&cfg);
}

static void test_no_text(void **state)
{
	cleanup_free char *text = NULL;
	struct config cfg;
	struct error err;

	(void)state;
	assert_int_equal(SETTINGS(&cfg, &err, "--dump-profile", "a\xff"), 0);
	assert_int_equal(dump(&cfg, &text, &err), -1);
	assert_non_null(strstr(err.text, "is not UTF-8"));
	config_free(&cfg);
}

/* --- any settings, dumped and loaded --- */

#define ROUNDS 1000

static unsigned below(unsigned n)
{
	return (unsigned)random() % n;
}

static void random_text(char *out, size_t max, bool paths)
{
	static const char *const parts[] = {
		"a",	   "Z",	     "0",      " ",	 "\"",	       "'", "\\", "\n",
		"\t",	   "\x01",   "\x7f",   "#",	 "=",	       "[", "]",  ",",
		"'''",	   "\"\"\"", "\u00fc", "\u20ac", "\U0001f600", ";", "%",  " ;",
		"\\u0041", "\r",     "\r\n",   "-",	 ".",
	};
	size_t n = 1 + below(12);

	*out = '\0';
	if (paths)
		strcpy(out, "/x");
	while (n-- && strlen(out) + 8 < max)
		strcat(out, parts[below(ARRAY_SIZE(parts))]);
}

static void random_ports(char *out)
{
	unsigned n = below(4), low = 1 + below(65535);

	for (unsigned i = 0; i < n; i++) {
		out += sprintf(out, "%c%u", i ? ',' : ':', low);
		if (below(2))
			out += sprintf(out, "-%u", low + below(65536 - low));
	}
	*out = '\0';
}

static void random_rule(char *out, enum option_type type)
{
	static const char *const protocols[] = { "", "", "tcp://", "udp://", "icmp://" };
	static const char *const names[] = { "a.example", "B.Example.", "x",
					     "b\u00fccher.example",
					     "a-1.b-2.c-3.example" };
	unsigned protocol = below(ARRAY_SIZE(protocols));
	bool ports = protocol < 4 && below(2);

	out += sprintf(out, "%s", protocols[protocol]);
	if (type != TYPE_CIDRS)
		out += sprintf(out, "%s%s", type == TYPE_DOMAINS && below(2) ? "*." : "",
			       names[below(ARRAY_SIZE(names))]);
	else if (below(2))
		out += sprintf(out, "%u.%u.%u.%u/%u", below(256), below(256), below(256),
			       below(256), below(33));
	else
		out += sprintf(out, "%s2001:db8:%x::%x/%u%s", ports ? "[" : "",
			       below(65536), below(65536), below(129), ports ? "]" : "");
	if (ports)
		random_ports(out);
}

static void random_proxy(char *out)
{
	static const char *const schemes[] = { "http", "https", "socks5", "socks5h",
					       "socks4a" };
	static const char *const users[] = { "", "u@", "u:@", "u:p@",
					     "a%40b:%3a%2F%25@" };
	static const char *const hosts[] = { "a.example", "192.0.2.1", "[2001:db8::1]",
					     "x" };

	out += sprintf(out, "%s://%s%s", schemes[below(ARRAY_SIZE(schemes))],
		       users[below(ARRAY_SIZE(users))], hosts[below(ARRAY_SIZE(hosts))]);
	if (below(2))
		sprintf(out, ":%u", 1 + below(65535));
}

static void random_route(char *out)
{
	static const char *const ways[] = { "proxy", "direct", "block" };

	random_rule(out, below(2) ? TYPE_CIDRS : TYPE_DOMAINS);
	strcat(out, "=");
	if (below(2))
		strcat(out, ways[below(ARRAY_SIZE(ways))]);
	else
		random_proxy(out + strlen(out));
}

/* A text that the option's type takes. */
static void random_value(const struct option *o, char *out, size_t max)
{
	size_t choices = 0;

	switch (o->type) {
	case TYPE_FLAG:
		strcpy(out, below(2) ? "true" : "false");
		break;
	case TYPE_ADDRESS:
		sprintf(out, below(2) ? "192.0.2.%u" : "2001:db8::%x", below(256));
		break;
	case TYPE_CHOICE:
		while (o->choices[choices])
			choices++;
		strcpy(out, o->choices[below(choices)]);
		break;
	case TYPE_SECONDS:
		sprintf(out, below(2) ? "%u" : "%u.%03u", below(1000000), below(1000));
		break;
	case TYPE_MTU:
		sprintf(out, "%u", 1280 + below(64241));
		break;
	case TYPE_SNAPLEN:
		sprintf(out, "%u", 1 + below(262144));
		break;
	case TYPE_ROTATE:
		sprintf(out, below(2) ? "%u%s" : "%u%s:7", 64 + below(1000),
			(const char *[]){ "K", "M", "G", "s", "min", "h" }[below(6)]);
		break;
	case TYPE_INTERFACE:
		sprintf(out, "if%u", below(1000));
		break;
	case TYPE_CIDRS:
	case TYPE_DOMAINS:
	case TYPE_DOMAINS_EXACT:
		random_rule(out, o->type);
		break;
	case TYPE_RULES:
		random_rule(out, below(2) ? TYPE_CIDRS : TYPE_DOMAINS);
		break;
	case TYPE_ROUTES:
		random_route(out);
		break;
	case TYPE_PROXIES:
		random_proxy(out);
		break;
	case TYPE_WORDS:
		random_text(out, max, false);
		if (below(8) == 0)
			*out = '\0';
		break;
	default:
		random_text(out, max, o->type == TYPE_PATH);
	}
}

static void random_config(struct config *cfg)
{
	struct config defaults;
	struct error err;
	char text[256];

	*cfg = (struct config){ .show_secrets = true };
	cfg->from[OPTION_SHOW_SECRETS].kind = ORIGIN_COMMAND_LINE;
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);
		unsigned n = value_forms(o) & FORM_ARRAY ? below(4) : 1;

		if (!o->key || i == OPTION_EXTENDS || below(2))
			continue;
		/* Two ways to say the same exclude each other. */
		if (o->rival && cfg->from[o->rival].kind != ORIGIN_NONE)
			continue;
		cfg->from[i].kind = ORIGIN_COMMAND_LINE;
		while (n--) {
			random_value(o, text, sizeof(text));
			if (value_parse(o, cfg, text, NULL, &err))
				fail_msg("--%s '%s': %s", o->name, text, err.text);
		}
	}
	config_defaults(&defaults);
	config_fill(cfg, &defaults);
}

static void assert_same_rules(const struct rule_list *a, const struct rule_list *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct rule *r = &a->rules[i], *s = &b->rules[i];

		assert_int_equal(r->kind, s->kind);
		assert_int_equal(r->protocol, s->protocol);
		assert_int_equal(r->route, s->route);
		assert_int_equal(r->prefix, s->prefix);
		assert_true(addr_eq(&r->network, &s->network));
		assert_int_equal(r->port_count, s->port_count);
		assert_memory_equal(r->ports ? (void *)r->ports : "",
				    s->ports ? (void *)s->ports : "",
				    r->port_count * sizeof(*r->ports));
		assert_int_equal(!r->domain, !s->domain);
		if (r->domain)
			assert_string_equal(r->domain, s->domain);
	}
}

static void assert_same_proxies(const struct proxy_list *a, const struct proxy_list *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct proxy *p = &a->proxies[i], *q = &b->proxies[i];

		assert_int_equal(p->scheme, q->scheme);
		assert_int_equal(p->port, q->port);
		assert_string_equal(p->host, q->host);
		assert_string_equal(p->user ? p->user : "-", q->user ? q->user : "-");
		assert_string_equal(p->password ? p->password : "-",
				    q->password ? q->password : "-");
	}
}

static void round_trip(void)
{
	cleanup_free char *text = NULL, *again = NULL;
	struct config cfg, loaded;
	struct error err;

	random_config(&cfg);
	if (dump(&cfg, &text, &err))
		fail_msg("%s", err.text);
	if (SETTINGS(&loaded, &err, "--profile", settings_write("p.toml", text),
		     "--dump-profile", "--show-secrets"))
		fail_msg("%s in:\n%s", err.text, text);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (option_get(i)->key && !value_equal(option_get(i), &cfg, &loaded))
			fail_msg("%s differs in:\n%s", option_get(i)->key, text);
	}
	assert_same_rules(&cfg.allow_cidrs, &loaded.allow_cidrs);
	assert_same_rules(&cfg.deny_cidrs, &loaded.deny_cidrs);
	assert_same_rules(&cfg.allow_domains, &loaded.allow_domains);
	assert_same_rules(&cfg.deny_domains, &loaded.deny_domains);
	assert_same_rules(&cfg.allow_domains_exact, &loaded.allow_domains_exact);
	assert_same_rules(&cfg.deny_domains_exact, &loaded.deny_domains_exact);
	assert_same_rules(&cfg.proxy_dns_range, &loaded.proxy_dns_range);
	assert_same_rules(&cfg.no_proxy, &loaded.no_proxy);
	assert_same_rules(&cfg.routes.rules, &loaded.routes.rules);
	assert_same_proxies(&cfg.routes.own, &loaded.routes.own);
	assert_same_proxies(&cfg.proxies, &loaded.proxies);
	assert_int_equal(cfg.drain_timeout_ms, loaded.drain_timeout_ms);
	assert_int_equal(dump(&loaded, &again, &err), 0);
	assert_string_equal(text, again);
	config_free(&cfg);
	config_free(&loaded);
}

static void test_round_trips(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed;
	struct timespec now;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoul(given, NULL, 10) : (unsigned)(now.tv_sec ^ now.tv_nsec);
	printf("# SEED=%u\n", seed);
	srandom(seed);
	for (int i = 0; i < ROUNDS; i++)
		round_trip();
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, settings_make_dir, settings_remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_order),
		CASE(test_comment),
		CASE(test_paths),
		cmocka_unit_test(test_no_text),
		CASE(test_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
