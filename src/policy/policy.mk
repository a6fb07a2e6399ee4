childflow_lib_sources += \
	src/policy/cidr.c \
	src/policy/cidr.h \
	src/policy/classify.c \
	src/policy/compile.c \
	src/policy/domain.c \
	src/policy/domain.h \
	src/policy/explain.c \
	src/policy/explain.h \
	src/policy/policy.c \
	src/policy/policy.h \
	src/policy/ports.c \
	src/policy/ports.h \
	src/policy/ranges.c \
	src/policy/ranges.h \
	src/policy/route.c \
	src/policy/rule.h \
	src/policy/sets.h \
	$(NULL)
