/*
 * One capture file: blocks come in, whole blocks go out, whatever happens to the disk.
 */
#ifndef CAPTURE_CAPFILE_H
#define CAPTURE_CAPFILE_H

#include <uv.h>

#include "base/error.h"
#include "capture/pcapng.h"

#define CAPFILE_HOLDS 64

struct capfile;

struct capfile_setup {
	const char *path; /* for messages; the caller keeps it */
	struct pcapng_section section;
	struct pcapng_interface interface;
	/* Asks for the next file, which comes by capfile_next(); NULL: there is only one. */
	void (*rotate)(void *ctx);
	void (*begun)(void *ctx); /* that is in use now; or NULL */
	void *ctx;
	uint64_t rotate_bytes; /* 0: not by size */
	uint64_t rotate_ns;    /* 0: not by time */
};

struct capfile_stats {
	uint64_t received, dropped; /* packets */
	bool failed;
};

/* Takes fd over, which has nothing of ours in it, and writes the header. Before the engine
 * is confined. NULL and err. */
struct capfile *capfile_new(const struct capfile_setup *setup, int fd, struct error *err);

/* From now on what is written stands in the file within 200 ms. 0 or -errno. */
int capfile_start(struct capfile *w, uv_loop_t *loop);

/* Returns the packet's number, or 0 when it is lost. */
uint64_t capfile_packet(struct capfile *w, const struct pcapng_packet *p);
/* Adds what isn't NULL or 0 to a packet, unless it has left the buffer: then false. */
bool capfile_add(struct capfile *w, uint64_t number, const char *comment, pid_t pid);

void capfile_name(struct capfile *w, const struct addr *addr, const char *name);
void capfile_process(struct capfile *w, const struct pcapng_process *p);
/* Comes before everything that is held. Kept for the files to come. */
void capfile_secrets(struct capfile *w, const char *lines, size_t len);

/* Holds back all that comes from now on, for 200 ms at most. Returns a number for
 * capfile_release(), which is 0 when it can't be. */
unsigned capfile_hold(struct capfile *w);
void capfile_release(struct capfile *w, unsigned hold);

/* The next file, which becomes ours when it is time; -1 if there can't be one. */
void capfile_next(struct capfile *w, int fd);

/* Packets that were lost before they came here. */
void capfile_lost(struct capfile *w, uint64_t count);

struct capfile_stats capfile_stats(const struct capfile *w);

/* Writes what is left and the statistics; a reader of a pipe is waited for so long at most.
 * Its handles are closed when the loop has run; capfile_free() then. */
void capfile_close(struct capfile *w, unsigned patience_ms);
void capfile_free(struct capfile *w);

#endif
