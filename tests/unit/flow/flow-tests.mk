check_PROGRAMS += \
	tests/unit/flow/test_dns \
	tests/unit/flow/test_flow \
	tests/unit/flow/test_nameport \
	tests/unit/flow/test_sniff \
	tests/unit/flow/test_udp \
	$(NULL)

tests_unit_flow_test_dns_SOURCES = tests/unit/flow/test_dns.c tests/unit/dns/queries.h \
	$(world_sources)
