/*
 * Theory of operation
 *
 * The link shows each frame before anybody acts on it, and events tell, within the same
 * call, what came of it. So what an event says of a flow (whose it is, what refused it) is
 * added to the last packet, which has not left the file's buffer; if it has, to the next
 * packet of the flow, which is our answer.
 *
 * Of each view one file makes one file. A frame is cut once for all of them (cut.c); the
 * child's view gets the packets first, as the egress view changes them.
 */
#include "capture/capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/log.h"
#include "capture/capture_internal.h"
#include "capture/files.h"

/* tcpdump's and Wireshark's greatest: longer records are refused by libpcap. */
#define SNAPLEN_WHOLE 262144
#define SNAPLEN_CUT 65535

static const struct {
	const char *name, *kind, *interface;
} views[] = {
	[VIEW_CHILD] = { "child", "isolated", "tap0" },
	[VIEW_EGRESS] = { "egress", "logical", "logical-egress" },
	[VIEW_WIRE] = { "wire-egress", "wire", NULL },
};
static_assert(ARRAY_SIZE(views) == VIEW_COUNT, "each view has a row");

uint64_t capture_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

/* --- packets --- */

bool capture_quoted(const uint8_t *frame, size_t len, const struct shape *s,
		    struct shape *inner, struct endpoint *from, struct endpoint *to)
{
	size_t at = s->l4 + 8 - CUT_ETH_LEN;
	uint8_t copy[CUT_ETH_LEN + 60 + 20];
	size_t n = MIN(len - at - CUT_ETH_LEN, sizeof(copy) - CUT_ETH_LEN);
	uint8_t type = frame[s->l4];

	if (s->v4 ? type != 3 && type != 11 : type >= 128)
		return false;
	memset(copy, 0, sizeof(copy));
	memcpy(copy, frame, CUT_ETH_LEN);
	memcpy(copy + CUT_ETH_LEN, frame + at + CUT_ETH_LEN, n);
	/* It may be cut behind its ports. */
	*inner = cut_shape(copy, sizeof(copy));
	if (inner->protocol == IPPROTO_TCP || inner->protocol == IPPROTO_UDP ||
	    inner->protocol == IPPROTO_ICMP || inner->protocol == IPPROTO_ICMPV6)
		return cut_endpoints(copy, inner, from, to);
	return false;
}

/* Of TCP, a bare SYN. */
static bool begins(const struct passing *p, const uint8_t *data, const struct shape *s)
{
	return p->from_child && !p->quoted &&
	       (s->protocol != IPPROTO_TCP || (data[s->l4 + 13] & 0x17) == 0x02);
}

/* Whose packet it is, as the child's side of it sees it. */
static void identify(struct capture *c, const uint8_t *data, size_t len,
		     const struct shape *shape)
{
	struct passing *p = &c->passing;
	struct endpoint from, to;
	struct shape inner;

	p->identified = true;
	p->quoted = false;
	p->flow = NULL;
	p->protocol = 0;
	if (cut_endpoints(data, shape, &from, &to)) {
		p->protocol = shape->protocol;
		p->child = p->from_child ? from : to;
		p->remote = p->from_child ? to : from;
	} else if (!p->from_child &&
		   (shape->protocol == IPPROTO_ICMP ||
		    shape->protocol == IPPROTO_ICMPV6) &&
		   capture_quoted(data, len, shape, &inner, &from, &to)) {
		p->quoted = true;
		p->protocol = inner.protocol;
		p->child = from;
		p->remote = to;
	}
	if (!p->protocol)
		return;
	/* Events tell the identifier of an echo as the child's port. */
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		p->remote.port = 0;
	p->flow = flows_find(c->flows, p->protocol, &p->child, &p->remote);
	if (!begins(p, data, shape))
		return;
	/* The same ports again, for something new. */
	if (p->flow && p->flow->phase == FLOW_OVER)
		flows_remove(c->flows, p->flow);
	if (!p->flow)
		p->flow = flows_add(c->flows, p->protocol, &p->child, &p->remote);
}

void capture_write(struct capture *c, enum capture_view view, struct known_flow *f,
		   bool from_child, const uint8_t *data, size_t len,
		   struct pcapng_packet *p)
{
	struct view *v = &c->views[view];
	cleanup_free char *comment = NULL;
	uint64_t number;

