childflow_lib_sources += \
	src/event/counters.c \
	src/event/counters.h \
	src/event/event.c \
	src/event/event.h \
	src/event/notice.c \
	src/event/notice.h \
	$(NULL)
