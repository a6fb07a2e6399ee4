childflow_lib_sources += \
	src/capture/capture.c \
	src/capture/capture.h \
	src/capture/capture_internal.h \
	src/capture/cut.c \
	src/capture/cut.h \
	src/capture/egress.c \
	src/capture/files.c \
	src/capture/files.h \
	src/capture/filter.c \
	src/capture/filter.h \
	src/capture/flows.c \
	src/capture/flows.h \
	src/capture/keys.c \
	src/capture/keys.h \
	src/capture/pcaplib.c \
	src/capture/pcaplib.h \
	src/capture/pcapng.c \
	src/capture/pcapng.h \
	src/capture/told.c \
	src/capture/unlock.c \
	src/capture/wire.c \
	src/capture/capfile.c \
	src/capture/capfile.h \
	$(NULL)
