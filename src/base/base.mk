childflow_lib_sources += \
	src/base/addr.c \
	src/base/addr.h \
	src/base/attempt.h \
	src/base/buf.c \
	src/base/buf.h \
	src/base/channel.h \
	src/base/dgram.h \
	src/base/dialer.h \
	src/base/error.c \
	src/base/error.h \
	src/base/json.c \
	src/base/json.h \
	src/base/list.h \
	src/base/log.c \
	src/base/log.h \
	src/base/netplan.c \
	src/base/netplan.h \
	src/base/poller.c \
	src/base/poller.h \
	src/base/proxy.h \
	src/base/sha256.c \
	src/base/sha256.h \
	src/base/target.h \
	src/base/utf8.c \
	src/base/utf8.h \
	src/base/util.h \
	$(NULL)
