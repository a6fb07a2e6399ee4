childflow_lib_sources += \
	src/dial/chain.c \
	src/dial/chain.h \
	src/dial/direct.c \
	src/dial/direct.h \
	src/dial/handshake.c \
	src/dial/handshake.h \
	src/dial/host.c \
	src/dial/host.h \
	src/dial/http.c \
	src/dial/sock.c \
	src/dial/sock.h \
	src/dial/socks4.c \
	src/dial/socks5.c \
	src/dial/socks5_udp.c \
	src/dial/socks5_udp.h \
	src/dial/tls.c \
	src/dial/tls.h \
	src/dial/tls_trust.c \
	src/dial/tls_trust.h \
	src/dial/wolflib.c \
	src/dial/wolflib.h \
	$(NULL)
