check_PROGRAMS += \
	tests/unit/flow/test_flow \
	tests/unit/flow/test_udp \
	$(NULL)
