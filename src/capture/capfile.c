/*
 * Theory of operation
 *
 * Blocks are put together in one buffer and leave it by write(2), whole ones only: when it
 * is full, 200 ms after the first of them, and at the end of the run. So the file can be
 * read whenever the process ends, and its last 200 ms are lost only to SIGKILL.
 *
 * The traffic comes first. A file is written to as fast as it takes it, as the page cache
 * does; a pipe that is full is not waited for: the buffer grows to PIPE_MAX, and then
 * packets are dropped and counted. When writing fails, a block that is there in part is cut
 * off, one warning is given, and no more is written: whether the disk has room again later
 * is not tried, as a file with a hole in the middle is worse than one that ends.
 *
 * Holding. Secrets must stand before the packets that need them, but come a moment after
 * them. A hold marks a place in the buffer, behind which nothing leaves until it is
 * released; secrets are inserted at the first such place. As everything behind waits, the
 * packets stay in order.
 *
 * Rejected: a thread that writes (the engine's system calls don't allow one), io_uring (nor
 * that), writing from the frame without a copy (two calls per packet).
 */
#include "capture/capfile.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define FLUSH_MS 200
#define HOLD_MS 200
/* So much is written at once, and so much is held at most. */
#define BATCH (UINT32_C(256) << 10)
#define HELD_MAX (UINT32_C(8) << 20)
#define PIPE_MAX (UINT32_C(64) << 20)
#define SECRETS_MAX (UINT32_C(1) << 20)

struct hold {
	unsigned id;
	size_t at;
	uint64_t until_ms;
};

