/*
 * Theory of operation
 *
 * The engine is forked before the child's namespaces exist, so that its loop, resolver and
 * tables are ready when init sends the tap. From then on it is the only process that holds
 * the tap: when it ends, for whatever reason, the child's network has ended. Everything that
 * needs a file or a privilege is done in engine_prepare(): what comes after runs confined.
 *
 * It leaves its loop when the supervisor asks for the drain and that is done, when either of
 * the two other processes is gone, or when the tap can't be read any more. Only the first
 * is an orderly end.
 */
#include "cmd/engine_internal.h"

#include <errno.h>
#include <malloc.h>

#include "sandbox/confine.h"
#include "sandbox/proto.h"

/* So often free memory is given back, as long as anything happens. */
#define TRIM_MS 5000
/* What a capture's reader gets beyond the drain; less than the supervisor grants us. */
#define PATIENCE_MS 2000

static void stop(struct engine *e, int status)
{
	e->status = status;
	poller_stop(&e->poller);
}

/* --- the other processes --- */

static void on_drained(void *ctx, const struct flow_lost *lost)
{
	struct engine *e = ctx;

	e->lost = *lost;
	stop(e, 0);
}

/* Not from within the loop, which would hear of init's end then. */
static void tell_drained(const struct engine *e)
{
	const struct proto_msg msg = {
		.type = PROTO_DRAINED,
		.lost = { .flows = e->lost.flows, .bytes = e->lost.bytes },
	};

	proto_send(e->supervisor_fd, &msg, NULL, 0);
}

static void on_supervisor(uv_poll_t *poll, int status, int events)
{
	struct engine *e = container_of(poll, struct engine, supervisor_poll);
	struct proto_msg msg;
	int fd;

	(void)status;
	(void)events;
	if (proto_recv(e->supervisor_fd, &msg, &fd, 1) != 1)
		return stop(e, 1);
	if (msg.type == PROTO_FILE)
		capture_next(e->capture, msg.file, fd);
	if (msg.type == PROTO_RESOLVERS)
		resolver_set_servers(e->resolver, msg.resolvers.list,
				     msg.resolvers.count);
	if (msg.type == PROTO_OWNER)
		who_answer(e->who, &msg.owner);
	if (msg.type != PROTO_DRAIN)
		return;
	e->patience_ms = msg.drain_timeout_ms + PATIENCE_MS;
	e->drain_began_ms = uv_now(&e->loop);
	/* What the child's kernel sent before its end is in the device already. */
	for (int i = 0; i < 1024 && tap_drain(e->tap); i++)
		stack_flush(e->stack);
	flow_drain(e->flows, msg.drain_timeout_ms, on_drained, e);
}

static void on_init(uv_poll_t *poll, int status, int events)
{
	struct engine *e = container_of(poll, struct engine, init_poll);
	struct proto_msg msg;
	int fd, r = proto_recv(e->init_fd, &msg, &fd, 1);

	(void)status;
	(void)events;
	if (r <= 0)
		stop(e, 1);
	else if (msg.type == PROTO_KEYS && fd >= 0)
		capture_keys(e->capture, fd);
}

static void on_tap_gone(void *ctx, int err)
{
	(void)err;
	stop(ctx, 1);
}

/* --- set-up --- */

static int receive_tap(struct engine *e, int fds[PROTO_FD_COUNT], struct error *err)
{
	struct proto_msg msg;
	int r = proto_recv(e->init_fd, &msg, fds, PROTO_FD_COUNT);

	if (r != 1 || msg.type != PROTO_TAP || fds[PROTO_FD_TAP] < 0) {
		error_set(err, r < 0 ? -r : 0, "receive the tap");
		return error_because(err, ERROR_SYNC);
	}
	e->plan = msg.plan;
	who_start(e->who, fds[PROTO_FD_DIAG]);
	return 0;
}

