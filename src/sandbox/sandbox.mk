childflow_lib_sources += \
	src/sandbox/backend.h \
	src/sandbox/command.c \
	src/sandbox/command.h \
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
	src/sandbox/proto.c \
	src/sandbox/proto.h \
	src/sandbox/rootless.c \
	src/sandbox/supervisor.c \
	src/sandbox/supervisor.h \
	src/sandbox/terminal.c \
	src/sandbox/terminal.h \
	$(NULL)
