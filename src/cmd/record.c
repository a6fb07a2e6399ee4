#include "cmd/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/util.h"
#include "config/options.h"
#include "config/path.h"
#include "config/value.h"
#include "sandbox/hide.h"

#define HIDDEN_MAX 64

/* --- what may leave, as text --- */

static bool decides(const struct option *o)
{
	static const enum option_id others[] = { OPTION_DNS,	    OPTION_PROXY,
						 OPTION_PROXY_ONLY, OPTION_PROXY_DNS,
						 OPTION_PROXY_UDP,  OPTION_ROUTE,
						 OPTION_NO_PROXY };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (o == option_get(others[i]))
			return true;
	}
	return o->group == GROUP_POLICY;
}

/* One "option=value" a line, in the order of the table: equal texts are equal policies. */
static char *policy_text(const struct config *cfg)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (const struct option *o = option_next(NULL); o; o = option_next(o)) {
		size_t count = decides(o) ? value_count(o, cfg) : 0;

		for (size_t i = 0; i < count; i++) {
			cleanup_free char *value = value_text(o, cfg, i, false);

			fprintf(out, "%s=%s\n", o->name, value ? value : "");
		}
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* --- the run --- */

struct hidden {
	const char *list[HIDDEN_MAX + 1];
	size_t count;
};

static void add_hidden(void *ctx, const char *place)
{
	struct hidden *h = ctx;

	if (h->count < HIDDEN_MAX)
		h->list[h->count] = strdup(place);
	h->count += h->count < HIDDEN_MAX && h->list[h->count];
}

static void make_run_id(char out[static RECORD_RUN_ID_MAX])
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	snprintf(out, RECORD_RUN_ID_MAX, "%08x-%016" PRIx64, (unsigned)getpid(),
		 t.tv_sec * UINT64_C(1000000) + t.tv_nsec / 1000);
}

int record_open(struct record *r, const struct config *cfg, struct counters *counters,
		struct error *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct stat st;
	int given = cfg->flow_log ? path_descriptor(cfg->flow_log) : -1;

	make_run_id(r->run_id);
	r->file.fd = -1;
	if (!cfg->flow_log && !cfg->learn)
		return 0;
	if ((!cfg->flow_log ? logfile_memory(&r->file, counters, err) :
	     given >= 0	    ? logfile_take(&r->file, given, counters, err) :
			      logfile_open(&r->file, cfg->flow_log, counters, err)) < 0)
		return error_wrap(err, "--flow-log");
	if (flowlog_init(&r->log, &r->file, r->run_id, err) < 0) {
		logfile_close(&r->file);
		return -1;
	}
	if (fstat(r->file.fd, &st) == 0)
		r->begin = st.st_size;
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, &r->file_size_signal);
	events_init(&r->events);
	counter_sink_init(&r->counter, counters);
	event_sink_add(&r->events, &r->counter.sink);
	event_sink_add(&r->events, &r->log.sink);
	r->open = true;
	return 0;
}

void record_start(struct record *r, const struct config *cfg)
{
	cleanup_free char *policy = NULL;
	char sha256[SHA256_HEX_MAX];
	struct hidden hidden = { .count = 0 };
	struct event ev = { .kind = EVENT_RUN_START };

	if (!r->open)
		return;
	policy = policy_text(cfg);
	hide_each_place(add_hidden, &hidden);
	ev.run_start = (struct run_info){
		.run_id = r->run_id,
		.version = PACKAGE_VERSION,
		.backend = "rootless-internal",
		.command = (const char *const *)cfg->command.list,
		.policy = policy,
		.hidden_sockets = hidden.list,
	};
	if (policy)
		ev.run_start.policy_sha256 = sha256_hex(policy, strlen(policy), sha256);
	event_emit(&r->events, &ev);
	for (size_t i = 0; i < hidden.count; i++)
		free((char *)hidden.list[i]);
}

void record_failure(struct record *r, const struct error *err)
{
	if (!r->open)
		return;
	event_emit(&r->events,
		   &(struct event){ .kind = EVENT_RUNTIME_FAILURE,
				    .runtime_failure = {
					    .phase = error_phase_name(err->phase),
					    .reason_code = error_reason_name(err->reason),
					    .detail = err->text,
				    } });
}

void record_end(struct record *r, int exit_code)
{
	const struct counters *c = r->file.counters;

	if (!r->open)
		return;
	event_emit(&r->events,
		   &(struct event){ .kind = EVENT_RUN_END,
				    .run_end = { .exit_code = exit_code,
						 .events = c->events,
						 .refused_full = c->refused_full,
						 .lost_records = c->lost_records } });
	if (c->lost_records)
		log_warn("%" PRIu64 " events are missing in the flow log",
			 c->lost_records);
}

void record_close(struct record *r)
{
	if (!r->open)
		return;
	flowlog_free(&r->log);
	logfile_close(&r->file);
	r->open = false;
}

void record_refusal(const struct config *cfg, struct error *err)
{
	struct counters counters = { 0 };
	struct record r = { 0 };
	struct error ignored;

	err->phase = PHASE_CLI;
	/* What it has to say is said already. */
	if (record_open(&r, cfg, &counters, &ignored) == 0)
		record_failure(&r, err);
	record_close(&r);
}
