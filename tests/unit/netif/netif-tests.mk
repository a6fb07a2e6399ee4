check_PROGRAMS += \
	tests/unit/netif/test_packet \
	tests/unit/netif/test_reass \
	tests/unit/netif/test_stack \
	tests/unit/netif/test_stack_memory \
	tests/unit/netif/test_stack_tcp \
	tests/unit/netif/test_storm \
	$(NULL)

peer_sources = tests/unit/netif/peer.c tests/unit/netif/peer.h
tests_unit_netif_test_stack_SOURCES = tests/unit/netif/test_stack.c $(peer_sources)
tests_unit_netif_test_stack_memory_SOURCES = tests/unit/netif/test_stack_memory.c $(peer_sources)
tests_unit_netif_test_stack_tcp_SOURCES = tests/unit/netif/test_stack_tcp.c $(peer_sources)
tests_unit_netif_test_storm_SOURCES = tests/unit/netif/test_storm.c $(peer_sources)
