#include "flow/nameport.h"

#include <netinet/in.h>
#include <stddef.h>

#include "base/util.h"

enum {
	TCP = 1,
	UDP = 2,
};

/* As IANA's port numbers registry has them. */
static const struct {
	uint16_t port;
	uint8_t transports, kind;
} ports[] = {
	{ 53, TCP | UDP, NAMEPORT_DNS },      { 137, TCP | UDP, NAMEPORT_NETBIOS },
	{ 138, TCP | UDP, NAMEPORT_NETBIOS }, { 853, TCP, NAMEPORT_DOT },
	{ 853, UDP, NAMEPORT_DOQ },	      { 5353, TCP | UDP, NAMEPORT_MDNS },
	{ 5355, TCP | UDP, NAMEPORT_LLMNR },
};

enum nameport_kind nameport_kind(uint8_t protocol, uint16_t port)
{
	int transport = protocol == IPPROTO_TCP ? TCP : protocol == IPPROTO_UDP ? UDP : 0;

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		if (ports[i].port == port && ports[i].transports & transport)
			return ports[i].kind;
	return NAMEPORT_OTHER;
}
