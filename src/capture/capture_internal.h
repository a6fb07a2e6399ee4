/* Shared by the files of this room that work on a struct capture. */
#ifndef CAPTURE_CAPTURE_INTERNAL_H
#define CAPTURE_CAPTURE_INTERNAL_H

#include "capture/capfile.h"
#include "capture/capture.h"
#include "capture/cut.h"
#include "capture/filter.h"
#include "capture/flows.h"

/* As many are told once; then again. */
#define CAPTURE_SEEN 8192

static_assert(FLOW_VIEWS == VIEW_COUNT, "of each view");

#define CAPTURE_LINKTYPE_ETHERNET 1
#define CAPTURE_LINKTYPE_RAW 101

struct wire;

struct view {
	struct capture *capture;
	struct capfile *file; /* NULL: not asked for */
	int fd;		      /* until it is the file's */
	uint32_t snaplen;
	unsigned number; /* of its last file, when it rotates */
	bool made;	 /* its last file was not there before */
};

/* The frame that passes just now, or has passed last. */
struct passing {
	uint64_t time_ns;
	bool from_child;
	bool identified, quoted; /* quoted: an ICMP error about a packet of the flow */
	uint8_t protocol;	 /* 0: it has no endpoints */
	struct endpoint child, remote;
	struct known_flow *flow; /* or NULL */
};

struct capture {
	const struct capture_setup *setup;
	struct capture_deps deps;
	struct frame_tap tap;
	struct event_sink sink;
	struct view views[VIEW_COUNT];
	struct filter *filter; /* or NULL */
	struct known_flows *flows;
	struct wire *wire; /* or NULL */
	struct passing passing;
	struct list held; /* packets of flows that are PENDING, the oldest first */
	size_t held_bytes;
	int keys_fd; /* programs write their TLS keys into it, or -1 */
	uv_poll_t keys_poll;
	char key_text[8 * KEYS_LINE_MAX]; /* of a line that has no end yet */
	size_t key_len;
	struct known_flow *waiting[CAPFILE_HOLDS]; /* for keys, the oldest first */
	size_t waiting_count;
	/* Hashes of what has been written already. */
	uint64_t names[CAPTURE_SEEN], processes[CAPTURE_SEEN];
};

uint64_t capture_now(void);

/* Writes a packet of a flow (or NULL) to a view, if the filter lets it; of p only the time
 * counts. */
void capture_write(struct capture *c, enum capture_view view, struct known_flow *f,
		   bool from_child, const uint8_t *data, size_t len,
		   struct pcapng_packet *p);

/* The egress view of a packet; it may be held. */
void egress_packet(struct capture *c, const uint8_t *data, size_t len, struct shape *s,
		   struct pcapng_packet *p);
/* The flow's socket is known; what is held is written. */
void egress_open(struct capture *c, struct known_flow *f, const struct endpoint *local,
		 const struct endpoint *peer);
/* Nothing of it will be shown. */
void egress_forget(struct capture *c, struct known_flow *f);
/* Writes the packet with the addresses of the flow's socket to out, which has room for 20
 * bytes more. Returns its length, 0 if that can't be. */
size_t egress_rewrite(uint8_t *out, const uint8_t *data, size_t len, struct shape *s,
		      bool from_child, const struct known_flow *f);

/* TLS keys from a pipe, which becomes the capture's. 0 or -errno. */
int unlock_start(struct capture *c, int fd);
/* Before a packet is written: it may be one from which on keys are waited for. */
void unlock_watch(struct capture *c, const uint8_t *data, size_t len,
		  const struct shape *s);
/* Takes what is there. */
void unlock_read(struct capture *c);
void unlock_forget(struct capture *c, struct known_flow *f);
void unlock_close(struct capture *c);

/* The flow of an ICMP error is that of the packet it quotes. */
bool capture_quoted(const uint8_t *frame, size_t len, const struct shape *s,
		    struct shape *inner, struct endpoint *from, struct endpoint *to);

/* The host's interface. NULL and err, as without rights. */
struct wire *wire_new(struct capture *c, struct error *err);
const char *wire_device(const struct wire *w);
uint16_t wire_linktype(const struct wire *w);
/* Packets come when the loop runs. 0 or -errno. */
int wire_start(struct wire *w);
struct sock_watch *wire_watch(struct wire *w);
/* Whose the socket is, as far as that is known by now. */
void wire_owner(struct wire *w, uint8_t protocol, const struct endpoint *local,
		const struct endpoint *peer, pid_t pid);
/* Reads what has passed. Returns how many packets the kernel had no room for. */
uint64_t wire_close(struct wire *w);
void wire_free(struct wire *w);

/* To all files, once: addresses of an answer, a process. */
void capture_learn_names(struct capture *c, const struct event *ev);
void capture_announce(struct capture *c, const struct process *p);

/* In the flow's first packet, once: whose it is, what its address was asked for as. */
void capture_introduce(struct capture *c, const struct event *ev, struct known_flow *f);
/* In its latest from the child: what has refused it. */
void capture_explain(struct capture *c, const struct event *ev, struct known_flow *f);

#endif
