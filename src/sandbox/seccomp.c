#include "sandbox/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "sandbox/seccomp_filters.h"

/* Without SPEC_ALLOW kernels before 5.16 slow down every branch of a filtered process, which
 * is meant for those that run foreign code in their own memory. */
static int install(const struct sock_filter *filter, unsigned short len, struct error *err)
{
	const struct sock_fprog program = { .len = len, .filter = (void *)filter };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &program) < 0)
		return error_set(err, errno, "set the seccomp filter");
	return 0;
}

int seccomp_confine_command(struct error *err)
{
	return install(command_filter, ARRAY_SIZE(command_filter), err);
}

int seccomp_confine_engine(struct error *err)
{
	return install(engine_filter, ARRAY_SIZE(engine_filter), err);
}
