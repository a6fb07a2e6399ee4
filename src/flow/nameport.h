/* Ports behind which names are resolved: what goes there goes round our DNS service. */
#ifndef FLOW_NAMEPORT_H
#define FLOW_NAMEPORT_H

#include <stdint.h>

enum nameport_kind {
	NAMEPORT_OTHER,
	NAMEPORT_DNS,	  /* ours: answered by the DNS service */
	NAMEPORT_DOT,	  /* DNS over TLS, RFC 7858 */
	NAMEPORT_DOQ,	  /* over QUIC, RFC 9250; the port of DTLS, too, RFC 8094 */
	NAMEPORT_MDNS,	  /* RFC 6762 */
	NAMEPORT_LLMNR,	  /* RFC 4795 */
	NAMEPORT_NETBIOS, /* name and datagram service, RFC 1002: both carry names */
	NAMEPORT_KINDS,
};

/* `protocol` is an IPPROTO_…, `port` the remote one. */
enum nameport_kind nameport_kind(uint8_t protocol, uint16_t port);

#endif
