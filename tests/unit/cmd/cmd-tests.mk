check_PROGRAMS += \
	tests/unit/cmd/test_learned \
	$(NULL)
