check_PROGRAMS += \
	tests/unit/policy/test_policy \
	$(NULL)
