#include "cmd/packets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define KEYS_VARIABLE "SSLKEYLOGFILE"

/* The engine is no authority on what is asked for. */
static bool is_wanted(const struct packets *p, unsigned view)
{
	return view < VIEW_COUNT && p->setup.views[view];
}

static int next_file(void *ctx, unsigned view)
{
	struct packets *p = ctx;
	struct error err;
	int fd;

	if (!is_wanted(p, view))
		return -1;
	fd = capture_next_file(p->capture, view, &err);
	if (fd < 0)
		log_warn("--capture-rotate: %s: the last file goes on", err.text);
	return fd;
}

static void file_begun(void *ctx, unsigned view)
{
	struct packets *p = ctx;

	if (is_wanted(p, view))
		capture_file_begun(p->capture, view);
}

/* The command's stdout would stand among the packets. */
static int yield_stdout(struct error *err)
{
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return error_set(err, errno, "lead the command's stdout to stderr");
	log_warn("packets go to stdout, what the command writes there to stderr");
	return 0;
}

static int ask_for_keys(struct error *err)
{
	if (getenv(KEYS_VARIABLE))
		log_warn("--capture-keys: " KEYS_VARIABLE
			 " is ours for this run, no keys go "
			 "to the file that it names");
	if (setenv(KEYS_VARIABLE, MOUNTS_KEYS, 1) < 0)
		return error_set(err, errno, "set " KEYS_VARIABLE);
	return 0;
}

static struct capture_setup setup_from(const struct config *cfg)
{
	bool both = cfg->capture_point == CAPTURE_BOTH;

	return (struct capture_setup){
		.views = { [VIEW_CHILD] = both || cfg->capture_point == CAPTURE_CHILD,
			   [VIEW_EGRESS] = both || cfg->capture_point == CAPTURE_EGRESS,
			   [VIEW_WIRE] = cfg->capture_point == CAPTURE_WIRE_EGRESS },
		.path = cfg->capture,
		.application = "childflow " PACKAGE_VERSION,
		.backend = "rootless-internal",
		.command = (const char *const *)cfg->command.list,
		.whole = cfg->capture_segments == SEGMENTS_RAW,
		.snaplen = cfg->snaplen,
		.filter = cfg->capture_filter,
		.process_blocks = cfg->capture_process_blocks,
		.rotate_bytes = cfg->capture_rotate.bytes,
		.rotate_ns = cfg->capture_rotate.seconds * UINT64_C(1000000000),
		.rotate_count = cfg->capture_rotate.count,
	};
}

int packets_open(struct packets *p, const struct config *cfg,
		 struct supervisor_setup *supervisor, struct error *err)
{
	int fds[VIEW_COUNT];
	size_t n;

	if (!cfg->capture)
		return 0;
	p->setup = setup_from(cfg);
	p->capture = capture_open(&p->setup, err);
	if (!p->capture)
		return -1;
	n = capture_descriptors(p->capture, fds);
	for (size_t i = 0; i < n; i++)
		supervisor_keep(supervisor, fds[i]);
	supervisor->engine_finishes = true;
	supervisor->keys = cfg->capture_keys;
	supervisor->next_file = next_file;
	supervisor->file_begun = file_begun;
	supervisor->next_file_ctx = p;
	if (cfg->capture_keys && ask_for_keys(err) < 0)
		return -1;
	return strcmp(cfg->capture, "-") == 0 ? yield_stdout(err) : 0;
}

void packets_close(struct packets *p)
{
	if (!p->capture)
		return;
	capture_remove_unused(p->capture);
	capture_free(p->capture);
	p->capture = NULL;
}
