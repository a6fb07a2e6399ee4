childflow_lib_sources += \
	src/config/config.h \
	src/config/options.c \
	src/config/options.h \
	src/config/toml.c \
	src/config/toml.h \
	src/config/toml_text.c \
	src/config/toml_token.c \
	src/config/toml_token.h \
	$(NULL)
