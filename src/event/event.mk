childflow_lib_sources += \
	src/event/counters.c \
	src/event/counters.h \
	src/event/entry.c \
	src/event/entry.h \
	src/event/event.c \
	src/event/event.h \
	src/event/flowlog.c \
	src/event/flowlog.h \
	src/event/logfile.c \
	src/event/logfile.h \
	src/event/notice.c \
	src/event/notice.h \
	src/event/reader.c \
	src/event/reader.h \
	src/event/table.c \
	src/event/table.h \
	src/event/talks.c \
	src/event/talks.h \
	src/event/tally.c \
	src/event/tally.h \
	src/event/view.c \
	src/event/view.h \
	$(NULL)
