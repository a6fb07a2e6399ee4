check_PROGRAMS += \
	tests/unit/dial/test_sock \
	$(NULL)
