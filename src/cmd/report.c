#include "cmd/report.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/util.h"
#include "event/reader.h"
#include "event/render.h"

static int (*const renderers[])(const struct report *r, FILE *out) = {
	[FORMAT_TEXT] = render_text,
	[FORMAT_JSON] = render_json,
	[FORMAT_MARKDOWN] = render_markdown,
	[FORMAT_HTML] = render_html,
};

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "read a flow log");
}

static int read_logs(struct tally *tally, const struct words *files, struct error *err)
{
	struct reader *r = reader_new(tally, isatty(STDERR_FILENO));
	int ret = r ? 0 : no_memory(err);

	for (size_t i = 0; ret == 0 && i < files->count; i++)
		ret = reader_file(r, files->list[i], err);
	reader_free(r);
	tally_finish(tally);
	return ret;
}

static int print(const struct tally *tally, const struct config *cfg, struct error *err)
{
	struct view *view = view_new(tally);
	struct report report = {
		.view = view,
		.files = (const char *const *)cfg->report.list,
		.file_count = cfg->report.count,
	};
	int ret = 0;

	if (!view || renderers[cfg->report_format](&report, stdout))
		ret = no_memory(err);
	else if (fflush(stdout) == EOF || ferror(stdout))
		ret = error_set(err, errno, "write to stdout");
	view_free(view);
	return ret;
}

int report_print(const struct config *cfg, struct error *err)
{
	struct tally tally;
	int ret;

	if (cfg->report_format != FORMAT_HTML)
		tally_init(&tally);
	else if (tally_init_with_talks(&tally))
		return no_memory(err);
	ret = read_logs(&tally, &cfg->report, err);
	if (ret == 0)
		ret = print(&tally, cfg, err);
	tally_free(&tally);
	return ret;
}
