/*
 * The format is NSS's key log (draft-ietf-tls-keylogfile): a label, the client's random and
 * the secret, both in hexadecimal. The file is the command's to write to, so nothing else
 * than such lines gets into a capture.
 */
#include "capture/keys.h"

#include <string.h>

#include "base/util.h"

#define LABEL_MAX 48
#define SECRET_MAX 192 /* digits; TLS 1.2 has 96, TLS 1.3 at most 128 */

/* RFC 8446 5.1, 4, 4.1.2 */
#define RECORD_HANDSHAKE 22
#define CLIENT_HELLO 1
#define RANDOM_AT (5 + 4 + 2)

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How many digits there are. */
static size_t digits(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && digit(s[n]) >= 0)
		n++;
	return n;
}

static unsigned parts_of(const char *label, size_t len)
{
	static const struct {
		const char *label;
		unsigned parts;
	} rows[] = {
		{ "CLIENT_RANDOM", KEYS_COMPLETE }, /* TLS 1.2: one for both */
		{ "CLIENT_TRAFFIC_SECRET_0", KEYS_CLIENT },
		{ "SERVER_TRAFFIC_SECRET_0", KEYS_SERVER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strlen(rows[i].label) == len &&
		    memcmp(rows[i].label, label, len) == 0)
			return rows[i].parts;
	}
	return 0;
}

bool keys_parse(const char *line, size_t len, struct keys_line *out)
{
	const char *random = memchr(line, ' ', len), *end = line + len;
	size_t label = random ? (size_t)(random - line) : 0, secret;

	if (!label || label > LABEL_MAX)
		return false;
	for (size_t i = 0; i < label; i++) {
		if (!(line[i] >= 'A' && line[i] <= 'Z') &&
		    !(line[i] >= '0' && line[i] <= '9') && line[i] != '_')
			return false;
	}
	random++;
	if (digits(random, end - random) != 2 * KEYS_RANDOM_LEN)
		return false;
	for (size_t i = 0; i < KEYS_RANDOM_LEN; i++)
		out->random[i] = digit(random[2 * i]) << 4 | digit(random[2 * i + 1]);
	random += 2 * KEYS_RANDOM_LEN;
	if (random == end || *random++ != ' ')
		return false;
	secret = digits(random, end - random);
	out->parts = parts_of(line, label);
	return secret && secret % 2 == 0 && secret <= SECRET_MAX &&
	       random + secret == end;
}

bool keys_is_handshake(const uint8_t *data, size_t len)
{
	return len > 5 && data[0] == RECORD_HANDSHAKE && data[1] == 3;
}

const uint8_t *keys_client_random(const uint8_t *data, size_t len)
{
	if (!keys_is_handshake(data, len) || data[5] != CLIENT_HELLO ||
	    len < RANDOM_AT + KEYS_RANDOM_LEN)
		return NULL;
	return data + RANDOM_AT;
}
