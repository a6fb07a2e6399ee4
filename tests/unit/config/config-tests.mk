check_PROGRAMS += \
	tests/unit/config/test_options \
	$(NULL)
