/*
 * Theory of operation
 *
 * Trust: the chain is wolfSSL's to verify. The host is verified by us when the handshake is
 * over and nothing has been sent yet, with --proxy-insecure, too: its verify callback is told
 * of one error at a time, and who accepts an unknown signer there never hears of a wrong name.
 *
 * Engine's confinement: the certificates are read before. Random numbers come by getrandom(2)
 * through a "crypto device" that can do nothing else; wolfSSL by itself opens /dev/urandom
 * for each connection. (wc_SetSeed_Cb() is not in every build.)
 */
#include "dial/tls_trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/addr.h"
#include "base/util.h"
#include "dial/tls.h"
#include "dial/wolflib.h"

#define RANDOM_DEVICE 1
/* With forward secrecy and authenticated encryption (RFC 9325 4.2). ChaCha20 comes first: without
 * the processor's help, which wolfSSL is seldom built for, it is 2.5 times as fast as AES, and
 * leaks nothing by its timing. */
#define CIPHERS                                                      \
	"TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES128-GCM-SHA256:"    \
	"TLS13-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"     \
	"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:" \
	"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
	"ECDHE-RSA-AES256-GCM-SHA384"

struct tls_trust {
	WOLFSSL_CTX *ctx;
	bool insecure;
};

static int on_random(int device, wc_CryptoInfo *info, void *ctx)
{
	ssize_t n = info->algo_type == WC_ALGO_TYPE_SEED ? info->seed.sz : 0;

	(void)device;
	(void)ctx;
	if (!n)
		return CRYPTOCB_UNAVAILABLE;
	return getrandom(info->seed.seed, n, 0) == n ? 0 : RNG_FAILURE_E;
}

/* Where distributions keep all certificates in one file, which is read far faster than a
 * directory of them. */
static bool load_bundle(WOLFSSL_CTX *ctx)
{
	static const char *const paths[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
		"/etc/ssl/ca-bundle.pem",	      /* SUSE */
		"/etc/ssl/cert.pem",		      /* Alpine */
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (access(paths[i], R_OK) == 0 &&
		    wolflib.wolfSSL_CTX_load_verify_locations(ctx, paths[i], NULL) ==
			    WOLFSSL_SUCCESS)
			return true;
	}
	return wolflib.wolfSSL_CTX_load_system_CA_certs(ctx) == WOLFSSL_SUCCESS;
}

/* As OpenSSL has it: each variable replaces what the system has of its kind. */
static int load_trust(WOLFSSL_CTX *ctx, struct error *err)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
	bool has_file = file && *file, has_dir = dir && *dir;

	if (has_file &&
	    wolflib.wolfSSL_CTX_load_verify_locations(ctx, file, NULL) != WOLFSSL_SUCCESS)
		return error_set(err, access(file, R_OK) ? errno : 0,
				 "read the certificates of SSL_CERT_FILE, %s", file);
	/* There may be other files beside them. */
	if (has_dir &&
	    wolflib.wolfSSL_CTX_load_verify_locations_ex(
		    ctx, NULL, dir, WOLFSSL_LOAD_FLAG_IGNORE_ERR) != WOLFSSL_SUCCESS &&
	    !has_file)
		return error_set(err, access(dir, R_OK) ? errno : 0,
				 "read the certificates of SSL_CERT_DIR, %s", dir);
	if (has_file || has_dir || load_bundle(ctx))
		return 0;
	error_set(err, 0, "no certificates of the system's to trust");
	return error_cure(err, "Install ca-certificates, or name a file of yours in "
			       "SSL_CERT_FILE.");
}

struct tls_trust *tls_trust_new(bool insecure, struct error *err)
{
	struct tls_trust *trust;

	if (wolflib_load(err) < 0)
		return NULL;
	trust = calloc(1, sizeof(*trust));
	if (trust && wolflib.wolfSSL_Init() == WOLFSSL_SUCCESS &&
	    wolflib.wc_CryptoCb_RegisterDevice(RANDOM_DEVICE, on_random, NULL) == 0)
		trust->ctx = wolflib.wolfSSL_CTX_new(wolflib.wolfTLS_client_method());
	if (!trust || !trust->ctx) {
		error_set(err, 0, "start the TLS library");
		goto fail;
	}
	trust->insecure = insecure;
	wolflib.wolfSSL_CTX_SetDevId(trust->ctx, RANDOM_DEVICE);
	wolflib.wolfSSL_CTX_SetMinVersion(trust->ctx, WOLFSSL_TLSV1_2);
	wolflib.wolfSSL_CTX_set_cipher_list(trust->ctx, CIPHERS);
	wolflib.wolfSSL_CTX_set_session_cache_mode(trust->ctx, WOLFSSL_SESS_CACHE_OFF);
	wolflib.wolfSSL_CTX_set_verify(
		trust->ctx, insecure ? WOLFSSL_VERIFY_NONE : WOLFSSL_VERIFY_PEER, NULL);
	if (insecure || load_trust(trust->ctx, err) == 0)
		return trust;
fail:
	tls_trust_free(trust);
	return NULL;
}

