/* hosts(5): --hosts-file as a table for the DNS service, and as the child's /etc/hosts. */
#ifndef DNS_HOSTS_H
#define DNS_HOSTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dns/msg.h"

#define HOSTS_FILE_MAX (16u << 20) /* bytes; the big block lists have 5 MiB */
#define HOSTS_TTL_S 60

struct hosts;

/* The lines that were skipped. */
struct hosts_bad {
	unsigned count;
	unsigned line;	 /* the first one's number, from 1 */
	const char *why; /* and what is wrong with it; static text */
};

/* Makes a table of a hosts file's text, which needn't live on. NULL with *err set when it is
 * too big or memory is short; lines that make no sense are skipped and told in *bad. */
struct hosts *hosts_parse(const char *text, size_t len, struct hosts_bad *bad,
			  struct error *err);
void hosts_free(struct hosts *h);

/*
 * Answers q from the table: A, AAAA and ANY for a name in it, PTR for an address in it. The
 * service binding types (SVCB, HTTPS) of a name in the table get an empty answer, because
 * their address hints would go round the override. Returns the reply's length, or 0 when the
 * table has nothing to say and upstream should be asked. max is at least MSG_UDP_PLAIN.
 */
size_t hosts_answer(const struct hosts *h, const struct msg_question *q, uint8_t *out,
		    size_t max);

/* The child's /etc/hosts: the whole of the file `text` that h was made of, then those lines
 * of the host's that name no host which h names. Returns text to free() and its length in
 * *out_len, or NULL without memory. */
char *hosts_render(const struct hosts *h, const char *text, size_t len,
		   const char *host_text, size_t host_len, size_t *out_len);

#endif
