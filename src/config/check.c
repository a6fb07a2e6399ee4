/* One row per rule; the first that fails is told. Their order is what users see, so it stays. */
#include "config/check_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "config/options.h"
#include "config/value.h"

static size_t count_of(enum option_id id, const struct config *c)
{
	return value_count(option_get(id), c);
}

static bool rootful(const struct config *c)
{
	return c->backend == BACKEND_ROOTFUL;
}

static bool runs_something(const struct config *c)
{
	return !c->dump_profile && !c->list_profiles && !c->doctor && !c->report.count &&
	       !c->diff.count && !c->show_help && !c->show_version;
}

static bool has_command(const struct config *c)
{
	return c->command.count > 0;
}

static bool commanded(const struct config *c)
{
	return has_command(c) && c->from[OPTION_COMMAND].kind == ORIGIN_COMMAND_LINE;
}

static bool no_command(const struct config *c)
{
	return runs_something(c) && !has_command(c);
}

static bool iface_rootless(const struct config *c)
{
	return c->iface && !rootful(c);
}

static bool point_alone(const struct config *c)
{
	return c->capture_point != CAPTURE_CHILD && !c->capture;
}

/* --capture-point has its own place in the order. */
static bool segments_alone(const struct config *c)
{
	return c->capture_segments != SEGMENTS_MTU && !c->capture;
}

static bool filter_alone(const struct config *c)
{
	return c->capture_filter && !c->capture;
}

static bool snaplen_alone(const struct config *c)
{
	return c->snaplen && !c->capture;
}

static bool rotate_alone(const struct config *c)
{
	return count_of(OPTION_CAPTURE_ROTATE, c) && !c->capture;
}

static bool keys_alone(const struct config *c)
{
	return c->capture_keys && !c->capture;
}

static bool process_blocks_alone(const struct config *c)
{
	return c->capture_process_blocks && !c->capture;
}

static bool to_stdout(const struct config *c)
{
	return c->capture && strcmp(c->capture, "-") == 0;
}

static bool both_to_stdout(const struct config *c)
{
	return to_stdout(c) && c->capture_point == CAPTURE_BOTH;
}

static bool rotate_stdout(const struct config *c)
{
	return to_stdout(c) && count_of(OPTION_CAPTURE_ROTATE, c);
}

/* Who is it for one proxy of the chain? The URL or the options say. */
static bool url_has_user(const struct config *c)
{
	for (size_t i = 0; i < c->proxies.count; i++) {
		if (c->proxies.proxies[i].user)
			return true;
	}
	return false;
}

static bool url_has_password(const struct config *c)
{
	for (size_t i = 0; i < c->proxies.count; i++) {
		if (c->proxies.proxies[i].password)
			return true;
	}
	return false;
}

static bool option_has_password(const struct config *c)
{
	return c->proxy_password || c->proxy_password_file;
}

static bool password_twice(const struct config *c)
{
	return c->proxy_password && c->proxy_password_file;
}

static bool user_twice(const struct config *c)
{
	return c->proxy_user && url_has_user(c);
}

static bool url_password_twice(const struct config *c)
{
	return option_has_password(c) && url_has_password(c);
}

static bool half_credentials(const struct config *c)
{
	return (c->proxy_user || url_has_user(c)) !=
	       (option_has_password(c) || url_has_password(c));
}

static bool half_url(const struct config *c)
{
	for (size_t i = 0; i < c->proxies.count; i++) {
		const struct proxy *p = &c->proxies.proxies[i];

		if (p->user && !p->password && !option_has_password(c))
			return true;
	}
	return false;
}

static bool credentials_for_chain(const struct config *c)
{
	return (c->proxy_user || option_has_password(c)) && c->proxies.count > 1;
}

static bool user_without_proxy(const struct config *c)
{
	return (c->proxy_user || option_has_password(c)) && !c->proxies.count;
}

static bool has_https(const struct proxy_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->proxies[i].scheme == PROXY_HTTPS)
			return true;
	}
	return false;
}

static bool insecure_without_proxy(const struct config *c)
{
	return c->proxy_insecure && !check_has_proxy(c);
}

static bool only_without_proxy(const struct config *c)
{
	return c->proxy_only && !c->proxies.count;
}

static bool no_time_to_connect(const struct config *c)
{
	return c->proxies.count && !c->connect_timeout_ms;
}

static bool insecure_without_tls(const struct config *c)
{
	return c->proxy_insecure && !has_https(&c->proxies) && !has_https(&c->routes.own);
}

static bool leak_rootful(const struct config *c)
{
	return c->fail_on_leak && rootful(c);
}

static bool log_rootful(const struct config *c)
{
	return c->flow_log && rootful(c);
}

static bool domains_rootful(const struct config *c)
{
	return rootful(c) && (c->allow_domains.count || c->allow_domains_exact.count ||
			      c->deny_domains.count || c->deny_domains_exact.count);
}

