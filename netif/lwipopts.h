/*
 * lwIP as a transport engine without an address: frames are parsed and checked in stack.c,
 * which hands TCP segments and UDP datagrams straight to tcp_input() and udp_input().
 * What is not used is off. The figures behind the values stand in HACKING.md.
 */
#ifndef NETIF_LWIPOPTS_H
#define NETIF_LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define LWIP_SINGLE_NETIF 1

/* malloc for everything: the tables of the engine are the bounds. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define PBUF_POOL_BUFSIZE 1536
#define LWIP_SUPPORT_CUSTOM_PBUF 1

#define LWIP_ARP 0
#define LWIP_ETHERNET 0
#define LWIP_ICMP 0
#define LWIP_ICMP6 1 /* ip6.c does not link without */
#define LWIP_RAW 0
#define LWIP_DHCP 0
#define LWIP_DNS 0
#define LWIP_IPV4 1
#define IP_FORWARD 0
#define IP_FRAG 0
#define IP_REASSEMBLY 0
#define LWIP_IPV6 1
#define LWIP_IPV6_SCOPES 0
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_FORWARD 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_ND6_QUEUEING 0
#define LWIP_ND6_ALLOW_RA_UPDATES 0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define MEMP_NUM_ND6_QUEUE 0
#define LWIP_UDP 1
#define LWIP_UDPLITE 0

/* The kernel fills in and skips transport checksums (virtio-net header); the IP header's
 * is lwIP's. A frame that comes with a full checksum is verified by stack.c. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY 0

#define LWIP_TCP 1
#undef TCP_MSS /* uv.h brings netinet/tcp.h's */
/* The largest MSS option we answer; the child's own MTU bounds what it makes of it. */
#define TCP_MSS 65480
#define TCP_CALCULATE_EFF_SEND_MSS 0
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_WND (1024 * 1024)
#define TCP_SND_BUF (1024 * 1024)
/* In pbufs: 1 MB of super-segments takes 32; the rest bounds a flood of tiny writes. */
#define TCP_SND_QUEUELEN 2048
#define MEMP_NUM_TCP_SEG 0xFFFF
#define TCP_SNDLOWAT (TCP_SND_BUF / 4)
#define TCP_SNDQUEUELOWAT 1024
#define TCP_WND_UPDATE_THRESHOLD (256 * 1024)
/* Nothing is reordered on a tap; a lost frame is sent again, and no memory is pinned. */
#define TCP_QUEUE_OOSEQ 0
#define TCP_OVERSIZE 0
#define LWIP_NETIF_TX_SINGLE_PBUF 0
#define TCP_LISTEN_BACKLOG 0
#define LWIP_TCP_KEEPALIVE 0
#define LWIP_TCP_TIMESTAMPS 0
#define LWIP_TCP_SACK_OUT 0
/* A smaller one would drop LAST_ACK connections of readers that stall. */
#define TCP_MSL 60000UL
/* init.c refuses an MSS over 16382 otherwise. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

#define LWIP_HOOK_FILENAME "netif/lwip_hooks.h"
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) stack_random32()

#endif
