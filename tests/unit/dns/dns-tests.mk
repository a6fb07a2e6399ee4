check_PROGRAMS += \
	tests/unit/dns/test_answer \
	tests/unit/dns/test_gate \
	tests/unit/dns/test_hosts \
	tests/unit/dns/test_lookup \
	tests/unit/dns/test_msg \
	tests/unit/dns/test_name \
	tests/unit/dns/test_names \
	tests/unit/dns/test_pool \
	tests/unit/dns/test_resolvconf \
	tests/unit/dns/test_resolver \
	tests/unit/dns/test_resolver_life \
	$(NULL)

tests_unit_dns_test_msg_SOURCES = tests/unit/dns/test_msg.c tests/unit/dns/queries.h
world_sources = tests/unit/dns/upstream.c tests/unit/dns/upstream.h \
	tests/unit/dns/world.c tests/unit/dns/world.h
tests_unit_dns_test_lookup_SOURCES = tests/unit/dns/test_lookup.c $(world_sources)
tests_unit_dns_test_resolver_SOURCES = tests/unit/dns/test_resolver.c $(world_sources)
tests_unit_dns_test_resolver_life_SOURCES = tests/unit/dns/test_resolver_life.c \
	$(world_sources)
