check_PROGRAMS += \
	tests/unit/event/test_event \
	tests/unit/event/test_notice \
	$(NULL)