	if (c->filter && !filter_matches(c->filter, data, len))
		return;
	p->data = data;
	p->original = len;
	p->captured = MIN(len, v->snaplen);
	p->direction = from_child ? PCAPNG_OUTBOUND : PCAPNG_INBOUND;
	if (f)
		comment = steal_ptr(&f->comment[view]);
	p->comment = comment;
	p->pid = f ? f->pid : 0;
	number = capfile_packet(v->file, p);
	if (f && !f->first[view])
		f->first[view] = number;
	if (f && from_child)
		f->latest[view] = number;
}

static void on_packet(void *ctx, uint8_t *data, size_t len, struct shape *shape)
{
	struct capture *c = ctx;
	struct passing *now = &c->passing;
	struct pcapng_packet p = { .time_ns = now->time_ns };

	if (!now->identified)
		identify(c, data, len, shape);
	unlock_watch(c, data, len, shape);
	if (c->views[VIEW_CHILD].file)
		capture_write(c, VIEW_CHILD, now->flow, now->from_child, data, len, &p);
	if (c->views[VIEW_EGRESS].file)
		egress_packet(c, data, len, shape, &p);
}

static void on_frame(struct frame_tap *tap, const struct frame *frame)
{
	struct capture *c = container_of(tap, struct capture, tap);

	c->passing = (struct passing){ .from_child = frame->from_child,
				       .time_ns = capture_now() };
	cut_frame(frame, !c->setup->whole, on_packet, c);
}

/* --- what events tell --- */

static struct known_flow *flow_of(struct capture *c, const struct event *ev)
{
	struct known_flow *f = flows_find(c->flows, ev->protocol, &ev->child,
					  &ev->remote);

	return f ? f : flows_add(c->flows, ev->protocol, &ev->child, &ev->remote);
}

/* It has a socket. */
static void open_flow(struct capture *c, struct known_flow *f,
		      const struct endpoint *local, const struct endpoint *peer)
{
	flows_set_phase(c->flows, f, FLOW_IS_OPEN);
	if (c->wire)
		wire_owner(c->wire, f->protocol, local, peer, f->pid);
	if (c->views[VIEW_EGRESS].file)
		egress_open(c, f, local, peer);
}

static void on_attempt(struct capture *c, const struct event *ev)
{
	struct known_flow *f = flow_of(c, ev);

	if (f)
		capture_introduce(c, ev, f);
}

static void on_start(struct capture *c, const struct event *ev)
{
	struct known_flow *f = flow_of(c, ev);

	if (!f)
		return;
	capture_introduce(c, ev, f);
	open_flow(c, f, &ev->flow_start.local, &ev->flow_start.peer);
}

static void on_result(struct capture *c, const struct event *ev)
{
	struct known_flow *f = flow_of(c, ev);

	if (!f)
		return;
	capture_introduce(c, ev, f);
	if (!ev->connect_result.err) {
		open_flow(c, f, &ev->connect_result.local, &ev->connect_result.peer);
		return;
	}
	egress_forget(c, f);
	flows_set_phase(c->flows, f, FLOW_OVER);
}

static void on_end(struct capture *c, const struct event *ev)
{
	struct known_flow *f = flows_find(c->flows, ev->protocol, &ev->child,
					  &ev->remote);

	if (f)
		flows_set_phase(c->flows, f, FLOW_OVER);
}

static void on_violation(struct capture *c, const struct event *ev)
{
	struct known_flow *f = flow_of(c, ev);

	if (!f)
		return;
	capture_explain(c, ev, f);
	if (!ev->policy_violation.audit && f->phase == FLOW_PENDING)
		egress_forget(c, f);
}

/* Its port is used once. */
static void on_answer(struct capture *c, const struct event *ev)
{
	capture_learn_names(c, ev);
	on_end(c, ev);
}

static void on_event(struct event_sink *sink, const struct event *ev)
{
	struct capture *c = container_of(sink, struct capture, sink);

	switch (ev->kind) {
	case EVENT_DNS_QUERY:
	case EVENT_CONNECT_ATTEMPT:
		return on_attempt(c, ev);
	case EVENT_FLOW_START:
		return on_start(c, ev);
	case EVENT_CONNECT_RESULT:
		return on_result(c, ev);
	case EVENT_FLOW_END:
		return on_end(c, ev);
	case EVENT_POLICY_VIOLATION:
		return on_violation(c, ev);
	case EVENT_DNS_ANSWER:
		return on_answer(c, ev);
	default:
		return;
	}
}

static void forget(void *ctx, struct known_flow *f)
{
	struct capture *c = ctx;

	if (c->passing.flow == f)
		c->passing.flow = NULL;
	egress_forget(c, f);
	unlock_forget(c, f);
	for (size_t i = 0; i < VIEW_COUNT; i++)
		free(f->comment[i]);
}

/* --- set-up --- */

