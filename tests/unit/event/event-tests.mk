check_PROGRAMS += \
	tests/unit/event/test_event \
	tests/unit/event/test_flowlog \
	tests/unit/event/test_logfile \
	tests/unit/event/test_notice \
	$(NULL)
