check_PROGRAMS += \
	tests/unit/event/test_event \
	tests/unit/event/test_flowlog \
	tests/unit/event/test_logfile \
	tests/unit/event/test_notice \
	tests/unit/event/test_reader \
	tests/unit/event/test_table \
	$(NULL)
