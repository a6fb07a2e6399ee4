check_PROGRAMS += \
	tests/unit/flow/test_flow \
	$(NULL)
