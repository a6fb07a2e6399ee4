childflow_lib_sources += \
	src/policy/policy.c \
	src/policy/policy.h \
	src/policy/ranges.c \
	src/policy/ranges.h \
	src/policy/rule.h \
	$(NULL)
