childflow_lib_sources += \
	src/dns/answer.c \
	src/dns/answer.h \
	src/dns/hosts.c \
	src/dns/hosts.h \
	src/dns/lookup.c \
	src/dns/lookup.h \
	src/dns/msg.c \
	src/dns/msg.h \
	src/dns/name.c \
	src/dns/name.h \
	src/dns/names.c \
	src/dns/names.h \
	src/dns/octets.h \
	src/dns/pool.c \
	src/dns/pool.h \
	src/dns/resolvconf.c \
	src/dns/resolvconf.h \
	src/dns/resolver.c \
	src/dns/resolver.h \
	src/dns/svcb.c \
	src/dns/svcb.h \
	src/dns/writer.c \
	src/dns/writer.h \
	$(NULL)
