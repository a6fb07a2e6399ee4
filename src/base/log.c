#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

static enum log_level threshold = LOG_LEVEL_WARN;

void log_init(enum log_level level)
{
	threshold = level;
}

enum log_level log_level(void)
{
	return threshold;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const prefix[] = {
		[LOG_LEVEL_QUIET] = "",		[LOG_LEVEL_ERROR] = "",
		[LOG_LEVEL_WARN] = "warning: ", [LOG_LEVEL_INFO] = "",
		[LOG_LEVEL_DEBUG] = "debug: ",
	};
	char line[1024];
	va_list ap;
	int n, m;

	if (level > threshold)
		return;
	n = snprintf(line, sizeof(line), "childflow: %s", prefix[level]);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	n = m < 0 ? n : MIN(n + m, (int)sizeof(line) - 2);
	line[n++] = '\n';
	/* A line that can't be written has nobody left to be told of it. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
