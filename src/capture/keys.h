/* TLS keys, as programs write them to the file that SSLKEYLOGFILE names. */
#ifndef CAPTURE_KEYS_H
#define CAPTURE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_RANDOM_LEN 32
/* The longest line that is taken, with its end. */
#define KEYS_LINE_MAX 512

struct keys_line {
	uint8_t random[KEYS_RANDOM_LEN]; /* the client's, which names the connection */
	/* What all data of a connection needs: bits that make KEYS_COMPLETE together. */
	unsigned parts;
};

enum {
	KEYS_CLIENT = 1,
	KEYS_SERVER = 2,
	KEYS_COMPLETE = KEYS_CLIENT | KEYS_SERVER,
};

/* Reads one line without its end; false when it is none that tells a key. */
bool keys_parse(const char *line, size_t len, struct keys_line *out);

/* The random of a ClientHello at the beginning of a client's data, or NULL. */
const uint8_t *keys_client_random(const uint8_t *data, size_t len);
/* Does a server's data begin with a handshake? */
bool keys_is_handshake(const uint8_t *data, size_t len);

#endif