void tls_trust_free(struct tls_trust *trust)
{
	if (!trust)
		return;
	if (trust->ctx)
		wolflib.wolfSSL_CTX_free(trust->ctx);
	free(trust);
	wolflib.wc_CryptoCb_UnRegisterDevice(RANDOM_DEVICE);
	wolflib.wolfSSL_Cleanup();
}

struct WOLFSSL *tls_trust_session(struct tls_trust *trust)
{
	return wolflib.wolfSSL_new(trust->ctx);
}

void tls_trust_explain(int code, char *out, size_t size)
{
	static const struct {
		int code;
		const char *text;
	} known[] = {
		{ ASN_NO_SIGNER_E, "nobody we trust has signed its certificate" },
		{ ASN_SELF_SIGNED_E, "nobody we trust has signed its certificate" },
		{ ASN_SIG_CONFIRM_E, "its certificate is forged" },
		{ ASN_AFTER_DATE_E, "its certificate has expired" },
		{ ASN_BEFORE_DATE_E, "its certificate is not valid yet" },
		{ VERSION_ERROR, "it speaks no TLS of version 1.2 or later" },
		{ UNKNOWN_RECORD_TYPE, "what it answers isn't TLS" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i].code == code) {
			snprintf(out, size, "%s", known[i].text);
			return;
		}
	}
	snprintf(out, size, "the TLS handshake fails: %s",
		 wolflib.wolfSSL_ERR_reason_error_string(code));
}

/* --- the host's certificate --- */

/* A name of a certificate (RFC 6125 6.4): in any case, and "*" may be its whole first label. */
static bool name_matches(const char *pattern, size_t len, const char *host)
{
	const char *dot = strchr(host, '.');

	if (len > 2 && pattern[0] == '*' && pattern[1] == '.') {
		if (!dot || dot == host || !memchr(pattern + 2, '.', len - 2))
			return false;
		pattern++;
		len--;
		host = dot;
	}
	return strlen(host) == len && strncasecmp(host, pattern, len) == 0;
}

static bool addr_matches(const char *bytes, size_t len, const char *host)
{
	struct addr addr, of_cert;

	if (!addr_parse(host, &addr) || (len != 4 && len != 16))
		return false;
	of_cert = len == 4 ? addr_from_v4(bytes) : addr_from_v6(bytes);
	return addr_eq(&addr, &of_cert);
}

static bool names_match(const DecodedCert *cert, const char *host, bool host_is_addr)
{
	for (const DNS_entry *e = cert->altNames; e; e = e->next) {
		if (host_is_addr ? e->type == ASN_IP_TYPE &&
					   addr_matches(e->name, e->len, host) :
				   e->type == ASN_DNS_TYPE &&
					   name_matches(e->name, e->len, host))
			return true;
	}
	return false;
}

/* Reads the names itself: wolfSSL's own check takes an address for a name, and making a copy
 * of the certificate for it needs random numbers that the confined engine can't give. */
bool tls_trust_is_for(struct WOLFSSL *ssl, const char *host, bool host_is_addr)
{
	WOLFSSL_X509_CHAIN *chain = wolflib.wolfSSL_get_peer_chain(ssl);
	DecodedCert cert;
	bool found;

	if (!chain || wolflib.wolfSSL_get_chain_count(chain) < 1)
		return false;
	wolflib.wc_InitDecodedCert(&cert, wolflib.wolfSSL_get_chain_cert(chain, 0),
				   wolflib.wolfSSL_get_chain_length(chain, 0), NULL);
	found = wolflib.wc_ParseCert(&cert, CERT_TYPE, NO_VERIFY, NULL) == 0 &&
		names_match(&cert, host, host_is_addr);
	wolflib.wc_FreeDecodedCert(&cert);
	return found;
}
