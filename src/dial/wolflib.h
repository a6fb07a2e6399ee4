/*
 * wolfSSL, loaded for proxies that are spoken to by TLS. Its structs differ from build to
 * build: it must be the very one whose headers we were compiled with.
 */
#ifndef DIAL_WOLFLIB_H
#define DIAL_WOLFLIB_H

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/cryptocb.h>

#include "base/dynlib.h"

/* clang-format off */
#define WOLFLIB_FUNCTIONS(X) \
	X(wc_CryptoCb_RegisterDevice) X(wc_CryptoCb_UnRegisterDevice) \
	X(wc_FreeDecodedCert) X(wc_InitDecodedCert) X(wc_ParseCert) \
	X(wolfSSL_CTX_SetDevId) X(wolfSSL_CTX_SetMinVersion) X(wolfSSL_CTX_free) \
	X(wolfSSL_CTX_load_system_CA_certs) X(wolfSSL_CTX_load_verify_locations) \
	X(wolfSSL_CTX_load_verify_locations_ex) X(wolfSSL_CTX_new) \
	X(wolfSSL_CTX_set_cipher_list) X(wolfSSL_CTX_set_session_cache_mode) \
	X(wolfSSL_CTX_set_verify) X(wolfSSL_Cleanup) X(wolfSSL_ERR_reason_error_string) \
	X(wolfSSL_Init) X(wolfSSL_SSLSetIORecv) X(wolfSSL_SSLSetIOSend) \
	X(wolfSSL_SetIOReadCtx) X(wolfSSL_SetIOWriteCtx) X(wolfSSL_UseSNI) \
	X(wolfSSL_connect) X(wolfSSL_free) X(wolfSSL_get_chain_cert) \
	X(wolfSSL_get_chain_count) X(wolfSSL_get_chain_length) X(wolfSSL_get_error) \
	X(wolfSSL_get_peer_chain) X(wolfSSL_new) X(wolfSSL_read) X(wolfSSL_shutdown) \
	X(wolfSSL_write) X(wolfTLS_client_method)
/* clang-format on */

struct wolflib {
	WOLFLIB_FUNCTIONS(DYNLIB_POINTER)
};

/* Of use after wolflib_load(). */
extern struct wolflib wolflib;

/* To be called before the engine is confined. 0, or -1 with *err set. */
int wolflib_load(struct error *err);

#endif