static const char *file_view(const struct capture_setup *s, enum capture_view view)
{
	unsigned count = 0;

	for (size_t i = 0; i < VIEW_COUNT; i++)
		count += s->views[i];
	return count > 1 ? views[view].name : NULL;
}

static bool rotates(const struct capture_setup *s)
{
	return s->rotate_bytes || s->rotate_ns;
}

int capture_next_file(struct capture *c, enum capture_view view, struct error *err)
{
	const struct capture_setup *s = c->setup;
	struct view *v = &c->views[view];
	const char *name = file_view(s, view);
	cleanup_free char *path = NULL;
	int fd;

	if (rotates(s))
		v->number++;
	path = files_name(s->path, name, v->number);
	if (!path)
		return error_set(err, ENOMEM, "name a capture file");
	fd = files_open(path, v->number > 1, &v->made, err);
	if (fd < 0)
		return -1;
	/* The first one waits until nothing can fail any more. */
	if (v->number > 1 && files_begin(path, fd, err) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void capture_file_begun(const struct capture *c, enum capture_view view)
{
	const struct capture_setup *s = c->setup;
	unsigned number = c->views[view].number;
	cleanup_free char *old = NULL;

	if (!s->rotate_count || number <= s->rotate_count)
		return;
	old = files_name(s->path, file_view(s, view), number - s->rotate_count);
	if (old && unlink(old) < 0 && errno != ENOENT)
		log_warn("%s can't be removed: %s", old, strerror(errno));
}

void capture_remove_unused(const struct capture *c)
{
	struct stat st;

	for (size_t i = 0; i < VIEW_COUNT; i++) {
		const struct view *v = &c->views[i];
		cleanup_free char *path = files_name(c->setup->path,
						     file_view(c->setup, i), v->number);

		/* Each that was begun has a header. */
		if ((v->number > 1 || v->made) && path && lstat(path, &st) == 0 &&
		    S_ISREG(st.st_mode) && !st.st_size)
			unlink(path);
	}
}

struct capture *capture_open(const struct capture_setup *setup, struct error *err)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(err, ENOMEM, "capture packets");
		return NULL;
	}
	c->setup = setup;
	c->keys_fd = -1;
	for (size_t i = 0; i < VIEW_COUNT; i++)
		c->views[i].fd = -1;
	if (setup->filter) {
		c->filter = filter_new(setup->filter, err);
		if (!c->filter) {
			error_wrap(err, "--capture-filter");
			goto fail_filter;
		}
	}
	for (size_t i = 0; i < VIEW_COUNT; i++) {
		if (!setup->views[i])
			continue;
		c->views[i].fd = capture_next_file(c, i, err);
		if (c->views[i].fd < 0) {
			error_wrap(err, "--capture");
			goto fail_file;
		}
	}
	return c;

fail_file:
	capture_remove_unused(c);
	for (size_t i = 0; i < VIEW_COUNT; i++)
		cleanup_fd_fn(&c->views[i].fd);
	filter_free(c->filter);
fail_filter:
	free(c);
	return NULL;
}

size_t capture_descriptors(const struct capture *c, int out[static VIEW_COUNT])
{
	size_t n = 0;

	for (size_t i = 0; i < VIEW_COUNT; i++) {
		if (c->views[i].fd >= 0)
			out[n++] = c->views[i].fd;
	}
	return n;
}

static void ask_next(void *ctx)
{
	struct view *v = ctx;
	struct capture *c = v->capture;

	c->deps.rotate(c->deps.ctx, v - c->views);
}

static void tell_begun(void *ctx)
{
	const struct view *v = ctx;
	const struct capture *c = v->capture;

	c->deps.begun(c->deps.ctx, v - c->views);
}

/* "command: curl -s 'a b'": for people; words with blanks are quoted. */
static void describe_command(char *out, size_t size, const char *const *words)
{
	size_t n = snprintf(out, size, "command:");

	for (; words && *words && n < size; words++) {
		bool plain = **words && !strpbrk(*words, " \t\n'\"");

		n += snprintf(out + n, size - n, plain ? " %s" : " '%s'", *words);
	}
}

