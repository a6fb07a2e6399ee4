check_PROGRAMS += \
	tests/unit/dial/test_handshake \
	tests/unit/dial/test_sock \
	$(NULL)
