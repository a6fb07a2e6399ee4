/*
 * Makes captures decryptable: keys come through a pipe into which the command's programs
 * write them, and go into the files as Decryption Secrets Blocks.
 *
 * A program knows its keys when it has read the server's first answer, which has passed us
 * by then; a reader in one pass wants the keys before it. So from that answer on the files
 * are held (capfile.c), until all keys of the connection have come, or 200 ms are over: not
 * every program writes them.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "capture/capture_internal.h"

#define READS_MAX 16 /* at a time: the traffic waits */

static void stop_waiting(struct capture *c, struct known_flow *f)
{
	for (size_t i = 0; i < c->waiting_count; i++) {
		if (c->waiting[i] == f)
			c->waiting[i] = c->waiting[--c->waiting_count];
	}
	for (size_t v = 0; v < VIEW_COUNT; v++) {
		if (f->holds[v])
			capfile_release(c->views[v].file, f->holds[v]);
		f->holds[v] = 0;
	}
	f->tls = TLS_DONE;
}

void unlock_forget(struct capture *c, struct known_flow *f)
{
	if (f->tls == TLS_WAITING)
		stop_waiting(c, f);
}

static void wait_for_keys(struct capture *c, struct known_flow *f)
{
	/* There are no more holds in a file, either. */
	if (c->waiting_count == ARRAY_SIZE(c->waiting))
		stop_waiting(c, c->waiting[0]);
	f->tls = TLS_WAITING;
	c->waiting[c->waiting_count++] = f;
	for (size_t v = 0; v < VIEW_COUNT; v++) {
		if (c->views[v].file)
			f->holds[v] = capfile_hold(c->views[v].file);
	}
}

static void on_key(struct capture *c, const struct keys_line *key)
{
	for (size_t i = 0; i < c->waiting_count; i++) {
		struct known_flow *f = c->waiting[i];

		if (memcmp(f->random, key->random, sizeof(f->random)) != 0)
			continue;
		f->key_parts |= key->parts;
		if (f->key_parts == KEYS_COMPLETE)
			stop_waiting(c, f);
		return;
	}
}

/* The lines of a piece that are keys, as one block; before the packets they are for. */
static void take_lines(struct capture *c, char *text, size_t len)
{
	char lines[sizeof(c->key_text)], *at = text, *end;
	struct keys_line keys[sizeof(lines) / (2 * KEYS_RANDOM_LEN)];
	size_t n = 0, count = 0;

	while ((end = memchr(at, '\n', text + len - at))) {
		if (keys_parse(at, end - at, &keys[count])) {
			memcpy(lines + n, at, end + 1 - at);
			n += end + 1 - at;
			count++;
		}
		at = end + 1;
	}
	for (size_t v = 0; n && v < VIEW_COUNT; v++) {
		if (c->views[v].file)
			capfile_secrets(c->views[v].file, lines, n);
	}
	for (size_t i = 0; i < count; i++)
		on_key(c, &keys[i]);
	/* A line that is too long is none; its rest won't be, either. */
	c->key_len = text + len - at;
	if (c->key_len == sizeof(c->key_text))
		c->key_len = 0;
	memmove(c->key_text, at, c->key_len);
}

void unlock_read(struct capture *c)
{
	ssize_t n;

	for (int i = 0; c->keys_fd >= 0 && i < READS_MAX; i++) {
		n = read(c->keys_fd, c->key_text + c->key_len,
			 sizeof(c->key_text) - c->key_len);
		if (n <= 0)
			return;
		take_lines(c, c->key_text, c->key_len + n);
	}
}

void unlock_watch(struct capture *c, const uint8_t *data, size_t len,
		  const struct shape *s)
{
	struct known_flow *f = c->passing.flow;
	const uint8_t *random;

	if (c->keys_fd < 0 || !f || s->protocol != IPPROTO_TCP || c->passing.quoted)
		return;
	if (c->passing.from_child && f->tls == TLS_NONE) {
		random = keys_client_random(data + s->data, len - s->data);
		if (!random)
			return;
		memcpy(f->random, random, sizeof(f->random));
		f->tls = TLS_HELLO;
	} else if (!c->passing.from_child && f->tls == TLS_HELLO &&
		   keys_is_handshake(data + s->data, len - s->data)) {
		wait_for_keys(c, f);
	}
}

static void on_keys(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	unlock_read(poll->data);
}

int unlock_start(struct capture *c, int fd)
{
	int r = uv_poll_init(c->deps.loop, &c->keys_poll, fd);

	if (r) {
		close(fd);
		return r;
	}
	c->keys_fd = fd;
	c->keys_poll.data = c;
	return uv_poll_start(&c->keys_poll, UV_READABLE, on_keys);
}

/* The pipe is closed when nothing watches it any more. */
void unlock_close(struct capture *c)
{
	if (c->keys_fd < 0)
		return;
	unlock_read(c);
	uv_close((uv_handle_t *)&c->keys_poll, NULL);
}
