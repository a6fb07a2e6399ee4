childflow_lib_sources += \
	src/sandbox/backend.h \
	src/sandbox/broker.c \
	src/sandbox/broker.h \
	src/sandbox/command.c \
	src/sandbox/command.h \
	src/sandbox/confine.c \
	src/sandbox/confine.h \
	src/sandbox/hide.c \
	src/sandbox/hide.h \
	src/sandbox/hostaddrs.c \
	src/sandbox/hostaddrs.h \
	src/sandbox/idmap.c \
	src/sandbox/idmap.h \
	src/sandbox/init.c \
	src/sandbox/init.h \
	src/sandbox/mounts.c \
	src/sandbox/mounts.h \
	src/sandbox/netlink.c \
	src/sandbox/netlink.h \
	src/sandbox/ns.c \
	src/sandbox/ns.h \
	src/sandbox/nsswitch.c \
	src/sandbox/nsswitch.h \
	src/sandbox/pathexec.c \
	src/sandbox/pathexec.h \
	src/sandbox/preflight.c \
	src/sandbox/preflight.h \
	src/sandbox/procs.c \
	src/sandbox/procs.h \
	src/sandbox/procs_read.c \
	src/sandbox/procs_read.h \
	src/sandbox/proctree.c \
	src/sandbox/proctree.h \
	src/sandbox/proto.c \
	src/sandbox/proto.h \
	src/sandbox/rootless.c \
	src/sandbox/seccomp.c \
	src/sandbox/seccomp.h \
	src/sandbox/supervisor.c \
	src/sandbox/supervisor.h \
	src/sandbox/terminal.c \
	src/sandbox/terminal.h \
	src/sandbox/tree.c \
	src/sandbox/tree.h \
	$(NULL)

# The seccomp filters are compiled here and now (seccomp_gen.c).
AM_CPPFLAGS += -I$(top_builddir)/src
noinst_PROGRAMS += src/sandbox/seccomp_gen
src_sandbox_seccomp_gen_SOURCES = src/sandbox/seccomp_gen.c
src_sandbox_seccomp_gen_LDADD = $(SECCOMP_LIBS)
BUILT_SOURCES += src/sandbox/seccomp_filters.h
CLEANFILES += src/sandbox/seccomp_filters.h
src/sandbox/seccomp_filters.h: src/sandbox/seccomp_gen$(EXEEXT)
	$(AM_V_GEN)src/sandbox/seccomp_gen$(EXEEXT) >$@.tmp && mv $@.tmp $@
src/sandbox/seccomp.$(OBJEXT): src/sandbox/seccomp_filters.h
