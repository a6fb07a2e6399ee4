check_PROGRAMS += \
	tests/unit/config/test_options \
	tests/unit/config/test_profiles \
	tests/unit/config/test_toml \
	$(NULL)

# Not a test: tests/integration/test_toml.py compares what it prints with Python's reader.
noinst_PROGRAMS += tests/unit/config/toml_dump
