/* Shared by stack.c and its parts, stack_{tcp,conn,udp,icmp}.c, only. */
#ifndef NETIF_STACK_INTERNAL_H
#define NETIF_STACK_INTERNAL_H

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "netif/packet.h"
#include "netif/stack.h"

struct tcp_table;
struct dgram_table;

struct stack {
	uv_loop_t *loop;
	struct link *link;
	struct netplan plan;
	struct stack_up up;
	struct netif netif;
	struct tcp_table *tcp;
	struct dgram_table *dgram;
	struct echo_near echo;
	struct reass *reass;
	uint16_t udp_gso_size; /* of the datagrams lwIP is just sending; 0 for a single one */
	size_t held;	       /* bytes that all connections keep for slow readers */
	uint64_t drops[STACK_DROP_COUNT];
	/* The packet being read, as lwIP wants it. */
	struct pbuf_custom rx_pbuf;
};

void stack_drop(struct stack *st, enum stack_drop why);

/* Sends a packet that lwIP has not made; its transport checksum is left to the kernel. `head`
 * has its headers. 0 or -errno. */
int stack_send_packet(struct stack *st, uint8_t *head, size_t head_len,
		      const struct iovec *data);

/* The same, of a packet that is complete. */
int stack_send_plain(struct stack *st, uint8_t *head, size_t head_len,
		     const struct iovec *data);
void stack_send_ip(struct stack *st, bool v4, const uint8_t *packet, size_t len);

/* Tells the child what became of its packet ip; false when ICMP has no word for it. */
bool stack_icmp_tell(struct stack *st, const uint8_t *ip, size_t ip_len,
		     const struct addr *child, const struct neterror *e);
/* The same of an errno of ours. */
bool stack_icmp_error(struct stack *st, const uint8_t *ip, size_t ip_len,
		      const struct addr *child, int err, uint32_t info);

/* Points lwIP's "current packet" at one from child to remote, and wraps its l4 bytes. */
struct pbuf *stack_input_begin(struct stack *st, const struct addr *src,
			       const struct addr *dst, const uint8_t *ip, size_t ip_hlen,
			       void *l4, size_t l4_len);

void stack_to_lwip(const struct addr *a, ip_addr_t *out);

struct tcp_table *stack_tcp_new(struct stack *st);
void stack_tcp_input(struct stack *st, const struct packet *pkt);
void stack_tcp_flush(struct stack *st);
void stack_tcp_timer(struct stack *st);
size_t stack_tcp_count(const struct stack *st);
/* The largest segment the child takes on the connection of a packet we send; 0 for none. */
uint16_t stack_tcp_mss(const struct stack *st, const struct addr *remote,
		       uint16_t remote_port, uint16_t child_port);
void stack_tcp_close(struct stack *st);
void stack_tcp_free(struct stack *st);

void stack_icmp_init(struct stack *st);
void stack_icmp_input(struct stack *st, const struct packet *pkt);
/* We are the child's first hop: true when the packet has ended here. */
bool stack_icmp_expire(struct stack *st, const struct packet *pkt);

struct dgram_table *stack_udp_new(struct stack *st);
void stack_udp_input(struct stack *st, const struct packet *pkt);
void stack_udp_close(struct stack *st);
void stack_udp_free(struct stack *st);

#endif
