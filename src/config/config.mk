childflow_lib_sources += \
	src/config/check.c \
	src/config/check.h \
	src/config/check_internal.h \
	src/config/check_routes.c \
	src/config/cmdline.c \
	src/config/cmdline.h \
	src/config/config.c \
	src/config/config.h \
	src/config/domain.c \
	src/config/domain.h \
	src/config/dump.c \
	src/config/dump.h \
	src/config/help.c \
	src/config/help.h \
	src/config/load.c \
	src/config/load.h \
	src/config/options.c \
	src/config/options.h \
	src/config/path.c \
	src/config/path.h \
	src/config/proxyurl.c \
	src/config/proxyurl.h \
	src/config/route.c \
	src/config/route.h \
	src/config/rule.c \
	src/config/rule.h \
	src/config/search.c \
	src/config/search.h \
	src/config/suggest.c \
	src/config/suggest.h \
	src/config/toml.c \
	src/config/toml.h \
	src/config/toml_text.c \
	src/config/toml_token.c \
	src/config/toml_token.h \
	src/config/value.c \
	src/config/value.h \
	src/config/value_internal.h \
	src/config/value_rules.c \
	$(NULL)

AM_CPPFLAGS += -DPROFILES_DIR='"$(pkgdatadir)/profiles"'
src_config_pages_gen_CPPFLAGS = $(AM_CPPFLAGS) -DSCHEMA_DIR='"$(pkgdatadir)/schema"'

# Fills in the templates of man pages and completions (packaging/packaging.mk).
noinst_PROGRAMS += src/config/pages_gen
src_config_pages_gen_SOURCES = src/config/pages_gen.c
src_config_pages_gen_LDADD = $(childflow_libs)
