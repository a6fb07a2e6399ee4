#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

static const char *const reasons[] = {
	[ERROR_UNKNOWN] = "unknown_runtime_failure",
	[ERROR_NAMESPACES] = "namespace_unshare_failed",
	[ERROR_ID_MAPS] = "user_namespace_mapping_failed",
	[ERROR_PRIVATE_MOUNTS] = "mount_propagation_blocked",
	[ERROR_RESOLV_CONF] = "resolv_conf_bind_blocked",
	[ERROR_HOSTS] = "hosts_bind_blocked",
	[ERROR_SYNC] = "rootless_bootstrap_sync_failed",
	[ERROR_TAP] = "tap_create_blocked",
	[ERROR_CAPTURE] = "packet_capture_blocked",
	[ERROR_SHUTDOWN] = "runtime_shutdown_failed",
};
static_assert(ARRAY_SIZE(reasons) == ERROR_REASON_COUNT, "one name per reason");

static const char *const phases[] = {
	[PHASE_RUN] = "run",
	[PHASE_CLI] = "cli_validate",
	[PHASE_PREFLIGHT] = "preflight",
	[PHASE_CHILD] = "child_bootstrap",
};
static_assert(ARRAY_SIZE(phases) == PHASE_COUNT, "one name per phase");

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	err->code = code;
	err->reason = ERROR_UNKNOWN;
	err->phase = PHASE_RUN;
	err->cure[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	if (code)
		snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(code));
	return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char tail[sizeof(err->text)];
	va_list ap;
	size_t n;

	memcpy(tail, err->text, sizeof(tail));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", tail);
	return -1;
}

int error_cure(struct error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->cure, sizeof(err->cure), fmt, ap);
	va_end(ap);
	return -1;
}

int error_because(struct error *err, enum error_reason reason)
{
	if (err->reason == ERROR_UNKNOWN)
		err->reason = reason;
	return -1;
}

const char *error_reason_name(enum error_reason reason)
{
	return reasons[reason];
}

const char *error_phase_name(enum error_phase phase)
{
	return phases[phase];
}