static bool new_without_diff(const struct config *c)
{
	return c->fail_on_new && !c->diff.count;
}

static bool report_doctor(const struct config *c)
{
	return c->report.count && c->doctor;
}

static bool report_diff(const struct config *c)
{
	return c->report.count && c->diff.count;
}

static bool diff_doctor(const struct config *c)
{
	return c->diff.count && c->doctor;
}

static bool doctor_command(const struct config *c)
{
	return c->doctor && commanded(c);
}

static bool list_command(const struct config *c)
{
	return c->list_profiles && commanded(c);
}

static bool diff_not_two(const struct config *c)
{
	return c->diff.count && c->diff.count != 2;
}

static bool origins_alone(const struct config *c)
{
	return c->origins && !c->dump_profile;
}

static bool secrets_alone(const struct config *c)
{
	return c->show_secrets && !c->dump_profile;
}

static const struct check checks[] = {
	{ no_command,
	  { 0 },
	  "missing command to execute",
	  0,
	  "",
	  "Write childflow [OPTIONS] -- COMMAND [ARGUMENTS], or childflow --help." },
	{ iface_rootless,
	  { OPTION_IFACE },
	  " is not supported by the `rootless-internal` "
	  "backend",
	  0,
	  "",
	  "Leave it out." },
	{ point_alone,
	  { OPTION_CAPTURE_POINT },
	  " requires ",
	  OPTION_CAPTURE,
	  "",
	  "Say where the packets go." },
	{ segments_alone,
	  { OPTION_CAPTURE_SEGMENTS },
	  " requires ",
	  OPTION_CAPTURE,
	  "",
	  "Say where the packets go." },
	{ filter_alone,
	  { OPTION_CAPTURE_FILTER },
	  " requires ",
	  OPTION_CAPTURE,
	  "",
	  "Say where the packets go." },
	{ snaplen_alone,
	  { OPTION_SNAPLEN },
	  " requires ",
	  OPTION_CAPTURE,
	  "",
	  "Say where the packets go." },
	{ rotate_alone,
	  { OPTION_CAPTURE_ROTATE },
	  " requires ",
	  OPTION_CAPTURE,
	  "",
	  "Say where the packets go." },
	{ keys_alone,
	  { OPTION_CAPTURE_KEYS },
	  " requires ",
	  OPTION_CAPTURE,
	  "",
	  "Say where the packets go." },
	{ process_blocks_alone,
	  { OPTION_CAPTURE_PROCESS_BLOCKS },
	  " requires ",
	  OPTION_CAPTURE,
	  "",
	  "Say where the packets go." },
	{ both_to_stdout,
	  { OPTION_CAPTURE },
	  " to stdout is one file: not `both` of ",
	  OPTION_CAPTURE_POINT,
	  "",
	  "Name a file, or one point." },
	{ rotate_stdout,
	  { OPTION_CAPTURE },
	  " to stdout has no files for ",
	  OPTION_CAPTURE_ROTATE,
	  "",
	  "Name a file." },
	{ password_twice,
	  { OPTION_PROXY_PASSWORD, OPTION_PROXY_PASSWORD_FILE },
	  " contradict each other",
	  0,
	  "",
	  "Leave one out." },
	{ user_twice,
	  { OPTION_PROXY_USER },
	  " and the user in the URL of ",
	  OPTION_PROXY,
	  " contradict each other",
	  "Leave one out." },
	{ url_password_twice,
	  { OPTION_PROXY_PASSWORD, OPTION_PROXY_PASSWORD_FILE },
	  " and the password in the URL of ",
	  OPTION_PROXY,
	  " contradict each other",
	  "Leave all but one out." },
	{ half_credentials,
	  { OPTION_PROXY_USER, OPTION_PROXY_PASSWORD },
	  " must be provided together",
	  0,
	  "",
	  "Add the other, or leave both out." },
	{ half_url,
	  { OPTION_PROXY },
	  " has a user without a password in a URL",
	  0,
	  "",
	  "Write USER:PASSWORD@, or USER:@ for an empty one." },
	{ user_without_proxy,
	  { OPTION_PROXY_USER, OPTION_PROXY_PASSWORD },
	  " requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy they are for." },
	{ insecure_without_proxy,
	  { OPTION_PROXY_INSECURE },
	  " requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy it is for, or leave it out." },
	{ credentials_for_chain,
	  { OPTION_PROXY_USER, OPTION_PROXY_PASSWORD },
	  " can't say which proxy of a chain they are for",
	  0,
	  "",
	  "Write USER:PASSWORD@ into the URL of each proxy that wants them." },
	{ only_without_proxy,
	  { OPTION_PROXY_ONLY },
	  " requires ",
	  OPTION_PROXY,
	  "",
	  "Say which proxy, or use --offline." },
	{ no_time_to_connect,
	  { OPTION_CONNECT_TIMEOUT },
	  " leaves no time to reach a ",
	  OPTION_PROXY,
	  "",
	  "Give it some seconds." },
	{ insecure_without_tls,
	  { OPTION_PROXY_INSECURE },
	  " is only valid with an `https://` ",
	  OPTION_PROXY,
	  "",
	  "Leave it out." },
	{ leak_rootful,
	  { OPTION_FAIL_ON_LEAK },
	  " is only supported by the `rootless-internal` backend",
	  0,
	  "",
	  "Leave it out." },
	{ log_rootful,
	  { OPTION_FLOW_LOG },
	  " is only supported by the `rootless-internal` backend",
	  0,
	  "",
	  "Leave it out." },
	{ domains_rootful,
	  { OPTION_ALLOW_DOMAIN, OPTION_ALLOW_DOMAIN_EXACT, OPTION_DENY_DOMAIN,
	    OPTION_DENY_DOMAIN_EXACT },
	  " are only supported by the `rootless-internal` backend",
	  0,
	  "",
	  "Leave them out." },
	{ report_doctor,
	  { OPTION_REPORT, OPTION_DOCTOR },
	  " are two things to do",
	  0,
	  "",
	  "Leave one out." },
	{ report_diff,
	  { OPTION_REPORT, OPTION_DIFF },
	  " are two things to do",
	  0,
	  "",
	  "Leave one out." },
	{ diff_doctor,
	  { OPTION_DIFF, OPTION_DOCTOR },
	  " are two things to do",
	  0,
	  "",
	  "Leave one out." },
	{ doctor_command,
	  { OPTION_DOCTOR },
	  " runs no command",
	  0,
	  "",
	  "Leave the command out." },
	{ list_command,
	  { OPTION_LIST_PROFILES },
	  " runs no command",
	  0,
	  "",
	  "Leave the command out." },
	{ new_without_diff,
	  { OPTION_FAIL_ON_NEW },
	  " requires ",
	  OPTION_DIFF,
	  "",
	  "Name two flow logs." },
	{ diff_not_two, { OPTION_DIFF }, " takes two files", 0, "", "Name two flow logs." },
	{ origins_alone,
	  { OPTION_ORIGINS },
	  " requires ",
	  OPTION_DUMP_PROFILE,
	  "",
	  "Add it, or leave both out." },
	{ secrets_alone,
	  { OPTION_SHOW_SECRETS },
	  " requires ",
	  OPTION_DUMP_PROFILE,
	  "",
	  "Add it, or leave both out." },
};

