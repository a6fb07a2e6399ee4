/*
 * What the command sends and receives, written to files as it happens: a frame tap and an
 * event sink. Opened in the supervisor, inherited by the engine's process.
 */
#ifndef CAPTURE_CAPTURE_H
#define CAPTURE_CAPTURE_H

#include <uv.h>

#include "base/error.h"
#include "base/frame.h"
#include "base/sockwatch.h"
#include "event/event.h"

/* From where the packets are seen. */
enum capture_view {
	VIEW_CHILD,  /* what crossed the link to the child */
	VIEW_EGRESS, /* the same packets with the addresses of the host's sockets */
	VIEW_WIRE,   /* what crossed the host's interface */
	VIEW_COUNT,
};

struct capture_setup {
	bool views[VIEW_COUNT];
	const char *path;	 /* "-": stdout */
	const char *application; /* name and version */
	const char *backend;	 /* as users name it */
	const char *const *command;
	bool whole;			  /* super-segments are not cut */
	uint32_t snaplen;		  /* 0: whatever comes */
	const char *filter;		  /* in libpcap's language, or NULL */
	bool process_blocks;		  /* Wireshark's, for each process */
	uint64_t rotate_bytes, rotate_ns; /* 0: not by that */
	unsigned rotate_count;		  /* files to keep, 0: all */
};

struct capture;

/* Creates the files. setup, and what it points to, stays the caller's and in place. NULL and
 * err. */
struct capture *capture_open(const struct capture_setup *setup, struct error *err);

/* The descriptors that the engine needs. Returns how many, at most VIEW_COUNT. */
size_t capture_descriptors(const struct capture *c, int out[static VIEW_COUNT]);

/* In the supervisor: the next file of a view, as rotate() has asked for. -1 and err. */
int capture_next_file(struct capture *c, enum capture_view view, struct error *err);
/* It is being written: removes one that is too old. Not before, or there were too few if this one
 * should never be needed. */
void capture_file_begun(const struct capture *c, enum capture_view view);

/* In the supervisor, at the end: removes the files that were opened and not needed. */
void capture_remove_unused(const struct capture *c);

struct capture_deps {
	uv_loop_t *loop;
	struct events *events;
	/* Asks for capture_next_file() to be called in the supervisor. */
	void (*rotate)(void *ctx, enum capture_view view);
	/* The same of capture_file_begun(). */
	void (*begun)(void *ctx, enum capture_view view);
	void *ctx;
};

/* In the engine, before it is confined: writes the files' headers and listens to events. */
int capture_start(struct capture *c, const struct capture_deps *deps, struct error *err);
/* What our sockets are to be told to; NULL when nothing depends on it. */
struct sock_watch *capture_sock_watch(struct capture *c);
/* To be added to the link. */
struct frame_tap *capture_tap(struct capture *c);
/* The answer to rotate(); fd becomes the capture's, -1: there is none. */
void capture_next(struct capture *c, enum capture_view view, int fd);

/* A pipe into which programs write their TLS keys; becomes the capture's. */
void capture_keys(struct capture *c, int fd);

/* Writes what is left, when the last frame has passed; a pipe's reader gets patience_ms.
 * capture_free() when the loop has run. */
void capture_close(struct capture *c, unsigned patience_ms);

struct capture_totals {
	uint64_t packets,
		dropped; /* of all views; those that were dropped are packets, too */
};

/* When it is closed. */
struct capture_totals capture_totals(const struct capture *c);
void capture_free(struct capture *c);

#endif
