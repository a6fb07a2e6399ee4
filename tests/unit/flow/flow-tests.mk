check_PROGRAMS += \
	tests/unit/flow/test_dns \
	tests/unit/flow/test_dns_remote \
	tests/unit/flow/test_flow \
	tests/unit/flow/test_guard \
	tests/unit/flow/test_guard_dns \
	tests/unit/flow/test_icmp \
	tests/unit/flow/test_refusals \
	tests/unit/flow/test_sniff \
	tests/unit/flow/test_sniffing \
	tests/unit/flow/test_udp \
	tests/unit/flow/test_udp_relay \
	tests/unit/flow/test_who \
	$(NULL)

tests_unit_flow_test_dns_SOURCES = tests/unit/flow/test_dns.c tests/unit/dns/queries.h \
	$(world_sources)
tests_unit_flow_test_flow_SOURCES = tests/unit/flow/test_flow.c tests/unit/flow/world.h
tests_unit_flow_test_sniffing_SOURCES = tests/unit/flow/test_sniffing.c \
	tests/unit/flow/world.h
