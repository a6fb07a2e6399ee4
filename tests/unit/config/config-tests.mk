check_PROGRAMS += \
	tests/unit/config/test_cmdline \
	tests/unit/config/test_options \
	tests/unit/config/test_profiles \
	tests/unit/config/test_toml \
	$(NULL)
