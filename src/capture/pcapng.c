/*
 * The one place that knows how a block looks. Section numbers are those of
 * draft-ietf-opsawg-pcapng-02.
 */
#include "capture/pcapng.h"

#include <endian.h>
#include <string.h>

#include "base/util.h"

enum block_type {
	BLOCK_SECTION = 0x0a0d0d0a,   /* 4.1 */
	BLOCK_INTERFACE = 1,	      /* 4.2 */
	BLOCK_PACKET = PCAPNG_PACKET, /* 4.3, enhanced */
	BLOCK_NAMES = 4,	      /* 4.5 */
	BLOCK_STATISTICS = 5,	      /* 4.6 */
	BLOCK_SECRETS = 10,	      /* 4.7 */
	BLOCK_CUSTOM = 0xbad,	      /* 4.8 */
};

/* 3.5 and the sections of the blocks. */
enum option_code {
	OPT_END = 0,
	OPT_COMMENT = 1,
	SHB_OS = 3,
	SHB_APPLICATION = 4,
	IF_NAME = 2,
	IF_DESCRIPTION = 3,
	IF_TSRESOL = 9,
	IF_FILTER = 11,
	EPB_FLAGS = 2,
	EPB_PROCESS = 8, /* epb_processid_threadid */
	ISB_START = 2,
	ISB_END = 3,
	ISB_RECEIVED = 4,
	ISB_DROPPED = 5,
	PROCESS_NAME = 2,
	PROCESS_PATH = 3,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define NANOSECONDS 9 /* if_tsresol: 10^-9 */
#define LEN_MAX INT32_MAX
#define SECRETS_TLS 0x544c534b /* 4.7: "TLSK" */
#define NAME_V4 1	       /* 4.5, nrb_record_ipv4 */
#define NAME_V6 2
#define NAME_END 0

/* Wireshark's own number (its documentation of 5.1, "Process Information Block"). */
#define PEN_WIRESHARK 32622
#define ENTRY_PROCESS 3

/* --- pieces --- */

struct block {
	struct pcapng_buf *buf;
	size_t at;
	bool ok;
};

static void put(struct block *b, const void *data, size_t len)
{
	struct pcapng_buf *buf = b->buf;

	if (!b->ok || buf->room - buf->len < len) {
		b->ok = false;
		return;
	}
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

static void put16(struct block *b, uint16_t v)
{
	put(b, &v, sizeof(v));
}

static void put32(struct block *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

/* Times are two words, the upper one first, whatever the byte order (4.3). */
static void put_time(struct block *b, uint64_t ns)
{
	put32(b, ns >> 32);
	put32(b, (uint32_t)ns);
}

static void pad(struct block *b)
{
	static const uint8_t zeros[3];

	put(b, zeros, -(b->buf->len - b->at) & 3);
}

static void option(struct block *b, uint16_t code, const void *data, size_t len)
{
	put16(b, code);
	put16(b, len);
	put(b, data, len);
	pad(b);
}

/* How many bytes of text, which does not end there, are a character; 0 if they are none
 * (RFC 3629 4). */
static size_t character(const uint8_t *s)
{
	size_t n = s[0] < 0x80		       ? 1 :
		   s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		   s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
		   s[0] >= 0xf0 && s[0] < 0xf5 ? 4 :
						 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void option_text(struct block *b, uint16_t code, const char *text)
{
	uint8_t clean[PCAPNG_TEXT_MAX];
	const uint8_t *s = (const uint8_t *)text;
	size_t len = 0;

	if (!text)
		return;
	while (*s && len + 4 <= sizeof(clean)) {
		size_t n = character(s);

		memcpy(clean + len, n ? (const void *)s : "\xef\xbf\xbd", n ? n : 3);
		len += n ? n : 3;
		s += n ? n : 1;
	}
	option(b, code, clean, len);
}

static void option_end(struct block *b)
{
	put32(b, OPT_END);
}

static struct block begin(struct pcapng_buf *buf, uint32_t type)
{
	struct block b = { .buf = buf, .at = buf->len, .ok = true };

	put32(&b, type);
	put32(&b, 0);
	return b;
}

/* 3.1: the total length stands at both ends. */
static bool end(struct block *b)
{
	struct pcapng_buf *buf = b->buf;
	uint32_t len;

	pad(b);
	put32(b, 0);
	if (!b->ok || buf->len - b->at > LEN_MAX) {
		buf->len = b->at;
		return false;
	}
	len = buf->len - b->at;
	memcpy(buf->data + b->at + 4, &len, 4);
	memcpy(buf->data + buf->len - 4, &len, 4);
	return true;
}

/* --- blocks --- */

bool pcapng_section(struct pcapng_buf *buf, const struct pcapng_section *s)
{
	static const uint64_t unknown_length = UINT64_MAX;
	struct block b = begin(buf, BLOCK_SECTION);

	put32(&b, BYTE_ORDER_MAGIC);
	put16(&b, 1);
	put16(&b, 0);
	put(&b, &unknown_length, sizeof(unknown_length));
	option_text(&b, SHB_OS, s->os);
	option_text(&b, SHB_APPLICATION, s->application);
	option_text(&b, OPT_COMMENT, s->comment);
	option_end(&b);
	return end(&b);
}

bool pcapng_interface(struct pcapng_buf *buf, const struct pcapng_interface *i)
{
	static const uint8_t resolution = NANOSECONDS;
	struct block b = begin(buf, BLOCK_INTERFACE);
	char filter[PCAPNG_TEXT_MAX];

	put16(&b, i->linktype);
	put16(&b, 0);
	put32(&b, i->snaplen);
	option_text(&b, IF_NAME, i->name);
	option_text(&b, IF_DESCRIPTION, i->description);
	option(&b, IF_TSRESOL, &resolution, 1);
	if (i->filter) {
		size_t len = MIN(strlen(i->filter), sizeof(filter) - 1);

		/* 4.2: its first byte says that this is libpcap's language. */
		filter[0] = 0;
		memcpy(filter + 1, i->filter, len);
		option(&b, IF_FILTER, filter, len + 1);
	}
	option_end(&b);
	return end(&b);
}

static void option_process(struct block *b, pid_t pid)
{
	/* The thread is not known: that of the process stands for it. */
	option(b, EPB_PROCESS, (uint32_t[]){ pid, pid }, 8);
}

bool pcapng_packet(struct pcapng_buf *buf, const struct pcapng_packet *p)
{
	struct block b = begin(buf, BLOCK_PACKET);

	put32(&b, 0);
	put_time(&b, p->time_ns);
	put32(&b, p->captured);
	put32(&b, p->original);
	put(&b, p->data, p->captured);
	pad(&b);
	option(&b, EPB_FLAGS, &(uint32_t){ p->direction }, 4);
	if (p->pid > 0)
		option_process(&b, p->pid);
	option_text(&b, OPT_COMMENT, p->comment);
	option_end(&b);
	return end(&b);
}

/* Puts what is in option behind the other options of the block at `at`. */
static bool insert(struct pcapng_buf *buf, size_t at, const struct block *option)
{
	size_t len = pcapng_block_len(buf->data + at, buf->len - at);
	size_t n = option->buf->len, pos = at + len - 8;
	uint32_t total = len + n;

	assert(len);
	if (!option->ok || buf->room - buf->len < n)
		return false;
	memmove(buf->data + pos + n, buf->data + pos, buf->len - pos);
	memcpy(buf->data + pos, option->buf->data, n);
	buf->len += n;
	memcpy(buf->data + at + 4, &total, 4);
	memcpy(buf->data + at + total - 4, &total, 4);
	return true;
}

bool pcapng_add_comment(struct pcapng_buf *buf, size_t at, const char *comment)
{
	uint8_t data[PCAPNG_TEXT_MAX + 8];
	struct pcapng_buf text = { .data = data, .room = sizeof(data) };
	struct block b = { .buf = &text, .ok = true };

	option_text(&b, OPT_COMMENT, comment);
	return insert(buf, at, &b);
}

bool pcapng_add_process(struct pcapng_buf *buf, size_t at, pid_t pid)
{
	uint8_t data[16];
	struct pcapng_buf text = { .data = data, .room = sizeof(data) };
	struct block b = { .buf = &text, .ok = true };

	option_process(&b, pid);
	return insert(buf, at, &b);
}

bool pcapng_name(struct pcapng_buf *buf, const struct addr *addr, const char *name)
{
	struct block b = begin(buf, BLOCK_NAMES);
	bool v4 = addr_is_v4(addr);
	size_t addr_len = v4 ? 4 : 16, name_len = strlen(name) + 1;

	put16(&b, v4 ? NAME_V4 : NAME_V6);
	put16(&b, addr_len + name_len);
	put(&b, addr->b + 16 - addr_len, addr_len);
	put(&b, name, name_len);
	pad(&b);
	put32(&b, NAME_END);
	return end(&b);
}

static void option_time(struct block *b, uint16_t code, uint64_t ns)
{
	option(b, code, (uint32_t[]){ ns >> 32, (uint32_t)ns }, 8);
}

bool pcapng_statistics(struct pcapng_buf *buf, const struct pcapng_statistics *s)
{
	struct block b = begin(buf, BLOCK_STATISTICS);

	put32(&b, 0);
	put_time(&b, s->end_ns);
	option_time(&b, ISB_START, s->start_ns);
	option_time(&b, ISB_END, s->end_ns);
	option(&b, ISB_RECEIVED, &s->received, 8);
	option(&b, ISB_DROPPED, &s->dropped, 8);
	option_end(&b);
	return end(&b);
}

bool pcapng_secrets(struct pcapng_buf *buf, const char *lines, size_t len)
{
	struct block b = begin(buf, BLOCK_SECRETS);

	put32(&b, SECRETS_TLS);
	put32(&b, len);
	put(&b, lines, len);
	return end(&b);
}

static void put_le32(struct block *b, uint32_t v)
{
	put32(b, htole32(v));
}

/* Its body is little-endian, but for the number of whose it is. */
static void entry_text(struct block *b, uint16_t code, const char *text)
{
	size_t len = text ? MIN(strlen(text), (size_t)PCAPNG_TEXT_MAX) : 0;

	if (!text)
		return;
	put16(b, htole16(code));
	put16(b, htole16(len));
	put(b, text, len);
	pad(b);
}

bool pcapng_process(struct pcapng_buf *buf, const struct pcapng_process *p)
{
	struct block b = begin(buf, BLOCK_CUSTOM);
	size_t start;
	uint32_t len;

	put32(&b, PEN_WIRESHARK);
	put_le32(&b, ENTRY_PROCESS);
	put_le32(&b, 0);
	start = buf->len;
	put_le32(&b, p->pid);
	entry_text(&b, PROCESS_NAME, p->name);
	entry_text(&b, PROCESS_PATH, p->path);
	put_le32(&b, OPT_END);
	if (b.ok) {
		len = htole32(buf->len - start);
		memcpy(buf->data + start - 4, &len, 4);
	}
	return end(&b);
}

size_t pcapng_block_len(const uint8_t *data, size_t len)
{
	uint32_t total;

	if (len < 12)
		return 0;
	memcpy(&total, data + 4, 4);
	return total >= 12 && total <= len ? total : 0;
}

static bool is_packet(const uint8_t *block)
{
	uint32_t type;

	memcpy(&type, block, 4);
	return type == BLOCK_PACKET;
}

size_t pcapng_whole(const struct pcapng_buf *buf, size_t n)
{
	size_t at = 0, len;

	while ((len = pcapng_block_len(buf->data + at, n - at)))
		at += len;
	return at;
}

uint64_t pcapng_count_packets(const struct pcapng_buf *buf, size_t n)
{
	uint64_t count = 0;

	for (size_t at = 0, len; (len = pcapng_block_len(buf->data + at, n - at));
	     at += len)
		count += is_packet(buf->data + at);
	return count;
}

size_t pcapng_find_packet(const struct pcapng_buf *buf, uint64_t number)
{
	for (size_t at = 0, len; (len = pcapng_block_len(buf->data + at, buf->len - at));
	     at += len) {
		if (is_packet(buf->data + at) && --number == 0)
			return at;
	}
	return SIZE_MAX;
}