/* The option's name, and where in a profile it is set. */
static void name_option(FILE *out, const struct config *cfg, enum option_id id)
{
	const struct origin *from = &cfg->from[id];

	fprintf(out, "--%s", option_get(id)->name);
	if (from->kind == ORIGIN_PROFILE && from->file)
		fprintf(out, " (%s in %s:%u)", option_get(id)->key, from->file,
			from->line);
	if (from->kind == ORIGIN_ENVIRONMENT)
		fprintf(out, " (%s)", option_get(id)->environment);
}

static int explain(const struct check *check, const struct config *cfg, struct error *err)
{
	FILE *out = fmemopen(err->text, sizeof(err->text), "w");

	error_set(err, 0, "the options contradict each other");
	error_cure(err, "%s", check->cure);
	if (!out)
		return -1;
	for (size_t i = 0; i < SUBJECTS_MAX && check->subjects[i]; i++) {
		bool last = i + 1 == SUBJECTS_MAX || !check->subjects[i + 1];

		fputs(i == 0 ? "" : last ? " and " : ", ", out);
		name_option(out, cfg, check->subjects[i]);
	}
	fputs(check->says, out);
	if (check->object)
		name_option(out, cfg, check->object);
	fputs(check->tail, out);
	fclose(out);
	return -1;
}

static int run(const struct check *list, size_t count, const struct config *cfg,
	       struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i].fails(cfg))
			return explain(&list[i], cfg, err);
	}
	return 0;
}

int config_check(const struct config *cfg, struct error *err)
{
	if (run(checks, ARRAY_SIZE(checks), cfg, err))
		return -1;
	return run(check_routes, check_routes_count, cfg, err);
}

int config_check_available(const struct config *cfg, struct error *err)
{
	struct config defaults;

	config_defaults(&defaults);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *o = option_get(i);
		const struct origin *from = &cfg->from[i];

		/* What is no more than the default asks for nothing. */
		if (!o->missing || from->kind <= ORIGIN_DEFAULT ||
		    value_equal(o, cfg, &defaults))
			continue;
		error_set(err, 0, "--%s is not available in this build: %s", o->name,
			  o->missing);
		if (from->kind == ORIGIN_PROFILE && from->file)
			error_wrap(err, "%s:%u:%u", from->file, from->line, from->column);
		return error_cure(err, "Leave it out.");
	}
	return 0;
}
