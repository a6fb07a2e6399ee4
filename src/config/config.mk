childflow_lib_sources += \
	src/config/config.h \
	src/config/options.c \
	src/config/options.h \
	$(NULL)
