childflow_lib_sources += \
	netif/arch/cc.h \
	netif/gateway.c \
	netif/gateway.h \
	netif/link.c \
	netif/link.h \
	netif/lwip_hooks.h \
	netif/lwipopts.h \
	netif/packet.c \
	netif/packet.h \
	netif/reass.c \
	netif/reass.h \
	netif/stack.c \
	netif/stack.h \
	netif/stack_conn.c \
	netif/stack_icmp.c \
	netif/stack_internal.h \
	netif/stack_tcp.c \
	netif/stack_tcp.h \
	netif/stack_udp.c \
	netif/tap.c \
	netif/tap.h \
	$(NULL)
