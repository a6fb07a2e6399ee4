/*
 * pcapng blocks (draft-ietf-opsawg-pcapng), in the machine's byte order. Pure: each function
 * appends one whole block to a buffer, or leaves it alone and returns false for lack of room.
 */
#ifndef CAPTURE_PCAPNG_H
#define CAPTURE_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/addr.h"

/* Beyond the bytes of packet, text or secrets: what a block can be larger at most. */
#define PCAPNG_OVERHEAD 96
/* Texts are cut to this. */
#define PCAPNG_TEXT_MAX 4096
/* What an option can be longer than the text in it, that was no UTF-8. */
#define PCAPNG_TEXT_GROWTH 3

/* The type of a packet's block. */
#define PCAPNG_PACKET 6

struct pcapng_buf {
	uint8_t *data;
	size_t len, room;
};

/* Text is taken for UTF-8, what isn't becomes U+FFFD; NULL leaves an option out. */
struct pcapng_section {
	const char *application, *os, *comment;
};

struct pcapng_interface {
	uint16_t linktype;
	uint32_t snaplen;
	const char *name, *description, *filter;
};

enum pcapng_direction {
	PCAPNG_UNKNOWN,
	PCAPNG_INBOUND,
	PCAPNG_OUTBOUND,
};

struct pcapng_packet {
	uint64_t time_ns; /* since 1970 */
	const uint8_t *data;
	uint32_t captured, original;
	enum pcapng_direction direction;
	pid_t pid; /* of the process that has sent or gets it; 0: not known */
	const char *comment;
};

struct pcapng_statistics {
	uint64_t start_ns, end_ns;
	uint64_t received, dropped;
};

struct pcapng_process {
	pid_t pid;
	const char *name, *path;
};

bool pcapng_section(struct pcapng_buf *buf, const struct pcapng_section *s);
bool pcapng_interface(struct pcapng_buf *buf, const struct pcapng_interface *i);
bool pcapng_packet(struct pcapng_buf *buf, const struct pcapng_packet *p);

/* Add an option to the packet block at offset `at` of buf; what is behind it moves. */
bool pcapng_add_comment(struct pcapng_buf *buf, size_t at, const char *comment);
bool pcapng_add_process(struct pcapng_buf *buf, size_t at, pid_t pid);

/* Names of one address. */
bool pcapng_name(struct pcapng_buf *buf, const struct addr *addr, const char *name);
bool pcapng_statistics(struct pcapng_buf *buf, const struct pcapng_statistics *s);
/* Lines of the format of SSLKEYLOGFILE. */
bool pcapng_secrets(struct pcapng_buf *buf, const char *lines, size_t len);
/* The process-information block of Wireshark 5 (custom block, PEN 32622). */
bool pcapng_process(struct pcapng_buf *buf, const struct pcapng_process *p);

/* Of the first n bytes of a buffer: those of whole blocks, and the packets in these. */
size_t pcapng_whole(const struct pcapng_buf *buf, size_t n);
uint64_t pcapng_count_packets(const struct pcapng_buf *buf, size_t n);
/* Where the packet of that number, from 1, begins; SIZE_MAX if there are less. */
size_t pcapng_find_packet(const struct pcapng_buf *buf, uint64_t number);

/* The total length of the block that begins at data, of which len bytes are there; 0 when
 * it is not there whole. */
size_t pcapng_block_len(const uint8_t *data, size_t len);

#endif
