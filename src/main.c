#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/run.h"
#include "config/options.h"
#include "sandbox/supervisor.h"

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
}

static int print_information(const struct config *cfg, struct error *err)
{
	if (cfg->show_help)
		options_help(stdout);
	else
		puts("childflow " PACKAGE_VERSION);
	if (fflush(stdout) == EOF)
		return error_set(err, errno, "write to stdout");
	return 0;
}

int main(int argc, char **argv)
{
	int exit_code = SUPERVISOR_EXIT_FAILED, ret;
	struct config cfg;
	struct error err;

	options_defaults(&cfg);
	ret = occupy_stdio(&err);
	if (ret == 0)
		ret = options_parse(&cfg, argc, argv, &err);
	if (ret == 0 && (cfg.show_help || cfg.show_version)) {
		ret = print_information(&cfg, &err);
		exit_code = ret < 0 ? SUPERVISOR_EXIT_FAILED : 0;
	} else if (ret == 0) {
		log_init(cfg.log_level);
		ret = run_command(&cfg, &exit_code, &err);
	}
	if (ret < 0)
		print_error(&err);
	return exit_code;
}
