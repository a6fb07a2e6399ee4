/* TLS, as a client, on top of any channel. */
#ifndef DIAL_TLS_H
#define DIAL_TLS_H

#include "base/channel.h"
#include "base/error.h"

struct tls_trust;

/*
 * Reads the certificates that we trust: those of SSL_CERT_FILE and SSL_CERT_DIR, else the
 * system's. No file is opened after this. With `insecure` any certificate will do that is for
 * the right host. NULL with *err set on failure.
 */
struct tls_trust *tls_trust_new(bool insecure, struct error *err);
void tls_trust_free(struct tls_trust *trust);

/* The handshake is over: 0, or an errno and the reason. The channel is to be closed then, and
 * may be at once. */
typedef void (*tls_fn)(void *ctx, int err, const char *why);

/* A channel on top of `inner`, which is its own from then on; NULL without memory: it isn't.
 * Host is whom the certificate must be for, a name or an address, and must live on until
 * `done`. */
struct channel *tls_new(struct tls_trust *trust, struct channel *inner, const char *host,
			bool host_is_addr, tls_fn done, void *ctx);
/* Begins the handshake; may call `done` before it returns. */
void tls_begin(struct channel *ch);

#endif
