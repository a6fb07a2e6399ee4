childflow_lib_sources += \
	src/event/counters.c \
	src/event/counters.h \
	src/event/event.c \
	src/event/event.h \
	src/event/flowlog.c \
	src/event/flowlog.h \
	src/event/logfile.c \
	src/event/logfile.h \
	src/event/notice.c \
	src/event/notice.h \
	$(NULL)