struct capfile {
	struct capfile_setup setup;
	int fd;
	int spare; /* the next file, or -1 */
	bool is_file, is_socket, failed, closing;
	bool asked; /* for the next file */
	struct pcapng_buf buf;
	size_t sent; /* of a block at the buffer's beginning, which a pipe has taken in part */
	uint64_t packets, left; /* put into the buffer, gone from it: their numbers */
	off_t offset;		/* of the file */
	uint64_t file_bytes, start_ns, run_received, run_dropped;
	struct capfile_stats stats; /* of this file */
	struct hold holds[CAPFILE_HOLDS];
	unsigned hold_count, last_hold;
	struct pcapng_buf secrets; /* blocks, for the files to come */
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_poll_t poll;
	bool polls;
	int handles;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void fail(struct capfile *w, int err)
{
	w->failed = true;
	w->stats.failed = true;
	log_warn("%s: %s: no more packets are captured, the command goes on",
		 w->setup.path, strerror(err));
}

/* --- the way out --- */

/* Where the first hold is, and else the end. */
static size_t free_to_go(const struct capfile *w)
{
	size_t at = w->buf.len;

	for (unsigned i = 0; i < w->hold_count; i++)
		at = MIN(at, w->holds[i].at);
	return at;
}

/* Takes what has left from the buffer. */
static void shift(struct capfile *w, size_t n)
{
	w->left += pcapng_count_packets(&w->buf, n);
	memmove(w->buf.data, w->buf.data + n, w->buf.len - n);
	w->buf.len -= n;
	for (unsigned i = 0; i < w->hold_count; i++)
		w->holds[i].at -= n;
}

static ssize_t write_some(const struct capfile *w, const uint8_t *data, size_t len)
{
	ssize_t r;

	do
		r = w->is_socket ? send(w->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) :
				   write(w->fd, data, len);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Cuts off the block of which only a part could be written. */
static void repair(struct capfile *w, size_t written)
{
	off_t end = w->offset + (off_t)pcapng_whole(&w->buf, written);

	/* What can't be cut stays a file whose last block is short. */
	if (w->is_file && ftruncate(w->fd, end) == 0 &&
	    lseek(w->fd, end, SEEK_SET) == end)
		w->offset = end;
}

/* What is lost with the buffer when it can't be written. */
static void give_up(struct capfile *w, size_t written, int err)
{
	size_t kept = pcapng_whole(&w->buf, written);

	repair(w, written);
	shift(w, kept);
	w->sent = 0;
	w->stats.dropped += w->packets - w->left;
	w->left = w->packets;
	w->buf.len = 0;
	w->hold_count = 0;
	fail(w, err);
}

static void watch_pipe(struct capfile *w);

/* Writes what may leave. Of a pipe so much as it takes. */
static void flush(struct capfile *w)
{
	size_t end = free_to_go(w), at = w->sent;

	if (w->failed)
		return;
	while (at < end) {
		ssize_t r = write_some(w, w->buf.data + at, end - at);

		if (r == -EAGAIN)
			break;
		if (r <= 0)
			return give_up(w, at, r < 0 ? -r : ENOSPC);
		at += r;
		w->file_bytes += r;
	}
	/* A part of a block stays at the buffer's beginning until the rest has left. */
	end = at == end ? at : pcapng_whole(&w->buf, at);
	w->sent = at - end;
	w->offset += end;
	if (end)
		shift(w, end);
	if (at < free_to_go(w) + end)
		watch_pipe(w);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
	struct capfile *w = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	flush(w);
}

static void watch_pipe(struct capfile *w)
{
	if (w->polls && !uv_is_active((uv_handle_t *)&w->poll))
		uv_poll_start(&w->poll, UV_WRITABLE, on_writable);
}

/* --- time --- */

static void expire_holds(struct capfile *w)
{
	uint64_t now = now_ms();

	for (unsigned i = 0; i < w->hold_count;) {
		if (w->holds[i].until_ms <= now)
			w->holds[i] = w->holds[--w->hold_count];
		else
			i++;
	}
}

static void change_files(struct capfile *w);

/* The next file is asked for in time, since it takes a moment until it is there. */
static void rotate_if_due(struct capfile *w)
{
	const struct capfile_setup *s = &w->setup;
	uint64_t bytes = w->file_bytes + w->buf.len;
	bool late;

	if (!s->rotate || w->failed || w->closing)
		return;
	late = s->rotate_ns && clock_ns(CLOCK_REALTIME) - w->start_ns >= s->rotate_ns;
	if (!w->asked && (late || (s->rotate_bytes && bytes >= s->rotate_bytes / 2))) {
		w->asked = true;
		s->rotate(s->ctx);
	}
	if (w->spare >= 0 && (late || (s->rotate_bytes && bytes >= s->rotate_bytes)))
		change_files(w);
}

static void on_timer(uv_timer_t *timer)
{
	struct capfile *w = timer->data;

	expire_holds(w);
	flush(w);
	rotate_if_due(w);
	if (!w->failed && (w->buf.len > w->sent || w->setup.rotate_ns))
		uv_timer_start(timer, on_timer, FLUSH_MS, 0);
}

static void await_flush(struct capfile *w)
{
	if (w->loop && !w->closing && !uv_is_active((uv_handle_t *)&w->timer))
		uv_timer_start(&w->timer, on_timer, FLUSH_MS, 0);
}

/* --- the way in --- */

static bool grow(struct capfile *w, size_t room)
{
	uint8_t *data = realloc(w->buf.data, room);

	if (!data)
		return false;
	w->buf.data = data;
	w->buf.room = room;
	return true;
}

/* Makes room for a block of n bytes. False when there is none: it is lost. */
static bool make_room(struct capfile *w, size_t n)
{
	size_t most = BATCH + n;

	if (w->failed)
		return false;
	if (w->buf.len >= BATCH)
		flush(w);
	if (w->hold_count && w->buf.len + n > HELD_MAX) {
		w->hold_count = 0;
		flush(w);
	}
	if (w->failed)
		return false;
	if (w->hold_count)
		most = HELD_MAX + n;
	else if (!w->is_file)
		most = PIPE_MAX;
	if (w->buf.len + n > most)
		return false;
	return w->buf.room - w->buf.len >= n ||
	       grow(w, MAX(w->buf.len + n, MIN(w->buf.room * 2, most)));
}

static size_t text_room(const char *text)
{
	return text ? MIN(strlen(text) * PCAPNG_TEXT_GROWTH, (size_t)PCAPNG_TEXT_MAX) : 0;
}

uint64_t capfile_packet(struct capfile *w, const struct pcapng_packet *p)
{
	size_t room = p->captured + PCAPNG_OVERHEAD + text_room(p->comment);
	uint64_t number;

	w->stats.received++;
	if (!make_room(w, room) || !pcapng_packet(&w->buf, p)) {
		w->stats.dropped++;
		return 0;
	}
	number = ++w->packets;
	rotate_if_due(w);
	await_flush(w);
	return number;
}

/* Where in the buffer a packet is; SIZE_MAX: it isn't, or not all of it any more. */
static size_t find_packet(const struct capfile *w, uint64_t number)
{
	size_t at;

	if (number <= w->left || number > w->packets)
		return SIZE_MAX;
	at = pcapng_find_packet(&w->buf, number - w->left);
	return at < w->sent ? SIZE_MAX : at;
}

bool capfile_add(struct capfile *w, uint64_t number, const char *comment, pid_t pid)
{
	size_t at = find_packet(w, number), len = w->buf.len;
	/* Not by flush(): then it would have left. */
	size_t need = len + text_room(comment) + PCAPNG_OVERHEAD;

	if (at == SIZE_MAX || (w->buf.room < need && !grow(w, need)))
		return false;
	if (pid > 0)
		pcapng_add_process(&w->buf, at, pid);
	if (comment)
		pcapng_add_comment(&w->buf, at, comment);
	for (unsigned i = 0; i < w->hold_count; i++) {
		if (w->holds[i].at > at)
			w->holds[i].at += w->buf.len - len;
	}
	return true;
}

void capfile_name(struct capfile *w, const struct addr *addr, const char *name)
{
	if (!make_room(w, strlen(name) + PCAPNG_OVERHEAD))
		return;
	pcapng_name(&w->buf, addr, name);
	await_flush(w);
}

void capfile_process(struct capfile *w, const struct pcapng_process *p)
{
	if (!make_room(w, text_room(p->name) + text_room(p->path) + 2 * PCAPNG_OVERHEAD))
		return;
	pcapng_process(&w->buf, p);
	await_flush(w);
}

static void keep_secrets(struct capfile *w, const uint8_t *block, size_t len)
{
	struct pcapng_buf *s = &w->secrets;
	uint8_t *data;

	if (!w->setup.rotate || s->len + len > SECRETS_MAX)
		return;
	data = realloc(s->data, s->len + len);
	if (!data)
		return;
	s->data = data;
	memcpy(s->data + s->len, block, len);
	s->len += len;
}

void capfile_secrets(struct capfile *w, const char *lines, size_t len)
{
	size_t room = len + PCAPNG_OVERHEAD;
	struct pcapng_buf block = { .data = malloc(room), .room = room };
	size_t at;

	if (block.data && pcapng_secrets(&block, lines, len) && make_room(w, block.len)) {
		at = free_to_go(w);
		memmove(w->buf.data + at + block.len, w->buf.data + at, w->buf.len - at);
		memcpy(w->buf.data + at, block.data, block.len);
		w->buf.len += block.len;
		for (unsigned i = 0; i < w->hold_count; i++)
			w->holds[i].at += block.len;
		keep_secrets(w, block.data, block.len);
		await_flush(w);
	}
	free(block.data);
}

unsigned capfile_hold(struct capfile *w)
{
	if (w->failed || w->hold_count == CAPFILE_HOLDS)
		return 0;
	if (!++w->last_hold)
		w->last_hold++;
	w->holds[w->hold_count++] = (struct hold){ .id = w->last_hold,
						   .at = w->buf.len,
						   .until_ms = now_ms() + HOLD_MS };
	await_flush(w);
	return w->last_hold;
}

void capfile_release(struct capfile *w, unsigned hold)
{
	for (unsigned i = 0; i < w->hold_count; i++) {
		if (w->holds[i].id == hold) {
			w->holds[i] = w->holds[--w->hold_count];
			return;
		}
	}
}

/* --- files --- */

static bool header(struct capfile *w)
{
	struct pcapng_buf *buf = &w->buf;

	w->start_ns = clock_ns(CLOCK_REALTIME);
	return pcapng_section(buf, &w->setup.section) &&
	       pcapng_interface(buf, &w->setup.interface);
}

static void trailer(struct capfile *w)
{
	struct pcapng_statistics s = {
		.start_ns = w->start_ns,
		.end_ns = clock_ns(CLOCK_REALTIME),
		.received = w->stats.received,
		.dropped = w->stats.dropped,
	};

	if (w->buf.room - w->buf.len >= 2 * PCAPNG_OVERHEAD ||
	    grow(w, w->buf.len + 2 * PCAPNG_OVERHEAD))
		pcapng_statistics(&w->buf, &s);
}

/* Without more ado: whatever is in the way of a pipe is waited for. */
static void flush_all(struct capfile *w, unsigned patience_ms)
{
	uint64_t until = now_ms() + patience_ms, now;

	w->hold_count = 0;
	flush(w);
	while (!w->failed && w->buf.len && (now = now_ms()) < until) {
		struct pollfd p = { .fd = w->fd, .events = POLLOUT };

		poll(&p, 1, until - now);
		flush(w);
	}
}

static void take_file(struct capfile *w, int fd)
{
	struct stat st;

	w->fd = fd;
	w->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	w->is_file = !w->is_socket && S_ISREG(st.st_mode);
	w->offset = w->is_file ? MAX(lseek(fd, 0, SEEK_CUR), 0) : 0;
	w->file_bytes = 0;
}

struct capfile *capfile_new(const struct capfile_setup *setup, int fd, struct error *err)
{
	struct capfile *w = calloc(1, sizeof(*w));

	if (!w || !(w->buf.data = malloc(BATCH))) {
		free(w);
		close(fd);
		error_set(err, ENOMEM, "write %s", setup->path);
		return NULL;
	}
	w->setup = *setup;
	w->buf.room = BATCH;
	w->spare = -1;
	take_file(w, fd);
	header(w);
	flush(w);
	if (w->failed) {
		error_set(err, 0, "%s can't be written to", setup->path);
		capfile_free(w);
		return NULL;
	}
	return w;
}

int capfile_start(struct capfile *w, uv_loop_t *loop)
{
	int r = 0;

	w->loop = loop;
	uv_timer_init(loop, &w->timer);
	w->timer.data = w;
	if (!w->is_file) {
		r = uv_poll_init(loop, &w->poll, w->fd);
		w->poll.data = w;
		/* What can't be polled never blocks (epoll_ctl(2), EPERM). */
		w->polls = r == 0;
		r = r == UV_EPERM ? 0 : r;
	}
	await_flush(w);
	return r;
}

/* Ends this file and goes on with the next. */
static void change_files(struct capfile *w)
{
	w->hold_count = 0;
	trailer(w);
	flush_all(w, 0);
	if (w->failed)
		return;
	close(w->fd);
	w->fd = steal_fd(&w->spare);
	w->offset = 0;
	w->file_bytes = 0;
	w->asked = false;
	w->run_received += w->stats.received;
	w->run_dropped += w->stats.dropped;
	w->stats = (struct capfile_stats){ 0 };
	header(w);
	if (w->setup.begun)
		w->setup.begun(w->setup.ctx);
	if (w->secrets.len && (w->buf.room - w->buf.len >= w->secrets.len ||
			       grow(w, w->buf.len + w->secrets.len))) {
		memcpy(w->buf.data + w->buf.len, w->secrets.data, w->secrets.len);
		w->buf.len += w->secrets.len;
	}
	await_flush(w);
}

void capfile_next(struct capfile *w, int fd)
{
	/* Rather one file that is too large than none. */
	if (fd < 0)
		w->setup.rotate = NULL;
	cleanup_fd_fn(&w->spare);
	w->spare = fd;
	rotate_if_due(w);
}

/* --- the end --- */

void capfile_lost(struct capfile *w, uint64_t count)
{
	w->stats.received += count;
	w->stats.dropped += count;
}

struct capfile_stats capfile_stats(const struct capfile *w)
{
	return (struct capfile_stats){ .received = w->run_received + w->stats.received,
				       .dropped = w->run_dropped + w->stats.dropped,
				       .failed = w->failed };
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct capfile *w = handle->data;

	w->handles--;
}

void capfile_close(struct capfile *w, unsigned patience_ms)
{
	w->closing = true;
	if (!w->failed) {
		trailer(w);
		flush_all(w, patience_ms);
	}
	if (!w->failed && w->buf.len) {
		log_warn("%s: its reader is too slow: the end is missing", w->setup.path);
		w->stats.dropped += w->packets - w->left;
	}
	if (!w->loop)
		return;
	w->handles = 1 + w->polls;
	uv_close((uv_handle_t *)&w->timer, on_handle_closed);
	if (w->polls)
		uv_close((uv_handle_t *)&w->poll, on_handle_closed);
}

void capfile_free(struct capfile *w)
{
	assert(!w->handles);
	cleanup_fd_fn(&w->fd);
	cleanup_fd_fn(&w->spare);
	free(w->buf.data);
	free(w->secrets.data);
	free(w);
}
