check_PROGRAMS += \
	tests/unit/base/test_addr \
	tests/unit/base/test_dynlib \
	tests/unit/base/test_error \
	tests/unit/base/test_json \
	tests/unit/base/test_netplan \
	tests/unit/base/test_sha256 \
	$(NULL)