static int attach(struct engine *e, int tap_fd, struct error *err)
{
	struct stack_up up = { .on_attempt = flow_attempt,
			       .attempt_ctx = e->flows,
			       .on_dgram = sessions_dgram,
			       .dgram_ctx = e->udp,
			       .on_echo = echoes_query,
			       .echo_ctx = e->echoes };
	int r;

	e->tap = tap_new(&e->poller, tap_fd);
	if (!e->tap)
		return engine_no_memory(err);
	if (e->capture)
		link_tap_add(tap_link(e->tap), capture_tap(e->capture));
	e->stack = stack_new(&e->loop, tap_link(e->tap), &e->plan, &up);
	if (!e->stack)
		return engine_no_memory(err);
	uv_timer_init(&e->loop, &e->trim_timer);
	e->trim_timer.data = e;
	r = uv_poll_init(&e->loop, &e->init_poll, e->init_fd);
	if (r == 0)
		r = uv_poll_init(&e->loop, &e->supervisor_poll, e->supervisor_fd);
	if (r == 0)
		r = engine_prepared_start(e);
	if (r)
		return error_set(err, -r, "watch the other processes");
	uv_poll_start(&e->init_poll, UV_READABLE, on_init);
	uv_poll_start(&e->supervisor_poll, UV_READABLE, on_supervisor);
	r = tap_start(e->tap, on_tap_gone, e);
	return r ? error_set(err, -r, "watch the tap") : 0;
}

/* The allocator gives back only what is free at the heap's end. One connection that was opened
 * in a busy moment would hold all the buffers of that moment. */
static void on_trim(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	buf_trim();
	malloc_trim(0);
	e->trimmed = true;
}

static void before_turn(void *ctx)
{
	struct engine *e = ctx;

	if (!e->trimmed && !uv_is_active((uv_handle_t *)&e->trim_timer))
		uv_timer_start(&e->trim_timer, on_trim, TRIM_MS, 0);
	e->trimmed = false;
	who_flush(e->who);
	sessions_flush(e->udp);
	stack_flush(e->stack);
}

/* When nothing more can pass. */
static void close_capture(struct engine *e)
{
	struct counters *counters = e->setup->counters;
	struct capture_totals totals;
	uint64_t spent;

	uv_update_time(&e->loop);
	spent = uv_now(&e->loop) - e->drain_began_ms;
	capture_close(e->capture, spent < e->patience_ms ? e->patience_ms - spent : 0);
	totals = capture_totals(e->capture);
	counters->packets = totals.packets;
	counters->packets_dropped = totals.dropped;
}

static void tear_down(struct engine *e)
{
	engine_prepared_close(e);
	stack_close(e->stack);
	if (e->capture)
		close_capture(e);
	tap_close(e->tap);
	poller_close(&e->poller);
	uv_close((uv_handle_t *)&e->trim_timer, NULL);
	uv_close((uv_handle_t *)&e->init_poll, NULL);
	uv_close((uv_handle_t *)&e->supervisor_poll, NULL);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	engine_prepared_free(e);
	stack_free(e->stack);
	if (e->capture)
		capture_free(e->capture);
	buf_trim();
	uv_loop_close(&e->loop);
}

int engine_main(void *ctx, int init_fd, int supervisor_fd)
{
	struct engine e = { .setup = ctx,
			    .init_fd = init_fd,
			    .supervisor_fd = supervisor_fd };
	int fds[PROTO_FD_COUNT];
	struct error err;

	if (engine_prepare(&e, &err) || confine_engine(&err) ||
	    receive_tap(&e, fds, &err) || attach(&e, fds[PROTO_FD_TAP], &err)) {
		proto_send_error(init_fd, &err);
		return 1;
	}
	if (proto_send(init_fd, &(struct proto_msg){ .type = PROTO_READY }, NULL, 0))
		return 1;
	poller_run(&e.poller, before_turn, &e);
	if (e.status == 0)
		tell_drained(&e);
	tear_down(&e);
	return e.status;
}
