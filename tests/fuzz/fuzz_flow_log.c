/*
 * A flow log as a stranger hands it over, reported in every form. The JSON must be read again,
 * a Markdown table keep its columns, and the page hold no markup but its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"
#include "event/reader.h"
#include "event/render.h"
#include "fuzz.h"

static char *rendered(int (*render)(const struct report *r, FILE *out),
		      const struct view *view, size_t *len)
{
	static const char *const files[] = { "fuzz" };
	struct report report = { view, files, 1 };
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	CHECK(out && render(&report, out) == 0 && fclose(out) == 0);
	return text;
}

static void ignore(void *ctx, const struct json_item *item)
{
	(void)ctx;
	(void)item;
}

static void check_json(const char *text, size_t len)
{
	struct json_reader *r = json_reader_new(ignore, NULL);
	struct error err;

	CHECK(r && json_read(r, text, len, &err) == 0);
	json_reader_free(r);
}

/* Neither a control that a terminal obeys, nor a line that isn't ours. */
static void check_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		CHECK(c == '\n' || (c >= ' ' && c != 0x7f));
		CHECK(!(c == 0xc2 && (unsigned char)text[i + 1] < 0xa0));
	}
}

static void check_page(const char *text)
{
	const char *data = strstr(text, "<script type=\"application/json\"");
	const char *end;

	CHECK(data);
	data = strchr(data, '{');
	end = strchr(data, '<');
	CHECK(end && strncmp(end, "</script>", 9) == 0);
	check_json(data, end - data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tally tally;
	struct reader *r;
	struct view *view;
	struct error err;
	char *text;
	size_t len;

	CHECK(tally_init_with_talks(&tally) == 0);
	r = reader_new(&tally, false);
	CHECK(r);
	if (reader_lines(r, (const char *)data, size, "fuzz", &err))
		CHECK(strncmp(err.text, "fuzz:", 5) == 0);
	tally_finish(&tally);
	view = view_new(&tally);
	CHECK(view);
	text = rendered(render_json, view, &len);
	check_json(text, len);
	free(text);
	text = rendered(render_text, view, &len);
	check_plain(text, len);
	free(text);
	text = rendered(render_markdown, view, &len);
	check_plain(text, len);
	free(text);
	text = rendered(render_html, view, &len);
	check_page(text);
	free(text);
	view_free(view);
	reader_free(r);
	tally_free(&tally);
	return 0;
}
