check_PROGRAMS += \
	tests/unit/config/test_check \
	tests/unit/config/test_cmdline \
	tests/unit/config/test_dump \
	tests/unit/config/test_load \
	tests/unit/config/test_options \
	tests/unit/config/test_profiles \
	tests/unit/config/test_proxyurl \
	tests/unit/config/test_route \
	tests/unit/config/test_rule \
	tests/unit/config/test_toml \
	$(NULL)
EXTRA_DIST += tests/unit/config/settings.h

# Not a test: tests/integration/test_toml.py compares what it prints with Python's reader.
noinst_PROGRAMS += tests/unit/config/toml_dump
