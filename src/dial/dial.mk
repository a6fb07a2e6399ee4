childflow_lib_sources += \
	src/dial/direct.c \
	src/dial/direct.h \
	src/dial/sock.c \
	src/dial/sock.h \
	$(NULL)
