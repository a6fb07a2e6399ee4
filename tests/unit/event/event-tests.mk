check_PROGRAMS += \
	tests/unit/event/test_event \
	$(NULL)