static int start_view(struct capture *c, enum capture_view view, struct error *err)
{
	const struct capture_setup *s = c->setup;
	struct view *v = &c->views[view];
	bool wire = view == VIEW_WIRE;
	const char *interface = wire ? wire_device(c->wire) : views[view].interface;
	char command[PCAPNG_TEXT_MAX], os[512], description[256];
	struct utsname u = { 0 };
	struct capfile_setup w = {
		.path = s->path,
		.rotate_bytes = s->rotate_bytes,
		.rotate_ns = s->rotate_ns,
		.rotate = rotates(s) ? ask_next : NULL,
		.begun = tell_begun,
		.ctx = v,
	};

	uname(&u);
	snprintf(os, sizeof(os), "%s %s %s", u.sysname, u.release, u.machine);
	describe_command(command, sizeof(command), s->command);
	snprintf(description, sizeof(description),
		 "childflow view=%s backend=%s kind=%s interface=%s", views[view].name,
		 s->backend, views[view].kind, interface);
	v->capture = c;
	v->snaplen = s->snaplen	      ? s->snaplen :
		     s->whole || wire ? SNAPLEN_WHOLE :
					SNAPLEN_CUT;
	w.section = (struct pcapng_section){ s->application, os, command };
	w.interface = (struct pcapng_interface){ wire ? wire_linktype(c->wire) :
							CAPTURE_LINKTYPE_ETHERNET,
						 v->snaplen, interface, description,
						 s->filter };
	if (files_begin(s->path, v->fd, err) < 0)
		return error_wrap(err, "--capture");
	v->file = capfile_new(&w, steal_fd(&v->fd), err);
	if (!v->file)
		return error_wrap(err, "--capture");
	capfile_start(v->file, c->deps.loop);
	return 0;
}

int capture_start(struct capture *c, const struct capture_deps *deps, struct error *err)
{
	c->deps = *deps;
	c->tap.on_frame = on_frame;
	c->sink.on_event = on_event;
	list_init(&c->held);
	c->flows = flows_new(forget, c);
	if (!c->flows)
		return error_set(err, ENOMEM, "capture packets");
	if (c->setup->views[VIEW_WIRE]) {
		c->wire = wire_new(c, err);
		if (!c->wire) {
			error_wrap(err, "--capture-point wire-egress");
			return error_because(err, ERROR_CAPTURE);
		}
	}
	for (size_t i = 0; i < VIEW_COUNT; i++) {
		if (c->setup->views[i] && start_view(c, i, err) < 0)
			return -1;
	}
	deps->events->wants_process = true;
	deps->events->wants_local = !c->setup->views[VIEW_CHILD] ||
				    c->setup->views[VIEW_EGRESS] ||
				    deps->events->wants_local;
	event_sink_add(deps->events, &c->sink);
	if (c->wire && wire_start(c->wire))
		return error_set(err, ENOMEM, "watch %s", wire_device(c->wire));
	return 0;
}

struct sock_watch *capture_sock_watch(struct capture *c)
{
	return c->wire ? wire_watch(c->wire) : NULL;
}

struct frame_tap *capture_tap(struct capture *c)
{
	return &c->tap;
}

void capture_next(struct capture *c, enum capture_view view, int fd)
{
	capfile_next(c->views[view].file, fd);
}

void capture_keys(struct capture *c, int fd)
{
	int r = unlock_start(c, fd);

	if (r)
		log_warn("--capture-keys: %s: there will be no keys", strerror(-r));
}

/* --- the end --- */

void capture_close(struct capture *c, unsigned patience_ms)
{
	unlock_close(c);
	if (c->wire)
		capfile_lost(c->views[VIEW_WIRE].file, wire_close(c->wire));
	for (size_t i = 0; i < VIEW_COUNT; i++) {
		struct view *v = &c->views[i];
		struct capfile_stats stats;

		if (!v->file)
			continue;
		capfile_close(v->file, patience_ms);
		stats = capfile_stats(v->file);
		if (stats.dropped && !stats.failed)
			log_warn("--capture: %llu of %llu packets were dropped: %s took "
				 "them too slowly",
				 (unsigned long long)stats.dropped,
				 (unsigned long long)stats.received, c->setup->path);
	}
}

struct capture_totals capture_totals(const struct capture *c)
{
	struct capture_totals t = { 0 };

	for (size_t i = 0; i < VIEW_COUNT; i++) {
		struct capfile_stats stats = { 0 };

		if (c->views[i].file)
			stats = capfile_stats(c->views[i].file);
		t.packets += stats.received;
		t.dropped += stats.dropped;
	}
	return t;
}

void capture_free(struct capture *c)
{
	if (c->flows)
		flows_free(c->flows);
	cleanup_fd_fn(&c->keys_fd);
	if (c->wire)
		wire_free(c->wire);
	for (size_t i = 0; i < VIEW_COUNT; i++) {
		if (c->views[i].file)
			capfile_free(c->views[i].file);
		cleanup_fd_fn(&c->views[i].fd);
	}
	filter_free(c->filter);
	free(c);
}
