childflow_lib_sources += \
	src/flow/dns.c \
	src/flow/dns.h \
	src/flow/flow.c \
	src/flow/flow.h \
	src/flow/guard.c \
	src/flow/guard.h \
	src/flow/guard_dns.c \
	src/flow/guard_dns.h \
	src/flow/icmp.c \
	src/flow/icmp.h \
	src/flow/marks.c \
	src/flow/marks.h \
	src/flow/outbox.c \
	src/flow/outbox.h \
	src/flow/pingsock.c \
	src/flow/pingsock.h \
	src/flow/pump.c \
	src/flow/pump.h \
	src/flow/sniff.c \
	src/flow/sniff.h \
	src/flow/sniff_http.c \
	src/flow/sniff_tls.c \
	src/flow/stream.c \
	src/flow/stream.h \
	src/flow/udp.c \
	src/flow/udp.h \
	$(NULL)
