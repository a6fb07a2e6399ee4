# lwIP as its own library: Debian's patched 2.2.1, compiled with our lwipopts.h and with no
# warnings of ours. The files are those that netif/ needs; nothing else gets linked.

lwip_includes = -isystem $(LWIP_DIR)/src/include -iquote $(top_srcdir)/netif

noinst_LIBRARIES += third_party/lwip/liblwip.a
third_party_lwip_liblwip_a_CPPFLAGS = -D_GNU_SOURCE $(CF_CPPFLAGS) \
	-iquote $(top_srcdir)/netif -I$(LWIP_DIR)/src/include -I$(top_srcdir)
# Half our window is more than any segment, and clang says so of a minimum of the two.
third_party_lwip_liblwip_a_CFLAGS = $(CF_CODE_CFLAGS) -fno-strict-aliasing \
	-ffunction-sections -Wno-tautological-constant-out-of-range-compare
third_party_lwip_liblwip_a_SOURCES = \
	third_party/lwip/lwip/src/core/def.c \
	third_party/lwip/lwip/src/core/inet_chksum.c \
	third_party/lwip/lwip/src/core/init.c \
	third_party/lwip/lwip/src/core/ip.c \
	third_party/lwip/lwip/src/core/mem.c \
	third_party/lwip/lwip/src/core/memp.c \
	third_party/lwip/lwip/src/core/netif.c \
	third_party/lwip/lwip/src/core/pbuf.c \
	third_party/lwip/lwip/src/core/tcp.c \
	third_party/lwip/lwip/src/core/tcp_in.c \
	third_party/lwip/lwip/src/core/tcp_out.c \
	third_party/lwip/lwip/src/core/timeouts.c \
	third_party/lwip/lwip/src/core/udp.c \
	third_party/lwip/lwip/src/core/ipv4/ip4.c \
	third_party/lwip/lwip/src/core/ipv4/ip4_addr.c \
	third_party/lwip/lwip/src/core/ipv4/ip4_frag.c \
	third_party/lwip/lwip/src/core/ipv6/icmp6.c \
	third_party/lwip/lwip/src/core/ipv6/ip6.c \
	third_party/lwip/lwip/src/core/ipv6/ip6_addr.c \
	third_party/lwip/lwip/src/core/ipv6/ip6_frag.c \
	third_party/lwip/lwip/src/core/ipv6/nd6.c \
	$(NULL)

EXTRA_DIST += third_party/lwip/README.md third_party/lwip/fetch

# A release tarball carries what it compiles, and what tells where that came from.
dist-lwip:
	$(MKDIR_P) "$(distdir)/third_party/lwip/lwip/src"
	for f in COPYING README CHANGELOG debian src/include; do \
		if test -e "$(LWIP_DIR)/$$f"; then \
			cp -RL "$(LWIP_DIR)/$$f" "$(distdir)/third_party/lwip/lwip/$$f" || exit 1; \
		fi; \
	done
