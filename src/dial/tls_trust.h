/* Whom TLS believes; for dial/tls.c. */
#ifndef DIAL_TLS_TRUST_H
#define DIAL_TLS_TRUST_H

#include <stdbool.h>
#include <stddef.h>

struct WOLFSSL;
struct tls_trust;

/* A connection that verifies who has signed. NULL without memory. */
struct WOLFSSL *tls_trust_session(struct tls_trust *trust);

/* Whether the other side's certificate is for that host. */
bool tls_trust_is_for(struct WOLFSSL *ssl, const char *host, bool host_is_addr);

/* What a failed handshake means to whoever has set up the proxy. */
void tls_trust_explain(int code, char *out, size_t size);

#endif
