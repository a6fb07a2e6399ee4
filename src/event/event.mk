childflow_lib_sources += \
	src/event/event.c \
	src/event/event.h \
	$(NULL)
