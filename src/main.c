#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/diff.h"
#include "cmd/profile.h"
#include "cmd/record.h"
#include "cmd/report.h"
#include "cmd/run.h"
#include "config/check.h"
#include "config/cmdline.h"
#include "config/help.h"
#include "config/load.h"
#include "sandbox/supervisor.h"

/* Of what runs nothing. */
#define EXIT_FAILED 1
#define EXIT_USAGE 2

/*
 * A descriptor we open must never be taken for one of the command's: where the caller gave
 * no stdin, stdout or stderr, something stands in for it until exec.
 */
static int occupy_stdio(struct error *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, errno, "open /dev/null");
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

/* Whatever the log level: an exit code without a reason helps nobody. */
static void print_error(const struct error *err)
{
	dprintf(STDERR_FILENO, "childflow: %s\n", err->text);
	if (err->cure[0])
		dprintf(STDERR_FILENO, "childflow: %s\n", err->cure);
	if (err->reason != ERROR_UNKNOWN)
		dprintf(STDERR_FILENO, "childflow: reason_code: %s\n",
			error_reason_name(err->reason));
}

static int flush(struct error *err)
{
	/* An earlier failure is remembered, but not told by the last flush. */
	if (fflush(stdout) == EOF || ferror(stdout))
		return error_set(err, errno, "write to stdout");
	return 0;
}

static int print_information(const struct config *cfg, struct error *err)
{
	if (cfg->show_help)
		help_write(stdout);
	else
		puts("childflow " PACKAGE_VERSION);
	return flush(err);
}

/* Done or not, nothing is run. */
static int inform(int ret, int *exit_code)
{
	*exit_code = ret < 0 ? EXIT_FAILED : 0;
	return ret;
}

/* The flow log of a run that was asked for says why there was none. */
static int refuse(const struct config *cfg, bool runs_nothing, struct error *err)
{
	if (!runs_nothing && cfg->flow_log)
		record_refusal(cfg, err);
	return -1;
}

/* One call of the program. *exit_code is what the step at hand means when it fails. */
static int call(struct config *cfg, int argc, char **argv, int *exit_code,
		struct error *err)
{
	bool runs_nothing = cmdline_runs_nothing(argc, argv);
	int failed = runs_nothing ? EXIT_FAILED : SUPERVISOR_EXIT_FAILED;
	int usage = runs_nothing ? EXIT_USAGE : SUPERVISOR_EXIT_FAILED;

	*exit_code = failed;
	if (occupy_stdio(err))
		return -1;
	*exit_code = usage;
	if (cmdline_parse(cfg, argc, argv, err))
		return -1;
	if (cfg->show_help || cfg->show_version)
		return inform(print_information(cfg, err), exit_code);
	*exit_code = failed;
	if (!cfg->list_profiles && config_load(cfg, err))
		return -1;
	*exit_code = usage;
	if (config_check(cfg, err))
		return refuse(cfg, runs_nothing, err);
	if (cfg->list_profiles)
		return inform(profile_list(err), exit_code);
	if (cfg->dump_profile)
		return inform(profile_dump(cfg, err), exit_code);
	if (cfg->report.count)
		return inform(report_print(cfg, err), exit_code);
	if (cfg->diff.count) {
		*exit_code = failed;
		return diff_print(cfg, exit_code, err);
	}
	*exit_code = failed;
	if (config_load_secrets(cfg, err) || config_check_available(cfg, err))
		return refuse(cfg, runs_nothing, err);
	log_init(cfg->log_level);
	return run_command(cfg, exit_code, err);
}

int main(int argc, char **argv)
{
	struct config cfg = { 0 };
	struct error err;
	int exit_code;

	if (call(&cfg, argc, argv, &exit_code, &err) < 0)
		print_error(&err);
	config_free(&cfg);
	return exit_code;
}
