childflow_lib_sources += \
	src/cmd/diff.c \
	src/cmd/diff.h \
	src/cmd/engine.c \
	src/cmd/engine.h \
	src/cmd/engine_internal.h \
	src/cmd/packets.c \
	src/cmd/packets.h \
	src/cmd/prepare.c \
	src/cmd/profile.c \
	src/cmd/profile.h \
	src/cmd/learn.c \
	src/cmd/learn.h \
	src/cmd/learned.c \
	src/cmd/learned.h \
	src/cmd/readback.c \
	src/cmd/readback.h \
	src/cmd/proxies.c \
	src/cmd/proxies.h \
	src/cmd/record.c \
	src/cmd/record.h \
	src/cmd/report.c \
	src/cmd/report.h \
	src/cmd/run.c \
	src/cmd/run.h \
	src/cmd/summary.c \
	src/cmd/summary.h \
	$(NULL)
