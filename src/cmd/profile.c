#include "cmd/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "config/dump.h"
#include "config/search.h"

static int flush(struct error *err)
{
	/* An earlier failure is remembered, but not told by the last flush. */
	if (fflush(stdout) == EOF || ferror(stdout))
		return error_set(err, errno, "write to stdout");
	return 0;
}

int profile_dump(const struct config *cfg, struct error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int ret;

	if (!out)
		return error_set(err, errno, "print the settings");
	ret = config_dump(cfg, out, err);
	if (fclose(out) == EOF && ret == 0)
		ret = error_set(err, errno, "print the settings");
	if (ret == 0) {
		fwrite(text, 1, len, stdout);
		ret = flush(err);
	}
	free(text);
	return ret;
}

int profile_list(struct error *err)
{
	return search_list(stdout, err) ? -1 : flush(err);
}
